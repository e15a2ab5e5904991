"""astropy's quantities: they must have no dimension, are taken as plain numbers (of percents, hundredths), and results
are quantities again."""

from __future__ import annotations

from typing import Any

from fastact.containers.calls import Call

__all__ = ["hand_over"]


def hand_over(call: Call) -> Any:
    from astropy.units import Quantity

    results = call.again(**{name: _values(call, name, given) for name, given in call.held("quantities").items()})
    if call.given.get("out") is not None:
        return results
    return tuple(map(Quantity, results)) if isinstance(results, tuple) else Quantity(results)


def _values(call: Call, name: str, given: Any) -> Any:
    from astropy.units import UnitsError, UnitTypeError, dimensionless_unscaled

    try:
        return given.to_value(dimensionless_unscaled)
    except UnitsError as error:
        raise UnitTypeError(f"{call.name} takes quantities without a dimension as {name}: {error}") from None
