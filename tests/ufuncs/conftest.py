"""A fixture for tests of calls without Python."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import fastact
from fastact.simd.known import Direct
from fastact.ufuncs import direct
from tests.ufuncs.direct_calls import NAMES, OTHERS, ForwardedError


@pytest.fixture
def without_python() -> Iterator[None]:
    """Whatever is left to Python raises ForwardedError."""

    def forward(*arguments: Any, **keywords: Any) -> None:
        raise ForwardedError

    before = {}
    for name in NAMES + OTHERS:
        getattr(fastact, name)
        record = direct._calls[name].record
        before[name] = int(record[Direct.FUNCTION])
        record[Direct.FUNCTION] = id(forward)
    direct.forget()
    yield
    for name, function in before.items():
        direct._calls[name].record[Direct.FUNCTION] = function
