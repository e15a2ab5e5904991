"""Functions and activations on their way to other processes: pickled, by Dask and joblib too, and spawned."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest

import fastact
from fastact.catalogue import ACTIVATIONS, Activation
from fastact.functions.registry import KINDS
from fastact.names import public_names
from tests.conftest import BACKENDS
from tests.processes import finish, run, start

PICKLES = pytest.mark.parametrize("pickles", [pickle, cloudpickle], ids=lambda module: str(module.__name__))

X = np.linspace(-3, 3, 7)


@fastact.activation
def importable(x: Any, slope: float = 0.5) -> Any:
    return x + slope * np.tanh(x)


def own(default: float = 0.5) -> tuple[Activation, Activation]:
    """Activations that nobody can import, one of them with a parameter."""

    @fastact.activation(range="(-inf, inf)", reference="nobody")
    def bent(x: Any, slope: float = default) -> Any:
        """A bend."""
        return x + slope * np.where(x > 0, x * x, np.exp(x))

    return bent, fastact.activation(lambda x: x * default + abs(x))


@PICKLES
@pytest.mark.parametrize("home", [fastact, fastact.fallback], ids=lambda module: str(module.__name__))
def test_functions_stay_what_they_are(pickles: Any, home: Any) -> None:
    for name in public_names():
        function = getattr(home, name)
        assert pickles.loads(pickles.dumps(function)) is function
        assert copy.deepcopy(function) is function


@PICKLES
@pytest.mark.parametrize("backend", ["numpy" if backend == "fallback" else "numba" for backend in BACKENDS])
def test_ufuncs_without_a_name(pickles: Any, backend: str) -> None:
    """What Dask is given of a function with parameters."""
    for activation in (*ACTIVATIONS.values(), *own(), importable):
        for kind in KINDS.values():
            for fixed in (False, True):
                ufunc = activation.ufunc(kind, backend, fixed)
                assert pickles.loads(pickles.dumps(ufunc)) is ufunc
                assert copy.deepcopy(ufunc) is ufunc


@PICKLES
def test_own_activations_here(pickles: Any) -> None:
    for activation in (*own(), importable):
        for thing in (activation, activation.value, activation.backward, activation.with_derivative):
            for other in (pickles.loads(pickles.dumps(thing)), copy.copy(thing), copy.deepcopy(thing)):
                assert other is thing
    assert pickles.loads(pickles.dumps(own(0.5)[0])) is not pickles.loads(pickles.dumps(own(0.25)[0]))


def test_own_functions_look_like_functions() -> None:
    bent, _ = own()
    assert str(inspect.signature(bent.value)) == "(x, slope=0.5, **keywords)"
    assert str(inspect.signature(bent.backward)) == "(grad, x, slope=0.5, **keywords)"
    assert bent.value.__name__ == "bent"
    assert bent.value.__module__ == __name__
    assert "A bend." in str(inspect.getdoc(bent.value))
    assert inspect.isroutine(bent.value)
    assert repr(bent.value).startswith("<function own.")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # pickle looks for a name through all that is imported
def test_other_ufuncs_are_pickled_as_before() -> None:
    assert pickle.loads(pickle.dumps(np.exp)) is np.exp
    assert copy.deepcopy(np.exp) is np.exp
    with pytest.raises(pickle.PicklingError):
        pickle.dumps(np.frompyfunc(abs, 1, 1))


READ = """
import pickle, sys
import numpy as np
things = pickle.loads(sys.stdin.buffer.read())
x = np.linspace(-3, 3, 7)
for thing in things:
    print(*np.ravel(thing(x)).tolist(), repr(thing).split()[0])
bent = things[0]
print(bent.parameters, bent.formula, bent.range, bent.reference, bent.summary, pickle.loads(pickle.dumps(bent)) is bent)
"""


@PICKLES
def test_own_activations_elsewhere(pickles: Any) -> None:
    """In a process that has none of their code, and asks for the derivative that the chain rule found."""
    bent, line = own()
    things: list[Callable[..., Any]] = [bent, bent.value, bent.derivative, line, line.value, line.with_derivative]
    process = start("-c", READ)
    assert process.stdin is not None
    process.stdin.buffer.write(pickles.dumps(things))
    *lines, about = finish(process).stdout.splitlines()
    assert len(lines) == len(things)
    for thing, printed in zip(things, lines):
        *numbers, kind = printed.split()
        assert [float(number) for number in numbers] == np.ravel(thing(X)).tolist()
        assert kind == repr(thing).split()[0]
    assert about == f"{bent.parameters} {bent.formula} (-inf, inf) nobody A bend. True"


#: Run as a program, so that what it defines is in __main__.
PROGRAM = """
import multiprocessing, pickle, sys
import cloudpickle, dask, dask.array as da, numpy as np, fastact
from fastact.functions.parameters import sample_parameters

@fastact.activation
def bent(x, slope=0.5):
    return x + slope * np.tanh(x)

@fastact.activation
def plain(x):
    return x * np.tanh(x)

def enclosed():
    @fastact.activation
    def bent(x, slope=0.25):
        return x - slope * np.tanh(x)
    return bent

x = np.linspace(-3, 3, 100)
own = [bent, plain, enclosed()]

def spawned():
    functions = [f for a in own for f in (a, a.value, a.derivative)] + [fastact.gelu, fastact.prelu_backward]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        for function in functions[:-1]:
            assert np.array_equal(pool.apply(function, (x,)), function(x))
        assert np.array_equal(pool.apply(functions[-1], (x, x, 0.5))[0], functions[-1](x, x, 0.5)[0])

def by_dask():
    chunks, tasks, expected = da.from_array(x, chunks=50), [], []
    for activation in [*fastact.ACTIVATIONS.values(), *own]:
        settings = sample_parameters(activation)
        for given in (settings, {name: value + 0.25 for name, value in settings.items()}):
            tasks.append(activation(chunks, **given))
            expected.append(activation(x, **given))
    for function in (fastact.gelu_backward, fastact.leaky_relu_backward, own[0].backward, own[1].backward):
        tasks.append(function(chunks, chunks))
        expected.append(function(x, x))
    pairs = [(fastact.prelu_backward, (x, x, 0.5))]
    pairs += [(function, (x,)) for function in (fastact.gelu_with_derivative, own[0].with_derivative)]
    tasks += [function(*(chunks if a is x else a for a in arguments))[0] for function, arguments in pairs]
    tasks += [dask.delayed(function)(*arguments)[0] for function, arguments in pairs]
    expected += [function(*arguments)[0] for function, arguments in pairs * 2]
    for ours, theirs in zip(dask.compute(*tasks, scheduler="processes", num_workers=1), expected):
        assert np.array_equal(ours, theirs)
    for function in (fastact.softmax, fastact.swiglu, fastact.log_softmax):
        array = chunks.map_blocks(function, dtype=x.dtype, chunks=((25, 25),) if function is fastact.swiglu else None)
        assert array.compute(scheduler="processes", num_workers=1).size

if __name__ == "__main__":
    {"spawned": spawned, "by_dask": by_dask}[sys.argv[1]]()
    print("done")
"""


@pytest.mark.parametrize("how", ["spawned", "by_dask"])
@pytest.mark.parametrize("backend", ["numpy" if backend == "fallback" else "numba" for backend in BACKENDS])
def test_other_processes(how: str, backend: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    finished = finish(start(str(program), how, FASTACT_BACKEND=backend))
    assert (finished.stdout, finished.stderr) == ("done\n", "")


def test_cloudpickle_where_the_fallback_has_not_been_imported() -> None:
    code = """
import cloudpickle, fastact
print(len(cloudpickle.dumps(fastact.gelu)) < 100, len(cloudpickle.dumps(fastact.softmax)) < 100)
"""
    assert run(code, FASTACT_BACKEND="numpy").stdout == "True True\n"
