"""Tables of slots in records (fastact.simd.layout), as Numba is to see them: their numbers are constants.

To Numba a table would be a tuple that is built, number by number, each time it is read from: a fifth of the time it
took to compile a matrix product. Importing this module is enough.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core.imputils import lower_constant
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import lower_getattr_generic, models, register_model, typeof_impl

from fastact.simd import layout

__all__ = ["Slots"]


class Slots(types.Type):
    """The type of a table; each has its own."""

    def __init__(self, table: Any) -> None:
        self.table = table
        super().__init__(type(table).__name__)


register_model(Slots)(models.OpaqueModel)


@infer_getattr
class _SlotTemplate(AttributeTemplate):
    key = Slots

    def generic_resolve(self, slots: Slots, name: str) -> Any:  # type: ignore[override]
        return types.intp


@lower_getattr_generic(Slots)
def _slot_number(context: Any, builder: ir.IRBuilder, slots: Slots, value: Any, name: str) -> Any:
    return context.get_constant(types.intp, getattr(slots.table, name))


@lower_constant(Slots)
def _slots(context: Any, builder: ir.IRBuilder, slots: Slots, table: Any) -> Any:
    return context.get_dummy_value()


for _table in vars(layout).values():
    if isinstance(_table, tuple):
        typeof_impl.register(type(_table))(lambda table, _: Slots(table))
