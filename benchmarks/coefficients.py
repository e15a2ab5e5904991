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

import mpmath as mp

TARGET = Path(__file__).parent.parent / "fastact" / "coefficients.py"


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


def log1p_remainder(f: mp.mpf) -> mp.mpf:
    """log1p(f) = f + f**2 * this."""
    return -mp.hyp2f1(1, 2, 3, -f) / 2


def atanh_remainder(w: mp.mpf) -> mp.mpf:
    """atanh(s) = s + s**3 * this, with w = s**2."""
    return mp.hyp2f1(1, 1.5, 2.5, w) / 3


def scaled_normal_tail(a: int) -> Callable[[mp.mpf], mp.mpf]:
    """(z + a) * exp(z**2 / 2) * Phi(-z) as a function of t = (z - a) / (z + a): smooth over all of z >= 0."""

    def function(t: mp.mpf) -> mp.mpf:
        z = a * (1 + t) / (1 - t)
        return (z + a) * mp.exp(z * z / 2) * mp.erfc(z / mp.sqrt(2)) / 2

    return function


#: Where the derivative of gelu, Phi(x) + x phi(x), is zero: at minus this.
def gelu_root() -> mp.mpf:
    return -mp.findroot(lambda x: mp.ncdf(x) + x * mp.npdf(x), mp.mpf("-0.75"))


def gelu_slope(a: int) -> Callable[[mp.mpf], mp.mpf]:
    """exp(z**2 / 2) * (Phi(-z) - z phi(z)) / (root - z) as a function of t = (z - a) / (z + a)."""
    root = gelu_root()

    def function(t: mp.mpf) -> mp.mpf:
        z = a * (1 + t) / (1 - t)
        return (mp.exp(z * z / 2) * mp.erfc(z / mp.sqrt(2)) / 2 - z / mp.sqrt(2 * mp.pi)) / (root - z)

    return function


def tail_interval(z: float, a: int) -> tuple[mp.mpf, mp.mpf]:
    """The range of t for arguments from 0 to z, where Phi(-z) vanishes."""
    return -mp.mpf(1), (mp.mpf(z) - a) / (mp.mpf(z) + a)


def tables() -> dict[str, tuple[str, dict[str, list[mp.mpf]]]]:
    half_log2 = mp.log(2) / 2 * mp.mpf("1.0001")
    return {
        "EXP": (
            "exp(r) = 1 + r + r**2 P(r) for abs(r) <= log(2) / 2",
            {
                name: interpolate(exp_remainder, -half_log2, half_log2, n)
                for name, n in (("float32", 4), ("float64", 9))
            },
        ),
        "LOG1P": (
            "log1p(f) = f + f**2 P(f) for -1/4 <= f <= 1/2",
            {"float32": interpolate(log1p_remainder, -mp.mpf(1) / 4, mp.mpf(1) / 2, 9)},
        ),
        "ATANH": (
            "atanh(s) = s + s**3 P(s**2) for abs(s) <= 1/5",
            {"float64": interpolate(atanh_remainder, mp.mpf(0), mp.mpf(1) / 25, 8)},
        ),
        "NORMAL_TAIL": (
            "Phi(-z) = exp(-z**2 / 2) P((z - a) / (z + a)) / (z + a) for z >= 0; a is 4 in float32, 5 in float64",
            {
                "float32": interpolate(scaled_normal_tail(4), *tail_interval(14.6, 4), degree=9),
                "float64": interpolate(scaled_normal_tail(5), *tail_interval(38.7, 5), degree=22),
            },
        ),
        "GELU_SLOPE": (
            "Phi(-z) - z phi(z) = exp(-z**2 / 2) (root - z) P((z - a) / (z + a)) for z >= 0, a as above",
            {
                "float32": interpolate(gelu_slope(4), *tail_interval(14.6, 4), degree=9),
                "float64": interpolate(gelu_slope(5), *tail_interval(38.7, 5), degree=22),
            },
        ),
        "GELU_ROOT": (
            "the root in two parts, in each precision",
            {"float32": two_parts(gelu_root(), 24), "float64": two_parts(gelu_root(), 53)},
        ),
    }


def two_parts(value: mp.mpf, digits: int) -> list[mp.mpf]:
    """A number rounded to that many binary digits, and what is missing."""
    with mp.workprec(digits):
        high = +value
    return [high, value - high]


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
