"""What makes code run: who computes, the compiler and its cache, the pool of threads, and NumPy's C interface.

Uses simd. Begin with :mod:`.backends` (Numba or NumPy, and why), then :mod:`.compiler`, the way from source to an
address; :mod:`.sources` says under which key that is kept. :mod:`.pool` is the threads' compiled code,
:mod:`.threads` the record through which Python governs it.
"""
