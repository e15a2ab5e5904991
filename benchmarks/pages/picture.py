"""``python -m benchmarks.pages.picture``: the README's picture, some activations and their derivatives."""

from __future__ import annotations

import matplotlib

from benchmarks.pages.compose import DOCS
from fastact.plotting import plot_activations

SHOWN = ["relu", "leaky_relu", "elu", "sigmoid", "tanh", "softplus", "silu", "mish", "gelu"]


def main() -> None:
    matplotlib.use("agg")
    # the same bytes whenever it is drawn
    matplotlib.rcParams["svg.hashsalt"] = "fastact"
    axes = plot_activations(SHOWN)
    axes[0, 0].figure.savefig(DOCS / "pictures" / "activations.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
