"""Small networks that train in one compiled call.

Uses layers and below. Begin with :mod:`.mlp`, what is public, and :mod:`.fitting`, a call of ``fit`` from epoch to
epoch. A :mod:`.plan` says what is to be done; :mod:`.trainer` has compiled code do it (:mod:`.training`, :mod:`.narrow`
for the smallest networks, and :mod:`.extras` for what is seldom asked for), :mod:`.numpy_trainer` does it in NumPy;
:mod:`.computing` chooses between them.
From :mod:`.training` a step is followed down through its :mod:`.parts`, their :mod:`.batches`, :mod:`.passes` and
:mod:`.losses`, and :mod:`.products`, to the :mod:`.optimizers`.
"""
