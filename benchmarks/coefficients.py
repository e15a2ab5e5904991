"""Derive the polynomial coefficients in fastact/coefficients.py.

``python -m benchmarks.coefficients`` prints the file; ``--write`` writes it. Each polynomial
interpolates its function at the Chebyshev nodes of its interval, in 60 digits: within a factor
of two or three of the minimax error, without an iteration that could stop early, so a degree
more is all it costs. Needs mpmath.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import mpmath as mp

TARGET = Path(__file__).parent.parent / "fastact" / "formulas" / "coefficients.py"


def interpolate(function: Callable[[mp.mpf], mp.mpf], low: mp.mpf, high: mp.mpf, degree: int) -> list[mp.mpf]:
    """Coefficients, highest power first, of the polynomial through the Chebyshev nodes of [low, high]."""
    n = degree + 1
    nodes = [(low + high) / 2 + (high - low) / 2 * mp.cos(mp.pi * (2 * i + 1) / (2 * n)) for i in range(n)]
    powers = mp.matrix(n, n)
    for i, x in enumerate(nodes):
        for j in range(n):
            powers[i, j] = x ** (degree - j)
    return list(mp.lu_solve(powers, mp.matrix([function(x) for x in nodes])))


def exp_remainder(r: mp.mpf) -> mp.mpf:
    """exp(r) = 1 + r + r**2 * this."""
    return mp.hyp1f1(1, 3, r) / 2


def gauss_ratio(s: mp.mpf) -> mp.mpf:
    """exp(-s / 2) = 1 + s * this."""
    return -mp.hyp1f1(1, 2, -s / 2) / 2


def log1p_remainder(f: mp.mpf) -> mp.mpf:
    """log1p(f) = f + f**2 * this."""
    return -mp.hyp2f1(1, 2, 3, -f) / 2


def atanh_remainder(w: mp.mpf) -> mp.mpf:
    """atanh(s) = s + s**3 * this, with w = s**2."""
    return mp.hyp2f1(1, 1.5, 2.5, w) / 3


def atanh_rest(w: mp.mpf) -> mp.mpf:
    """atanh(s) = s + s**3 / 3 + s**5 * this, with w = s**2."""
    return mp.hyp2f1(1, 2.5, 3.5, w) / 5


def sine_remainder(w: mp.mpf) -> mp.mpf:
    """sin(r) = r + r**3 * this, with w = r**2."""
    return -mp.hyp1f2(1, 2, 2.5, -w / 4) / 6


def cosine_remainder(w: mp.mpf) -> mp.mpf:
    """cos(r) = 1 - r**2 / 2 + r**4 * this, with w = r**2."""
    return mp.hyp1f2(1, 2.5, 3, -w / 4) / 24


def arctan_remainder(w: mp.mpf) -> mp.mpf:
    """atan(t) = t + t**3 * this, with w = t**2."""
    return -mp.hyp2f1(1, 1.5, 2.5, -w) / 3


def erf_ratio(w: mp.mpf) -> mp.mpf:
    """erf(x) = x * this, with w = x**2."""
    return 2 / mp.sqrt(mp.pi) * mp.hyp1f1(0.5, 1.5, -w)


def coshm1_over_square(w: mp.mpf) -> mp.mpf:
    """cosh(x) = 1 + x**2 * this, with w = x**2."""
    return mp.hyp1f2(1, 1.5, 2, w / 4) / 2


def tanhshrink_remainder(w: mp.mpf) -> mp.mpf:
    """x - tanh(x) = x**3 / 3 - x**5 * this, with w = x**2."""
    x = mp.sqrt(w)
    return (mp.mpf(1) / 3 - (x - mp.tanh(x)) / x**3) / w if w > mp.mpf("1e-15") else mp.mpf(2) / 15 - 17 * w / 315


def tanh_remainder(w: mp.mpf) -> mp.mpf:
    """tanh(r) = r + r**3 * this, with w = r**2."""
    r = mp.sqrt(w)
    return (mp.tanh(r) - r) / r**3 if w > mp.mpf("1e-15") else 2 * w / 15 - mp.mpf(1) / 3


class TailVariable(NamedTuple):
    """v = (z - c) / (z + a): all of z >= 0 on a short interval, where the tails are smooth."""

    a: int
    c: float
    limit: float  # of z, beyond which Phi(-z) vanishes in this precision

    def z(self, v: mp.mpf) -> mp.mpf:
        return (self.c + self.a * v) / (1 - v)

    def fit(self, function: Callable[[mp.mpf], mp.mpf], degree: int) -> list[mp.mpf]:
        """Coefficients in v of a function of z."""
        low, high = ((mp.mpf(z) - self.c) / (mp.mpf(z) + self.a) for z in (0, self.limit))
        return interpolate(lambda v: function(self.z(v)), low, high, degree)

    def fit_rounded(self, function: Callable[[mp.mpf], mp.mpf], degree: int) -> list[mp.mpf]:
        """The same for float64, the lowest coefficients rounded in turn: what one lacks, the others are fitted to."""
        low, high = ((mp.mpf(z) - self.c) / (mp.mpf(z) + self.a) for z in (0, self.limit))
        count = 3 * degree
        angles = [mp.pi * (2 * i + 1) / (2 * count) for i in range(count)]
        points = [(low + high) / 2 + (high - low) / 2 * mp.cos(angle) for angle in angles]
        values = [function(self.z(v)) for v in points]
        known: list[mp.mpf] = []
        while True:
            rest = [1 - sum(c * v**j for j, c in enumerate(known)) / value for v, value in zip(points, values)]
            powers = [[v**j / value for j in range(len(known), degree + 1)] for v, value in zip(points, values)]
            others = list(mp.lu_solve(mp.matrix(powers), mp.matrix(rest)))  # least squares of relative errors
            if len(known) == 6:  # the roundings of higher ones are too small to count
                return [*known, *others][::-1]
            known.append(mp.mpf(float(others[0])))


#: c = 0 keeps z = 0 free of cancellation; half of a shortens the sums at the far end, and makes the variable
#: 3 / 2 z / (z + a) - 1 / 2, with exact numbers. Which matters more was measured.
FLOAT32, FLOAT64 = TailVariable(2, 0, 19.7), TailVariable(3, 1.5, 54)


def scaled_normal_tail(a: int) -> Callable[[mp.mpf], mp.mpf]:
    """(z + a) * exp(z**2 / 2) * Phi(-z)."""
    return lambda z: (z + a) * mp.exp(z * z / 2) * mp.erfc(z / mp.sqrt(2)) / 2


def gelu_root() -> mp.mpf:
    """The derivative of gelu, Phi(x) + x phi(x), is zero at minus this."""
    return -mp.findroot(lambda x: mp.ncdf(x) + x * mp.npdf(x), mp.mpf("-0.75"))


def gelu_slope() -> Callable[[mp.mpf], mp.mpf]:
    """exp(z**2 / 2) * (Phi(-z) - z phi(z)) / (root - z)."""
    root = gelu_root()
    return lambda z: (mp.exp(z * z / 2) * mp.erfc(z / mp.sqrt(2)) / 2 - z / mp.sqrt(2 * mp.pi)) / (root - z)


class Piece(NamedTuple):
    """tanh(center + r), as a polynomial in r, lowest power first."""

    center: mp.mpf
    coefficients: list[mp.mpf]


def tanh_piece(low: mp.mpf, high: mp.mpf) -> Piece:
    """Degree 5 on an interval; about a number at which tanh is nearly a float32, so that the sum is rounded once."""

    def off(center: mp.mpf) -> mp.mpf:
        nearest, rest = two_parts(mp.tanh(center), DIGITS["float32"])
        return abs(rest / nearest)

    middle = (low + high) / 2
    candidates = [middle + (high - low) * mp.mpf(j) / 1024 for j in range(-64, 65)]
    center = min((two_parts(c, 20)[0] for c in candidates), key=off) if low > 0 else low

    def slope(r: mp.mpf) -> mp.mpf:
        return (mp.tanh(center + r) - mp.tanh(center)) / r if abs(r) > mp.mpf("1e-25") else mp.sech(center) ** 2

    steep = interpolate(slope, low - center, high - center, 4)
    return Piece(center, [mp.tanh(center), *reversed(steep)])


#: tanh rounds to 1 from here on.
TANH_LIMIT = mp.mpf("9.02")
TANH_LIMIT_WIDE = mp.mpf("19.07")


def tanh_pieces() -> list[Piece]:
    """Four to the octave from 1/16 to 16, in the order of the bits that say which: the last three of the exponent and
    the first two of the significand. The first reaches down to 0."""
    pieces = [Piece(mp.mpf(0), [mp.mpf(0)])] * 32
    for exponent in range(-4, 4):
        for quarter in range(4):
            low, high = (mp.mpf(2) ** exponent * (1 + mp.mpf(q) / 4) for q in (quarter, quarter + 1))
            first = (exponent, quarter) == (-4, 0)
            if low < TANH_LIMIT:
                piece = tanh_piece(mp.mpf(0) if first else low, min(high, TANH_LIMIT))
                pieces[(exponent + 127) % 8 * 4 + quarter] = piece
    return [piece._replace(coefficients=(piece.coefficients + [mp.mpf(0)] * 5)[:6]) for piece in pieces]


def tables() -> dict[str, tuple[str, dict[str, list[mp.mpf]]]]:
    half_log2 = mp.log(2) / 2 * mp.mpf("1.0001")
    return {
        "EXP": (
            "exp(r) = 1 + r + r**2 P(r) for abs(r) <= log(2) / 2",
            {
                name: interpolate(exp_remainder, -half_log2, half_log2, n)
                for name, n in (("float16", 3), ("float32", 5), ("float64", 9))
            },
        ),
        "EXPM1": (
            "the same, good enough for exp(r) - 1 too",
            {
                name: interpolate(exp_remainder, -half_log2, half_log2, n)
                for name, n in (("float16", 3), ("float32", 5), ("float64", 10))
            },
        ),
        "EXP_SIXTEENTH": (
            "exp(r) = 1 + r + r**2 P(r) for abs(r) <= log(2) / 32",
            {
                name: interpolate(exp_remainder, -half_log2 / 16, half_log2 / 16, n)
                for name, n in (("float16", 1), ("float32", 1), ("float64", 5))
            },
        ),
        "EXPM1_SIXTEENTH": (
            "the same, for exp(r) - 1 as small as log(2) / 32",
            {
                name: interpolate(exp_remainder, -half_log2 / 16, half_log2 / 16, n)
                for name, n in (("float16", 1), ("float32", 2), ("float64", 6))
            },
        ),
        "EXP_QUARTER": (
            "exp(r) = 1 + r + r**2 P(r) for abs(r) <= log(2) / 8, and good enough for exp(r) - 1 too",
            {
                name: interpolate(exp_remainder, -half_log2 / 4, half_log2 / 4, n)
                for name, n in (("float16", 1), ("float32", 3))
            },
        ),
        "EXP2_QUARTER": ("2**(j / 4) for j = 0 to 7", {"float32": roots(DIGITS["float32"], 4, 8)[0]}),
        "EXP2_QUARTER_IN_OCTAVE": (
            "2**(j / 4) for j = 0 to 3, twice",
            {"float32": 2 * roots(DIGITS["float32"], 4, 4)[0]},
        ),
        "EXP2_QUARTER_RELATIVE_ERROR": (
            "what its rounding lacks, as a part of it",
            {"float32": [error / root for root, error in zip(*roots(DIGITS["float32"], 4, 8))]},
        ),
        "EXP2": ("2**(j / 16) for j = 0 to 15", {name: roots(digits)[0] for name, digits in DIGITS.items()}),
        "EXP2_ERROR": ("what the rounding of EXP2 lacks", {name: roots(digits)[1] for name, digits in DIGITS.items()}),
        "EXP2_RELATIVE_ERROR": (
            "EXP2_ERROR / EXP2",
            {name: [error / root for root, error in zip(*roots(digits))] for name, digits in DIGITS.items()},
        ),
        "GAUSS": (
            "exp(-s / 2) = 1 + s P(s) for abs(s) <= log(2)",
            {
                name: interpolate(gauss_ratio, -2 * half_log2, 2 * half_log2, n)
                for name, n in (("float16", 3), ("float32", 5), ("float64", 10))
            },
        ),
        "TANH_SMALL": (
            "tanh(r) = r + r**3 P(r**2) for abs(r) <= log(2) / 4",
            {
                name: interpolate(tanh_remainder, mp.mpf(0), (half_log2 / 2) ** 2, n)
                for name, n in (("float16", 0), ("float32", 2), ("float64", 6))
            },
        ),
        "TANH_LIMIT": (
            "tanh rounds to 1 from here on",
            {"float16": [TANH_LIMIT], "float32": [TANH_LIMIT], "float64": [TANH_LIMIT_WIDE]},
        ),
        "TANH_CENTER": (
            "tanh(c + r) = TANH_0 + TANH_1 r + ... + TANH_5 r**5 up to 16, four c to the octave; c = 0 up to 5/64",
            {"float32": [piece.center for piece in tanh_pieces()]},
        ),
        **{
            f"TANH_{n}": ("see TANH_CENTER", {"float32": [piece.coefficients[n] for piece in tanh_pieces()]})
            for n in range(6)
        },
        "LOG1P": (
            "log1p(f) = f + f**2 P(f) for -1/4 <= f <= 1/2",
            {
                name: interpolate(log1p_remainder, -mp.mpf(1) / 4, mp.mpf(1) / 2, n)
                for name, n in (("float16", 6), ("float32", 9))
            },
        ),
        "ATANH": (
            "atanh(s) = s + s**3 P(s**2) for abs(s) <= 1/5",
            {"float64": interpolate(atanh_remainder, mp.mpf(0), mp.mpf(1) / 25, 8)},
        ),
        "ATANH_REST": (
            "atanh(s) = s + s**3 / 3 + s**5 P(s**2) for abs(s) <= 1/5",
            {
                name: interpolate(atanh_rest, mp.mpf(0), mp.mpf(1) / 25, n)
                for name, n in (("float16", 1), ("float32", 3), ("float64", 8))
            },
        ),
        "HALF_PI": (
            "pi / 2 in three parts",
            {name: three_parts(mp.pi / 2, n) for name, n in (("float16", 24), ("float32", 24), ("float64", 53))},
        ),
        "SINE": (
            "sin(r) = r + r**3 P(r**2) for abs(r) <= 4/5",
            {
                name: interpolate(sine_remainder, mp.mpf(0), mp.mpf("0.64"), n)
                for name, n in (("float16", 1), ("float32", 3), ("float64", 6))
            },
        ),
        "COSINE": (
            "cos(r) = 1 - r**2 / 2 + r**4 P(r**2) for abs(r) <= 4/5",
            {
                name: interpolate(cosine_remainder, mp.mpf(0), mp.mpf("0.64"), n)
                for name, n in (("float16", 1), ("float32", 3), ("float64", 6))
            },
        ),
        "ARCTAN": (
            "atan(t) = t + t**3 P(t**2) for abs(t) <= tan(pi / 8)",
            {
                name: interpolate(arctan_remainder, mp.mpf(0), mp.tan(mp.pi / 8) ** 2 * mp.mpf("1.0001"), n)
                for name, n in (("float16", 2), ("float32", 4), ("float64", 11))
            },
        ),
        "ERF": (
            "erf(x) = x P(x**2) for abs(x) <= 1",
            {
                name: interpolate(erf_ratio, mp.mpf(0), mp.mpf(1), n)
                for name, n in (("float16", 4), ("float32", 7), ("float64", 13))
            },
        ),
        "ATANH_THIRD": (
            "2 atanh(s) = 2 s + s**3 P(s**2) for 0 <= s <= 1/3",
            {
                name: interpolate(lambda w: 2 * atanh_remainder(w), mp.mpf(0), mp.mpf(1) / 9, n)
                for name, n in (("float16", 1), ("float32", 3), ("float64", 9))
            },
        ),
        "ATANH_NINTH": (
            "2 atanh(s) = 2 s + s**3 P(s**2) for 0 <= s <= 0.115",
            {
                name: interpolate(lambda w: 2 * atanh_remainder(w), mp.mpf(0), mp.mpf(1) / 75, n)
                for name, n in (("float32", 1), ("float64", 5))
            },
        ),
        "LOG1P_NEAR": (
            "log1p(f) = f + f**2 P(f) for 0 <= f <= 0.26",
            {"float16": interpolate(log1p_remainder, mp.mpf(0), mp.mpf("0.26"), 2)},
        ),
        "COSHM1": (
            "cosh(x) - 1 = x**2 P(x**2) for abs(x) <= 7/10",
            {
                name: interpolate(coshm1_over_square, mp.mpf(0), mp.mpf("0.4901"), n)
                for name, n in (("float16", 2), ("float32", 3), ("float64", 6))
            },
        ),
        "TANHSHRINK": (
            "x - tanh(x) = x**3 / 3 - x**5 P(x**2) for abs(x) <= 1",
            {
                name: interpolate(tanhshrink_remainder, mp.mpf(0), mp.mpf(1), n)
                for name, n in (("float16", 4), ("float32", 7), ("float64", 16))
            },
        ),
        "NORMAL_TAIL": (
            "Phi(-z) = exp(-z**2 / 2) P((z - c) / (z + a)) / (z + a) for z >= 0, with TAIL_VARIABLE = a, c",
            {
                "float16": FLOAT32.fit(scaled_normal_tail(FLOAT32.a), degree=6),
                "float32": FLOAT32.fit(scaled_normal_tail(FLOAT32.a), degree=11),
                "float64": FLOAT64.fit_rounded(scaled_normal_tail(FLOAT64.a), degree=23),
            },
        ),
        "GELU_SLOPE": (
            "Phi(-z) - z phi(z) = exp(-z**2 / 2) (root - z) P((z - c) / (z + a)) for z >= 0",
            {
                "float16": FLOAT32.fit(gelu_slope(), degree=6),
                "float32": FLOAT32.fit(gelu_slope(), degree=10),
                "float64": FLOAT64.fit(gelu_slope(), degree=23),
            },
        ),
        "TAIL_VARIABLE": (
            "a and c of the two above",
            {
                name: [mp.mpf(v.a), mp.mpf(v.c)]
                for name, v in (("float16", FLOAT32), ("float32", FLOAT32), ("float64", FLOAT64))
            },
        ),
        "GELU_ROOT": (
            "the root in two parts",
            {name: two_parts(gelu_root(), n) for name, n in (("float16", 24), ("float32", 24), ("float64", 53))},
        ),
    }


def two_parts(value: mp.mpf, digits: int) -> list[mp.mpf]:
    """A number rounded to that many binary digits, and what is missing."""
    with mp.workprec(digits):
        high = +value
    return [high, value - high]


def three_parts(value: mp.mpf, digits: int) -> list[mp.mpf]:
    high, rest = two_parts(value, digits)
    return [high, *two_parts(rest, digits)]


#: Bits of a significand.
DIGITS = {"float32": 24, "float64": 53}


def roots(digits: int, root: int = 16, count: int = 16) -> tuple[list[mp.mpf], list[mp.mpf]]:
    """The first powers of a root of 2, in two parts."""
    pairs = [two_parts(mp.mpf(2) ** (mp.mpf(j) / root), digits) for j in range(count)]
    return [high for high, _ in pairs], [low for _, low in pairs]


#: Tables that are looked up in.
LOOKUPS = (
    *("EXP2", "EXP2_ERROR", "EXP2_RELATIVE_ERROR", "EXP2_QUARTER"),
    *("EXP2_QUARTER_IN_OCTAVE", "EXP2_QUARTER_RELATIVE_ERROR"),
    *("TANH_CENTER", *(f"TANH_{n}" for n in range(6))),
)


def source() -> str:
    with mp.workdps(60):
        parts = [
            '"""Polynomial coefficients, highest power first. Written by benchmarks/coefficients.py: see there."""',
            "from __future__ import annotations",
        ]
        for name, (meaning, precisions) in tables().items():
            lines = [f"#: {meaning}", f"{name} = {{"]
            for precision, coefficients in precisions.items():
                lines.append(f'    "{precision}": (')
                lines += [f"        {mp.nstr(c, 20, min_fixed=0, max_fixed=0)}," for c in coefficients]
                lines.append("    ),")
            parts.append("\n".join([*lines, "}"]))
        lookups = ",\n".join(f'    "{name}"' for name in LOOKUPS)
        parts.append(
            f"#: Tables that fill a register or two, in which one instruction can look up.\nLOOKUPS = (\n{lookups},\n)"
        )
    return "\n\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help=f"write {TARGET.name} instead of printing it")
    if parser.parse_args().write:
        TARGET.write_text(source())
    else:
        print(source(), end="")


if __name__ == "__main__":
    main()
