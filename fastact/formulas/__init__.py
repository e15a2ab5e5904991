"""The language of formulas: what a plain Python function becomes when it is called on symbols instead of numbers.

Uses nothing else of this package. Begin with :mod:`.expressions`, the graph and its derivative; :mod:`.primitives`
has the functions that formulas call, and :mod:`.fallback` writes a graph out as NumPy.
"""
