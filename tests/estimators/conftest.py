"""The estimators of each backend."""

from __future__ import annotations

from typing import Any

import pytest

import fastact

Estimators = Any  # a module: fastact or fastact.fallback


@pytest.fixture
def estimators(backend: str) -> Estimators:
    return fastact.fallback if backend == "fallback" else fastact
