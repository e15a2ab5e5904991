"""Functions along an axis: the softmax family, sums of exponentials, normalization, and gates.

Uses the catalogue, functions, ufuncs and below. Begin with :mod:`.softmax`, what is public (as in :mod:`.sparse`,
:mod:`.sums`, :mod:`.normalization` and :mod:`.gates`), and :mod:`.shapes`, which sees any array as rows.
:mod:`.engine` gives compiled tasks (:mod:`.kernels`, :mod:`.tasks`) their work, and :mod:`.fallback` is the same in
NumPy.
"""
