"""Losses and their gradients.

Uses rows and below. Begin with :mod:`.catalogue`, the formulas; :mod:`.elementwise` makes functions of them, and
:mod:`.classification` is the cross entropy of whole rows.
"""
