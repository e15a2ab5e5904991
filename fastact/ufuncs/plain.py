"""What stands in for a ufunc where NumPy cannot be asked to make one: a function that walks as ufuncs do.

PyPy lets nobody reach Python's C interface through ctypes. There, NumPy's own iterator broadcasts, casts, allocates and
looks after operands that overlap; what it cannot do is to be taken for a ufunc by others, Dask say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["PlainFunction"]


class PlainFunction:
    """Called like a ufunc: ``f(*inputs, out=None, where=True, dtype=None, casting="same_kind", order="K")``."""

    def __init__(self, definition: Any, function: Callable[..., Any], block: int) -> None:
        self.__name__ = self.__qualname__ = definition.name
        self.__doc__ = definition.doc
        self.nin, self.nout = len(definition.inputs), len(definition.results)
        self.nargs = self.nin + self.nout
        self._function = function
        self._block = block

    def __call__(
        self,
        *operands: Any,
        out: Any = None,
        where: Any = True,
        dtype: Any = None,
        casting: Any = "same_kind",
        order: Any = "K",
    ) -> Any:
        targets = self._targets(operands, out)
        inputs = operands[: self.nin]
        storage = self._storage(inputs, dtype)
        result = storage if storage.kind == "f" else np.dtype(np.float64)
        # Where nothing is written, what was in a buffer goes back: it must have been read before.
        writing = ["writeonly" if where is True else "readwrite", "allocate"]
        flags: Any = [*[["readonly"]] * (self.nin + 1), *[writing] * self.nout]
        walk = np.nditer(
            [*inputs, where, *targets],
            ["external_loop", "buffered", "zerosize_ok", "copy_if_overlap"],
            flags,
            [*[storage] * self.nin, np.dtype(bool), *[result] * self.nout],
            order=order,
            casting=casting,
            buffersize=self._block,
        )
        with walk, np.errstate(all="ignore"):
            for step in walk:
                self._compute(step[: self.nin], step[self.nin], step[self.nin + 1 :])
            written = walk.operands[self.nin + 1 :]
        results = tuple(y if given is not None else y[()] for y, given in zip(written, targets))
        return results if self.nout > 1 else results[0]

    def _compute(self, inputs: Any, mask: np.ndarray, outputs: Any) -> None:
        results = self._function(*(array.astype(np.float64) for array in inputs))
        for output, values in zip(outputs, results if isinstance(results, tuple) else (results,)):
            np.copyto(output, values, casting="unsafe", where=mask)

    def _targets(self, operands: tuple[Any, ...], out: Any) -> tuple[Any, ...]:
        """Where the results go, None for each that is to be made."""
        given = operands[self.nin :]
        if len(operands) < self.nin or len(given) > self.nout or (given and out is not None):
            raise TypeError(f"{self.__name__}() takes {self.nin} to {self.nargs} operands, not {len(operands)}")
        if out is not None:
            given = out if isinstance(out, tuple) else (out,)
            if len(given) != self.nout:
                raise TypeError(f"{self.__name__}() has {self.nout} results, and out has {len(given)}")
        for target in given:
            if not isinstance(target, (np.ndarray, type(None))):
                raise TypeError(f"out must be an array, not {type(target).__name__}")
        return (*given, *[None] * (self.nout - len(given)))

    def _storage(self, inputs: tuple[Any, ...], dtype: Any) -> np.dtype:
        """The element type that the inputs are brought to."""
        weak = (bool, int, float)
        common = np.result_type(*(x if type(x) in weak else np.asanyarray(x) for x in inputs))
        storage = common if dtype is None else np.dtype(dtype)
        if storage.kind in "biu" and dtype is None:
            return np.dtype(np.uint64 if common == np.uint64 else np.int64)
        if storage not in (np.float16, np.float32, np.float64):
            raise TypeError(f"{self.__name__}() is not supported for {storage}")
        return storage.newbyteorder("=")

    def __repr__(self) -> str:
        return f"<function {self.__name__}>"
