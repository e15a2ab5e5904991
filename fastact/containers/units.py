"""astropy's quantities in elementwise functions: they take what has no dimension, as ``np.exp`` does.

astropy looks up what a ufunc makes of units, and refuses one that it does not know. So it is told of each.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastact.runtime.imports import when_imported

__all__ = ["enter"]

KNOWN = "astropy.units.quantity_helper.converters"

#: What astropy is to be told of when it is imported, and its table from then on.
_entered: list[np.ufunc] = []
_table: list[Any] = []


def enter(ufunc: np.ufunc) -> None:
    """Have astropy know a ufunc, whether it has been imported or will be."""
    if _table:
        _table[0][ufunc] = _dimensionless
        return
    _entered.append(ufunc)
    if len(_entered) == 1:
        when_imported(KNOWN, _tell)


def _tell(module: Any) -> None:
    _table.append(module.UFUNC_HELPERS)
    _table[0].update(dict.fromkeys(_entered, _dimensionless))


def _dimensionless(ufunc: np.ufunc, *units: Any) -> tuple[list[Any], Any]:
    """What brings each operand to plain numbers, and the units of results, which have none."""
    from astropy.units import UnitsError, UnitTypeError, dimensionless_unscaled

    try:
        converters = [None if unit is None else unit.get_converter(dimensionless_unscaled) for unit in units]
    except UnitsError as error:
        raise UnitTypeError(f"{ufunc.__name__} takes quantities without a dimension: {error}") from None
    return converters, dimensionless_unscaled if ufunc.nout == 1 else (dimensionless_unscaled,) * ufunc.nout
