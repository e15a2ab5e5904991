"""The words of compiled code: vectors, how they are loaded and stored, and the tables through which compiled code and
Python talk to each other.

Uses nothing else of this package. Everything but :mod:`.registers` and :mod:`.layout` imports Numba, and is imported
only when something has to be compiled. Begin with :mod:`.vectors`, the language that kernels are written in, then
:mod:`.memory`, how vectors are loaded and stored, and :mod:`.blocks`, which brings the operands of a loop to kernels.
"""
