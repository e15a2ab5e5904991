"""Functions along an axis that give true zeros: sparsemax, entmax15, hardmax."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike, NDArray

from fastact.functions.offered import Family, offered
from fastact.rows.shapes import Axis, OneAxis, along, along_both, as_floats, engine
from fastact.ufuncs.direct import repeated

__all__ = ["entmax15", "entmax15_backward", "hardmax", "sparsemax", "sparsemax_backward"]


@offered(Family.ALONG)
@repeated
def sparsemax(backend: str, x: ArrayLike, axis: OneAxis = -1, *, out: NDArray[Any] | None = None) -> NDArray[Any]:
    """The nearest point to x on the simplex of probabilities: softmax with true zeros.

        sparsemax(x)_i = max(x_i - t, 0), with t such that they add up to 1

    Parameters
    ----------
    x, axis, out
        As for `softmax`.

    Returns
    -------
    ndarray or scalar
        Of the shape of x.

    Raises
    ------
    TypeError, ValueError
        As `softmax` does.

    References
    ----------
    Martins and Astudillo, arXiv:1602.02068.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.sparsemax(np.array([1.0, 0.5, -3.0]))
    array([0.75, 0.25, 0.  ])
    """
    return along(engine(backend), "sparsemax", axis, out, as_floats(x))


@offered(Family.ALONG)
@repeated
def sparsemax_backward(
    backend: str, grad: ArrayLike, y: ArrayLike, axis: Axis = -1, *, out: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Gradient with respect to x, from the gradient with respect to ``y = sparsemax(x)`` and y itself.

        sparsemax_backward(grad, y) = where(y > 0, grad - mean of grad where y > 0, 0)

    Parameters
    ----------
    grad, y, axis, out
        As for `softmax_backward`; y is what `sparsemax` returned.

    Returns
    -------
    ndarray or scalar
        Of the shape of y.

    Raises
    ------
    TypeError, ValueError
        As `softmax_backward` does.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.sparsemax_backward(np.array([1.0, 0.0, 5.0]), np.array([0.75, 0.25, 0.0]))
    array([ 0.5, -0.5,  0. ])
    """
    return along_both(backend, "sparsemax_backward", grad, y, axis, out)


@offered(Family.ALONG)
@repeated
def entmax15(backend: str, x: ArrayLike, axis: Axis = -1, *, out: NDArray[Any] | None = None) -> NDArray[Any]:
    """Between softmax and sparsemax: true zeros, and no kinks.

        entmax15(x)_i = max(x_i / 2 - t, 0)**2, with t such that they add up to 1

    Parameters
    ----------
    x, axis, out
        As for `softmax`.

    Returns
    -------
    ndarray or scalar
        Of the shape of x.

    Raises
    ------
    TypeError, ValueError
        As `softmax` does.

    References
    ----------
    Peters, Niculae and Martins, Sparse sequence-to-sequence models, arXiv:1905.05702.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.entmax15(np.array([2.0, 2.0, -3.0]))
    array([0.5, 0.5, 0. ])
    """
    return along(engine(backend), "entmax15", axis, out, as_floats(x))


@offered(Family.ALONG)
@repeated
def entmax15_backward(
    backend: str, grad: ArrayLike, y: ArrayLike, axis: Axis = -1, *, out: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Gradient with respect to x, from the gradient with respect to ``y = entmax15(x)`` and y itself.

        entmax15_backward(grad, y) = s * (grad - sum_j grad_j s_j / sum_j s_j), s = sqrt(y)

    Parameters
    ----------
    grad, y, axis, out
        As for `softmax_backward`; y is what `entmax15` returned.

    Returns
    -------
    ndarray or scalar
        Of the shape of y.

    Raises
    ------
    TypeError, ValueError
        As `softmax_backward` does.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.entmax15_backward(np.array([1.0, 0.0, 5.0]), np.array([0.25, 0.25, 0.0]))
    array([ 0.25, -0.25,  0.  ])
    """
    return along_both(backend, "entmax15_backward", grad, y, axis, out)


@offered(Family.ALONG)
def hardmax(backend: str, x: ArrayLike, axis: OneAxis = -1, *, out: NDArray[Any] | None = None) -> NDArray[Any]:
    """1 at the first of the largest elements along an axis, 0 elsewhere.

    Parameters
    ----------
    x, axis, out
        As for `softmax`; along the axis there is a single 1.

    Returns
    -------
    ndarray or scalar
        Of the shape of x.

    Raises
    ------
    TypeError, ValueError
        As `softmax` does.

    References
    ----------
    ONNX operator Hardmax.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.hardmax(np.array([[1.0, 3.0, 3.0]]))
    array([[0., 1., 0.]])
    """
    return along(engine("numpy"), "hardmax", axis, out, as_floats(x))  # which leaves nothing to compile
