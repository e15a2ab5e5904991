"""astropy's quantities: they must have no dimension, are taken as plain numbers (of percents, hundredths), and results
are quantities again."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastact.containers.calls import Call

__all__ = ["hand_over"]


def hand_over(call: Call) -> Any:
    from astropy.units import Quantity

    plain = {name: _values(call, name, given) for name, given in call.held("quantities").items()}
    out = call.given.get("out")
    if out is not None:
        call.again(**plain, out=tuple(map(_target, out)) if isinstance(out, tuple) else _target(out))
        return out
    results = call.again(**plain)
    return tuple(map(Quantity, results)) if isinstance(results, tuple) else Quantity(results)


def _target(out: Any) -> Any:
    """An array on the memory of what results are written to: a quantity without a unit, or an array itself."""
    from astropy.units import Quantity, UnitTypeError, dimensionless_unscaled

    if not isinstance(out, Quantity):
        return out
    if out.unit != dimensionless_unscaled:
        raise UnitTypeError(f"out must be a quantity without a unit, not in {out.unit}")
    return out.view(np.ndarray)


def _values(call: Call, name: str, given: Any) -> Any:
    from astropy.units import UnitsError, UnitTypeError, dimensionless_unscaled

    try:
        return given.to_value(dimensionless_unscaled)
    except UnitsError as error:
        raise UnitTypeError(f"{call.name} takes quantities without a dimension as {name}: {error}") from None
