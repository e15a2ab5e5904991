"""What a formula is in terms of the machine: exponentials, logarithms and quotients as branch-free arithmetic.

Uses formulas, and simd. Begin with :mod:`.functions`, a rule for each function of the language; :mod:`.emit` writes
what comes out as the source of a SIMD loop.
"""
