"""The catalogue: every activation, its value and its derivative side by side. Nothing else names one.

Each entry is a formula in the sense of :mod:`fastact.formulas.expressions`: plain mathematics on ``x`` that returns
``value, derivative``, both careful where a textbook's version would overflow, cancel or vanish. The
derivative at a kink is the one that torch's autograd returns. NaN gives NaN, so a comparison
that decides between pieces is written to let NaN through to a piece that contains x.
"""

from fastact.catalogue import piecewise, smooth, special
from fastact.functions.activations import ACTIVATIONS, Activation, activation
from fastact.functions.registry import SPECIAL, get

__all__ = ["ACTIVATIONS", "SPECIAL", "Activation", "activation", "get", "piecewise", "smooth", "special"]
