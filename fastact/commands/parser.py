"""The command line: ``fastact info``, ``fastact bench``, ``fastact apply``, ``fastact plot``, ``fastact demo`` and
``fastact cache``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

import fastact
from fastact.commands.errors import UsageError
from fastact.commands.streams import ended_like_interrupts, streams

__all__ = ["main"]

#: What ``demo`` can show; :mod:`.demo`, which knows how, is imported only then.
LESSONS = ("and-gate", "neuron", "regression", "pairings", "digits", "vanishing", "own")

DTYPES = ("float16", "float32", "float64")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="fastact", description="Neural-network activations for NumPy at the speed of memory.")
    parser.add_argument("--version", action="version", version=f"fastact {fastact.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)

    commands.add_parser("info", help="what runs here: backend, threads, vector width, cache, BLAS")

    bench = commands.add_parser("bench", help="time each function beside plain NumPy and beside a copy of its bytes")
    bench.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="functions, such as gelu or softmax_backward, or training; all by default",
    )
    bench.add_argument("--size", type=_size, default=10_000_000, metavar="N", help="elements (default: 1e7)")
    bench.add_argument("--dtype", choices=DTYPES, default="float32")
    bench.add_argument("--backward", action="store_true", help="time grad * f'(x) instead of f(x)")
    bench.add_argument(
        "--repeat", type=_size, default=15, metavar="N", help="rounds; medians are printed (default: 15)"
    )
    bench.add_argument("--peers", action="store_true", help="beside other libraries, too: those that are installed")
    bench.add_argument("--plot", metavar="FILE", help="a chart: png, svg or pdf")
    for style in ("json", "markdown"):
        bench.add_argument(f"--{style}", action="store_const", dest="style", const=style, default="text")

    apply = commands.add_parser("apply", help="apply a function to an array in a .npy file, however large")
    apply.add_argument("name", metavar="NAME", help="function, such as sigmoid or gelu_derivative")
    apply.add_argument("input", metavar="IN.npy", help="- for standard input")
    apply.add_argument("output", metavar="OUT.npy", help="- for standard output")
    apply.add_argument(
        "--set", action="append", default=[], metavar="PARAMETER=VALUE",
        help="a parameter, such as negative_slope=0.1 or approximate=tanh",
    )  # fmt: skip
    apply.add_argument("--axis", type=int, metavar="N", help="of a function of rows, such as softmax (default: -1)")

    plot = commands.add_parser("plot", help="draw activations, rows, gates and losses, and derivatives")
    plot.add_argument(
        "names", nargs="*", metavar="NAME", help="functions, or MODULE:FUNCTION; all activations by default"
    )
    plot.add_argument("--output", default="activations.png", metavar="FILE", help="png, svg or pdf (activations.png)")
    plot.add_argument("--limit", type=_limit, default=5, metavar="X", help="from -X to X (default: 5)")
    plot.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="PARAMETER=VALUE",
        help="a parameter, such as alpha=0.5,1,2; temperature of rows, a of gates, target of losses",
    )
    plot.add_argument("--same-axes", action="store_true", help="all in one panel")
    plot.add_argument("--no-derivative", action="store_false", dest="derivative", help="values alone")

    demo = commands.add_parser("demo", help="learn what tutorials teach, and compare with what they print")
    demo.add_argument("name", nargs="?", choices=LESSONS, default="digits", help="the lesson (default: digits)")
    demo.add_argument("--epochs", type=_size, metavar="N", help="times through the data (default: the lesson's)")
    demo.add_argument("--seed", type=_seed, default=0, metavar="N", help="of weights, shuffling and data drawn")
    demo.add_argument("--compare", action="store_true", help="have torch learn the same, too")
    demo.add_argument("--save", metavar="FILE", help="a picture; of neuron, a .gif that shows it learn")

    cache = commands.add_parser("cache", help="where compiled code is kept; compile ahead, or clear it")
    cache.add_argument("--clear", action="store_true", help="remove what is kept")
    cache.add_argument(
        "--warm", nargs="*", metavar="NAME", help="compile functions, and MLP for training; all if none is named"
    )
    cache.add_argument("--dtype", nargs="+", choices=DTYPES, default=["float32", "float64"])
    return parser


def _size(text: str) -> int:
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 1 <= number <= 1e15 or number != int(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(number)


def _limit(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number <= 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0, up to 1e6")
    return number


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    with streams() as complain, ended_like_interrupts() as end:
        try:
            code = _run(_parser().parse_args(arguments))
            sys.stdout.flush()
            return code
        except BrokenPipeError:  # whoever read our output has seen enough
            return 1
        except UsageError as error:
            return complain(str(error), 2)
        except MemoryError:
            return complain("not enough memory for arrays of that size", 2)
        except OSError as error:
            if error.filename is not None:
                raise
            return complain(f"cannot write standard output: {error.strerror or error}", 2)
        except (ValueError, ImportError) as error:  # an environment variable that makes no sense
            if "FASTACT_" not in str(error):
                raise
            return complain(str(error), 2)
        except KeyboardInterrupt:
            end()
            return complain("interrupted", 130)


def _run(chosen: argparse.Namespace) -> int:
    if chosen.command == "info":
        from fastact.commands.info import run_info

        return run_info()
    if chosen.command == "cache":
        from fastact.commands.cache import run_cache

        return run_cache(chosen.warm, chosen.dtype, chosen.clear)
    if chosen.command == "bench":
        from fastact.commands.bench import run_bench

        options = chosen.style, chosen.peers, chosen.plot
        return run_bench(chosen.names, chosen.size, chosen.dtype, chosen.backward, chosen.repeat, *options)
    if chosen.command == "plot":
        from fastact.commands.plot import run_plot

        return run_plot(chosen.names, chosen.output, chosen.limit, chosen.set, chosen.same_axes, chosen.derivative)
    if chosen.command == "demo":
        from fastact.commands.demo import run_demo

        return run_demo(chosen.name, chosen.epochs, chosen.seed, chosen.save, chosen.compare)
    from fastact.commands.apply import run_apply

    return run_apply(chosen.name, chosen.input, chosen.output, chosen.set, chosen.axis)
