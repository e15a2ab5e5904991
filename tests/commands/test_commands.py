"""The command line: what it prints, writes and leaves behind, and one clear line for every mistake."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastact
from fastact.commands.parser import main
from tests.conftest import needs_posix
from tests.processes import PRELUDE, finish, interrupted, start

Capture = pytest.CaptureFixture[str]


def one_line_of_complaint(errors: str) -> bool:
    return errors.startswith("fastact: ") and errors.count("\n") == 1 and errors.endswith("\n")


def saved(folder: Path, x: Any, name: str = "in.npy") -> Path:
    path = folder / name
    np.save(path, x)
    return path


# -- info -------------------------------------------------------------------------------


def test_info_says_what_runs(capsys: Capture) -> None:
    assert main(["info"]) == 0
    output, errors = capsys.readouterr()
    rows = {line.split(maxsplit=1)[0]: line.split(maxsplit=1)[1] for line in output.splitlines()}
    assert rows["fastact"] == fastact.__version__
    assert rows["numpy"] == np.__version__
    assert rows["backend"].startswith(f"{fastact.backend()} (")
    assert rows["threads"].startswith(f"{fastact.get_num_threads()} of ")
    assert ("cache" in rows) == (fastact.backend() == "numba")
    assert rows["matrix"].startswith(("products  compiled here (", "products  NumPy's BLAS ("))
    assert errors == ""


# -- plot -------------------------------------------------------------------------------------------


def test_plot_draws_all_and_some(tmp_path: Path, capsys: Capture) -> None:
    pytest.importorskip("matplotlib")
    for names, count in (([], len(fastact.ACTIVATIONS)), (["gelu", "expit"], 2)):
        target = tmp_path / f"{count}.svg"
        assert main(["plot", *names, "--output", str(target), "--limit", "0.5"]) == 0
        assert f"{count} activations" in capsys.readouterr().out
        assert "gelu" in target.read_text() or target.stat().st_size > 10_000


def test_plot_of_ones_own_and_of_several_parameters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    Path("mine_to_plot.py").write_text("def bent(x, slope=1.0):\n    return x + slope * (x * x + 1) ** 0.5\n")
    arguments = ["mine_to_plot:bent", "elu", "--set", "alpha=0.5,2", "--same-axes", "--output", "mine.svg"]
    assert main(["plot", *arguments]) == 0
    assert "2 activations" in capsys.readouterr().out
    assert Path("mine.svg").stat().st_size > 5_000


def test_plot_of_every_family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    Path("mine_of_all.py").write_text(
        "import numpy as np\n"
        "def far(pred, target, power=1.5):\n    return np.abs(pred - target) ** power\n"
        "def unit(x, axis=-1):\n    return x / np.sqrt((x * x).sum(axis, keepdims=True))\n"
    )
    names = ["softmax", "swiglu", "huber_loss", "logit", "mine_of_all:far", "mine_of_all:unit"]
    settings = ["--set", "temperature=0.5,4", "--set", "a=1", "--set", "target=0,1", "--set", "power=2"]
    assert main(["plot", *names, *settings, "--output", "all.png"]) == 0
    assert "6 functions" in capsys.readouterr().out
    assert Path("all.png").read_bytes().startswith(b"\x89PNG")


def test_plot_refuses(tmp_path: Path, capsys: Capture) -> None:
    pytest.importorskip("matplotlib")
    for arguments, message in (
        (["nosuch"], "no function is called 'nosuch'"),
        (["nosuch"], "softmax"),  # those of other families are named
        (["relu", "softmax", "--same-axes"], "only activations can share axes"),
        (["softmax", "--set", "temperature=0"], "temperatures must be positive"),
        (["softmax", "--set", "alpha=1"], "none of what is drawn has a parameter 'alpha'"),
        (["relu", "--output", str(tmp_path / "none" / "x.png")], "cannot write"),
        (["relu", "--output", str(tmp_path / "x.nosuch")], "cannot write"),
    ):
        assert main(["plot", *arguments]) == 2
        assert message in capsys.readouterr().err


# -- mistakes ---------------------------------------------------------------------------------------

MISTAKES = [
    "",
    "paint",
    "info --loud",
    "bench sigmiod",
    "bench logsumexp_backward",
    "bench sigmoid_forward",
    "bench --size 0 relu",
    "bench --size -5 relu",
    "bench --size 1.5 relu",
    "bench --size ten relu",
    "bench --size nan relu",
    "bench --size inf relu",
    "bench --size 1e18 relu",
    "bench --repeat 0 relu",
    "bench --dtype int8 relu",
    "apply",
    "apply sigmiod IN/float.npy OUT",
    "apply sigmoid_backward IN/float.npy OUT",
    "apply sigmoid_with_derivative IN/float.npy OUT",
    "apply sigmoid IN/missing.npy OUT",
    "apply sigmoid IN OUT",
    "apply sigmoid IN/text.npy OUT",
    "apply sigmoid IN/empty.npy OUT",
    "apply sigmoid IN/header.npy OUT",
    "apply sigmoid IN/truncated.npy OUT",
    "apply sigmoid IN/complex.npy OUT",
    "apply sigmoid IN/object.npy OUT",
    "apply sigmoid IN/string.npy OUT",
    "apply sigmoid IN/float.npy OUT --set alpha=1",
    "apply elu IN/float.npy OUT --set beta=1",
    "apply elu IN/float.npy OUT --set alpha=one",
    "apply elu IN/float.npy OUT --set alpha",
    "apply prelu IN/float.npy OUT",
    "apply sigmoid IN/float.npy OUT --axis 0",
    "apply gelu IN/float.npy OUT --set approximate=cosh",
    "apply softmax IN/float.npy OUT --axis 7",
    "apply softmax IN/float.npy OUT --axis one",
    "apply softmax IN/float.npy OUT --set tau=2",
    "apply softmax IN/complex.npy OUT",
    "apply softmax_backward IN/float.npy OUT",
    "apply logsumexp IN/float.npy OUT",
    "demo nosuch",
    "demo --seed=-1",
    "demo --seed=1.5",
    "demo --epochs=0",
    "plot relu --set alpha=1",
    "plot elu --set alpha=one",
    "plot nowhere:relu",
    "plot math:nothing",
    "plot math:pi",
    "plot relu --limit 0",
    "plot relu --limit wide",
    "apply sigmoid IN/float.npy IN/missing/out.npy",
    "apply sigmoid IN/float.npy IN/text.npy/out.npy",
    "apply sigmoid IN/float.npy IN",
    "apply sigmoid IN/float.npy .",
    "apply sigmoid IN/float.npy /",
]


def contents(folder: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """A folder of .npy files, of which only float.npy can be computed with."""
    folder = tmp_path / "in"
    folder.mkdir()
    whole = saved(folder, np.linspace(-1, 1, 100), "float.npy").read_bytes()
    saved(folder, np.ones(3, complex), "complex.npy")
    saved(folder, np.array([None, 1.0]), "object.npy")
    saved(folder, np.array(["a", "b"]), "string.npy")
    (folder / "truncated.npy").write_bytes(whole[:-1])
    (folder / "header.npy").write_bytes(whole[:40])
    (folder / "empty.npy").write_bytes(b"")
    (folder / "text.npy").write_text("x, y\n1, 2\n")
    return folder


@pytest.mark.parametrize("command", MISTAKES)
def test_mistake_costs_one_line(command: str, inputs: Path, capsys: Capture) -> None:
    before = contents(inputs.parent)
    places = {"IN": str(inputs), "OUT": str(inputs.parent / "out.npy")}
    arguments = [
        places.get(head, head) + slash + tail for head, slash, tail in (w.partition("/") for w in command.split())
    ]
    assert main(arguments) == 2
    assert one_line_of_complaint(capsys.readouterr().err)
    assert contents(inputs.parent) == before


@pytest.mark.parametrize(
    "header", ["{'descr': '<f8', 'fortran_order': False, 'shape': (-5,), }", "{'a': 1, 2: 3}", "((("]
)
def test_header_that_makes_no_sense(header: str, tmp_path: Path, capsys: Capture) -> None:
    source = tmp_path / "in.npy"
    text = header.ljust(117).encode() + b"\n"
    source.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(400))
    assert main(["apply", "sigmoid", str(source), str(tmp_path / "out.npy")]) == 2
    assert one_line_of_complaint(capsys.readouterr().err)
    assert list(tmp_path.iterdir()) == [source]


def test_output_without_a_name(inputs: Path, capsys: Capture) -> None:
    assert main(["apply", "sigmoid", str(inputs / "float.npy"), ""]) == 2
    assert one_line_of_complaint(capsys.readouterr().err)


@pytest.mark.parametrize(
    "arguments", [["info"], ["bench", "relu"], ["apply", "relu", "float.npy", "out.npy"]], ids=" ".join
)
def test_backend_that_does_not_exist(arguments: list[str], inputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(inputs)
    before = contents(inputs)
    result = finish(start("-m", "fastact", *arguments, FASTACT_BACKEND="abacus"))
    assert result.returncode == 2
    assert one_line_of_complaint(result.stderr)
    assert "FASTACT_BACKEND" in result.stderr
    assert contents(inputs) == before


# -- apply ------------------------------------------------------------------------------------------

GRID = np.random.default_rng(3).normal(0, 3, (37, 41))
ARRAYS = {
    **{dtype: GRID.astype(dtype) for dtype in ("float16", "float32", "float64", "int64", "int8", "bool", ">f8", ">f4")},
    "fortran": np.asfortranarray(GRID),
    "strided": GRID[::2, ::-3],
    "scalar": np.array(0.75, np.float32),
    "empty": np.ones((0, 3)),
    "one": np.ones((1, 1)),
}


@pytest.mark.parametrize("block", [None, 1000, 1], ids=["one_block", "many_blocks", "block_per_element"])
@pytest.mark.parametrize("array", ARRAYS)
def test_apply_equals_the_call(array: str, block: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if block:
        monkeypatch.setattr("fastact.commands.apply.BLOCK_BYTES", block)
    x = ARRAYS[array]
    target = tmp_path / "out.npy"
    assert main(["apply", "gelu", str(saved(tmp_path, x)), str(target)]) == 0
    y, expected = np.load(target), np.asarray(fastact.gelu(x))
    assert (y.dtype, y.shape, y.flags.fnc) == (expected.dtype, expected.shape, np.load(tmp_path / "in.npy").flags.fnc)
    assert y.tobytes() == expected.tobytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.npy", "out.npy"]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("leaky_relu", {"negative_slope": 0.125}), ("elu_derivative", {"alpha": 2.5}), ("prelu", {"weight": -3.0})],
)
def test_apply_with_parameters(name: str, parameters: dict[str, float], tmp_path: Path) -> None:
    settings = [f"--set={parameter}={value}" for parameter, value in parameters.items()]
    assert main(["apply", name, str(saved(tmp_path, GRID)), str(tmp_path / "out.npy"), *settings]) == 0
    np.testing.assert_array_equal(
        np.load(tmp_path / "out.npy"), getattr(fastact, name)(GRID, **parameters), strict=True
    )


def test_apply_approximately(tmp_path: Path) -> None:
    source, target = saved(tmp_path, GRID), tmp_path / "out.npy"
    assert main(["apply", "gelu", str(source), str(target), "--set", "approximate=tanh"]) == 0
    np.testing.assert_array_equal(np.load(target), fastact.gelu(GRID, approximate="tanh"), strict=True)


@pytest.mark.parametrize("block", [None, 1000], ids=["one_block", "many_blocks"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(("name", "axis"), [("softmax", None), ("softmax", 0), ("log_softmax", 1), ("swiglu", -1)])
def test_apply_along_an_axis(
    name: str, axis: int | None, order: Any, block: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if block:
        monkeypatch.setattr("fastact.commands.apply.BLOCK_BYTES", block)
    x = np.asarray(np.random.default_rng(1).normal(0, 3, (11, 7, 6)).astype(np.float32), order=order)
    target = tmp_path / "out.npy"
    options = [] if axis is None else ["--axis", str(axis)]
    assert main(["apply", name, str(saved(tmp_path, x)), str(target), *options]) == 0
    expected = getattr(fastact, name)(x, axis=-1 if axis is None else axis)
    np.testing.assert_array_equal(np.load(target), expected, strict=True)


def test_apply_layer_norm_with_another_eps(tmp_path: Path) -> None:
    target = tmp_path / "out.npy"
    assert main(["apply", "layer_norm", str(saved(tmp_path, GRID)), str(target), "--set", "eps=0.5"]) == 0
    np.testing.assert_array_equal(np.load(target), fastact.layer_norm(GRID, eps=0.5), strict=True)


def test_apply_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The input is still read while the output is written: more than one block shows it."""
    monkeypatch.setattr("fastact.commands.apply.BLOCK_BYTES", 1000)
    path = saved(tmp_path, GRID)
    assert main(["apply", "sigmoid", str(path), str(path)]) == 0
    np.testing.assert_array_equal(np.load(path), fastact.sigmoid(GRID), strict=True)
    assert list(tmp_path.iterdir()) == [path]


@needs_posix
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_interrupted_apply_leaves_nothing(name: str, tmp_path: Path) -> None:
    """The input is sparse, and so large that it is still being read when the signal comes, long after compiling."""
    number = getattr(signal, name)
    source, target = tmp_path / "in.npy", tmp_path / "out.npy"
    with source.open("wb") as file:
        np.lib.format.write_array_header_2_0(file, {"descr": "<f8", "fortran_order": False, "shape": (1 << 28,)})
        file.truncate(file.tell() + (8 << 28))
    code = f"""{PRELUDE}
from pathlib import Path
from fastact.commands.parser import main
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # who runs the tests may have it ignored
def say_when_it_is_written():
    while not list(Path(sys.argv[3]).parent.glob(".*.part")): time.sleep(0.001)
    print("ready", flush=True)
fastact.gelu(x)
threading.Thread(target=say_when_it_is_written).start()
sys.exit(main(sys.argv[1:]))
"""
    result = interrupted(start("-c", code, "apply", "gelu", str(source), str(target)), number)
    assert result.returncode == (130 if name == "SIGINT" else -number)  # as whoever sent it expects
    assert ("fastact: interrupted" in result.stderr) == (name == "SIGINT")
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == [source]


def test_apply_follows_links_and_keeps_modes(tmp_path: Path) -> None:
    source, real, link = saved(tmp_path, GRID), saved(tmp_path, GRID[:2], "real.npy"), tmp_path / "link.npy"
    link.symlink_to(real.name)
    real.chmod(0o640)
    assert main(["apply", "relu", str(source), str(link)]) == 0
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    np.testing.assert_array_equal(np.load(real), fastact.relu(GRID), strict=True)


@pytest.mark.parametrize("dtype", [("<f8", (2,)), [("a", "<f8", (2,))], [("a", "<f8")], "V4"], ids=str)
def test_arrays_of_other_things_than_numbers(dtype: Any, tmp_path: Path, capsys: Capture) -> None:
    source = tmp_path / "in.npy"
    with source.open("wb") as file:
        np.lib.format.write_array_header_2_0(file, {"descr": dtype, "fortran_order": False, "shape": (3,)})
        file.write(bytes(3 * np.dtype(dtype).itemsize))
    assert main(["apply", "sigmoid", str(source), str(tmp_path / "out.npy")]) == 2
    errors = capsys.readouterr().err
    assert one_line_of_complaint(errors)
    assert "takes real numbers" in errors
    assert list(tmp_path.iterdir()) == [source]
