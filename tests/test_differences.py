"""What differs from other libraries on purpose does so."""

from __future__ import annotations

import numpy as np
import pytest

import fastact
from benchmarks.differences import DIFFERENCES, Difference


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.functions)
def test_claims(difference: Difference) -> None:
    words = {"fastact": fastact, "np": np}
    if "torch" in difference.claim:
        words["torch"] = pytest.importorskip("torch")
    assert eval(difference.claim, words), difference.claim
