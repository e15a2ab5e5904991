"""Genuine NumPy ufuncs made at run time, and all that a result needs: memory, keywords, nested loops, sums.

Uses kernels, runtime and below. Begin with :mod:`.ufunc`; :mod:`.keywords` puts parameters in front of one,
:mod:`.memory` is where results come from, :mod:`.nested` and :mod:`.sums` go over large arrays in one call.
:mod:`.direct` lets calls that repeat themselves skip all of Python.
"""
