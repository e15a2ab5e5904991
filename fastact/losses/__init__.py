"""Losses and their gradients.

Uses rows and below. Begin with :mod:`.catalogue`, the formulas: :mod:`.definition` says what may be in them, and
:mod:`.elementwise` makes functions of them. Losses of whole rows: :mod:`.classification` (the cross entropy) and
:mod:`.labels`, whose arguments :mod:`.problems` checks. Those of sets: :mod:`.overlap`.
"""
