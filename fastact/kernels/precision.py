"""The floating-point formats that kernels compute in."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

__all__ = ["BFLOAT16", "FLOAT16", "FLOAT32", "FLOAT64", "WIDE", "Precision"]


class Precision(NamedTuple):
    """What a kernel must know of the format it computes in."""

    name: str
    type: type[np.floating[Any]]
    size: int  # bits in all
    digits: int  # bits of the significand that are stored
    bias: int  # of the exponent
    log_max: float  # exp of a little less than this is finite, of this infinite
    log_min: float  # exp of this is zero
    log2_high: float  # log(2), its last bits cleared so that x - k * log2_high is exact
    log2_low: float  # log(2) - log2_high
    table: str  # of coefficients
    careful: bool = True  # whether rounding errors count
    newton: int = 0  # steps that a reciprocal needs from 14 bits; quotients of what is careful take one more

    def bits_of(self, value: float) -> int:
        return int(np.asarray(value, self.type).view(f"int{self.size}"))


FLOAT32 = Precision(
    "float32", np.float32, 32, 23, 127, 89.0, -104.0, 0.693145751953125, 1.42860682030941723212e-6, "float32"
)
FLOAT64 = Precision(
    "float64",
    np.float64,
    64,
    52,
    1023,
    709.9,
    -746.0,
    0.6931471803691238165,
    1.90821492927058770002e-10,
    "float64",
    newton=1,
)

#: float16 is computed in float32, whose rounding errors it never sees: what kernels do about them is left out,
#: and shorter polynomials do. Of 11 bits, 14 are enough: nothing is more than 0.67 ulp off.
FLOAT16 = FLOAT32._replace(table="float16", careful=False)

#: bfloat16 is the nearest number but for near ties, which 14 bits would leave too often.
BFLOAT16 = FLOAT16._replace(newton=1)

#: Sums of float32 terms are computed in float64, where the roundings of float32 do not add up; its polynomials will do.
WIDE = FLOAT64._replace(table="float32", careful=False, newton=2)
