"""Pictures, with matplotlib: of activations and all other functions, of networks and of how they learn.

Every function draws into ``ax`` if it is given, else into a new figure of pyplot's, and returns where it has drawn.
Begin with :mod:`.activations` for curves and :mod:`.networks` for what was learned; ``python -m pip install ".[plot]"``
brings matplotlib.

>>> from fastact import plotting
>>> sorted(plotting.__all__)[:2]
['animate_fit', 'plot_activations']
"""

from fastact.plotting.activations import plot_activations
from fastact.plotting.animation import animate_fit
from fastact.plotting.digits import plot_digits
from fastact.plotting.gates import plot_gates
from fastact.plotting.losses import plot_loss_functions
from fastact.plotting.networks import plot_gradients, plot_loss, plot_surface
from fastact.plotting.rows import plot_rows

__all__ = [
    "animate_fit", "plot_activations", "plot_digits", "plot_gates", "plot_gradients", "plot_loss",
    "plot_loss_functions", "plot_rows", "plot_surface",
]  # fmt: skip
