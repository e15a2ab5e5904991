"""Which operations formulas are made of: their names, how many operands each takes, and what else they are called.

Everything that reads or writes formulas looks here; :mod:`fastact.kernels.instructions` adds the operations that only
machines have.
"""

from __future__ import annotations

__all__ = ["ALIASES", "ARITY", "FITTED", "LEAVES", "TRUTH_VALUED"]

#: Operations that stand for a number by themselves.
LEAVES = {"variable", "constant", "constant_error"}

#: Operations whose result is a truth value; they have no derivative.
TRUTH_VALUED = {"less", "less_equal", "greater", "greater_equal", "equal", "not_equal"}
TRUTH_VALUED |= {"logical_and", "logical_or", "logical_not"}

#: The tables of fastact.formulas.coefficients that a formula can ask for.
FITTED = ("COSHM1", "ERF", "TANHSHRINK")

#: Operands of each operation; fastact.formulas.language adds the words that everybody knows.
ARITY = dict.fromkeys(["add", "subtract", "multiply", "divide", "logical_and", "logical_or"], 2)
ARITY |= dict.fromkeys(TRUTH_VALUED - {"logical_not"}, 2) | {"logical_not": 1, "where": 3, "negative": 1}
ARITY |= {"log1p_exp": 3, "normal_tail": 2, "gelu_slope": 1, "gauss_times": 2, "product_error": 2, "exp_times": 3}
ARITY |= {"sum_error": 2, "quick_sum_error": 2, "exp_error": 2, "expm1_error": 1, "sqrt_error": 2, "quotient": 4}
ARITY |= {"logistic_times": 3, "logistic_times_any": 4, "exp_times_any": 4, "expm1_times": 3, "quotient_error": 2}
ARITY |= {"leading_bits": 1, "log1p_near": 1, "tanh_times": 2, "tanh_and_slope": 1}
ARITY |= {f"fitted_{table}": 1 for table in FITTED} | {"fma": 3, "constant_error": 1}

#: Other names under which NumPy, SciPy and Python know these operations.
ALIASES = {"true_divide": "divide", "fabs": "absolute", "abs": "absolute", "bitwise_and": "logical_and"}
ALIASES |= {"bitwise_or": "logical_or", "invert": "logical_not", "fmax": "maximum", "fmin": "minimum", "atan": "arctan"}
