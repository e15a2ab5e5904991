"""Small networks that train in one compiled call.

Uses layers and below. Begin with :mod:`.mlp`, what is public. A :mod:`.plan` says what is to be done; :mod:`.trainer`
has compiled code do it (:mod:`.training`, and :mod:`.narrow` for the smallest), :mod:`.numpy_trainer` does it in
NumPy. From :mod:`.training` a step is followed down through its :mod:`.parts`, their :mod:`.batches`, :mod:`.passes`
and :mod:`.losses`, and :mod:`.products`, to the :mod:`.optimizers`.
"""
