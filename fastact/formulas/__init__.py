"""The language of formulas: what a plain Python function becomes when it is called on symbols instead of numbers.

Uses nothing else of this package. Begin with :mod:`.expressions`, the graph and its derivative; :mod:`.language` is
the table of the words that formulas can say, which :mod:`.careful` and :mod:`.abbreviations` go on with,
:mod:`.primitives` has those that only this package knows, :mod:`.precise` numbers that keep what roundings take away,
and :mod:`.fallback` writes a graph out as NumPy.
"""

from fastact.formulas import abbreviations, careful, language

__all__ = ["abbreviations", "careful", "language"]
