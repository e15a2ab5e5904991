"""The recipe for Dask in fastact/docs, as it stands there, on a cluster of two worker processes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import BACKENDS
from tests.processes import ROOT, finish, start

PAGE = ROOT / "fastact" / "docs" / "guides" / "containers.md"
RECIPE = re.search(r"## Beyond one machine\n\n```python\n(.*?)```", PAGE.read_text(), re.S)

#: A store of 512 MiB, and workers with less than that, of which Python and the libraries take half.
PROGRAM = """
import sys
from dask.distributed import Client, LocalCluster

LIMIT, ROWS, CLASSES = 448 << 20, 1 << 16, 1 << 11

def stored_larger_than_memory(folder):
    row = (np.arange(CLASSES) % 7).astype(np.float32)
    logits = da.broadcast_to(da.from_array(row), (ROWS, CLASSES), chunks=(1 << 11, CLASSES))
    assert logits.nbytes > LIMIT
    logits.to_zarr(folder + "/logits.zarr")
    softmax_of_store(folder + "/logits.zarr", folder + "/probabilities.zarr")
    result = da.from_zarr(folder + "/probabilities.zarr")
    assert result.dtype == np.float32
    assert np.array_equal(np.asarray(result[[0, 40_000, ROWS - 1]]), [fastact.softmax(row)] * 3)
    labels = da.zeros(ROWS, dtype=int, chunks=1 << 11)
    loss = fastact.cross_entropy(da.from_zarr(folder + "/logits.zarr"), labels).compute()
    assert np.isclose(loss, fastact.cross_entropy(row, 0))

def network():
    settings = {"loss": "cross_entropy", "learning_rate": 0.1, "batch_size": 32, "random_state": 1}
    return fastact.MLP([64, 32, 10], "relu", epochs=10, **settings)

def trained_in_parts(client):
    from sklearn.datasets import load_digits  # which no worker needs

    x, labels = load_digits(return_X_y=True)
    x, order = x / 16, np.random.default_rng(0).permutation(len(x))
    parts = [(x[part], labels[part]) for part in np.array_split(order, 2)]
    averaged, alone = network(), network().fit(x, labels)
    losses = train(client, averaged, parts, epochs=10)
    print(*np.round(losses, 3).tolist())
    print(*np.round(alone.loss_curve_, 3).tolist())
    print(averaged.score(x, labels), alone.score(x, labels))

if __name__ == "__main__":
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, memory_limit=LIMIT, dashboard_address=":0")
    with cluster, Client(cluster) as client:
        pids = set(client.run(lambda: __import__("os").getpid()).values())
        assert len(pids) == 2
        stored_larger_than_memory(sys.argv[1])
        trained_in_parts(client)
        assert set(client.run(lambda: __import__("os").getpid()).values()) == pids, "a worker was killed"
"""


@pytest.mark.parametrize("name", ["numpy" if backend == "fallback" else "numba" for backend in BACKENDS])
def test_on_two_workers(name: str, tmp_path: Path) -> None:
    assert RECIPE is not None
    program = tmp_path / "program.py"
    program.write_text(RECIPE[1] + PROGRAM)
    finished = finish(start(str(program), str(tmp_path), FASTACT_BACKEND=name, FASTACT_NUM_THREADS="1"))
    assert finished.returncode == 0, finished.stderr
    averaged, alone, scores = ([float(word) for word in line.split()] for line in finished.stdout.splitlines())
    assert len(averaged) == len(alone) == 10
    assert averaged == sorted(averaged, reverse=True)
    # Half the steps in each part: as good as one process after half the epochs.
    assert averaged[-1] < 1.2 * alone[4]
    assert min(scores) > 0.9
