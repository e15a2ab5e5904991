"""Small networks that train in one compiled call.

Uses layers and below. Begin with :mod:`.mlp`, what is public. A :mod:`.plan` says what is to be done; :mod:`.trainer`
has compiled code do it (:mod:`.training`, and :mod:`.narrow` for the smallest), :mod:`.numpy_trainer` does it in
NumPy.
"""
