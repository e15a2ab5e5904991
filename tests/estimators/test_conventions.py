"""What scikit-learn asks of an estimator, and what it does with estimators."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from unittest import SkipTest

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastact

CLASSES = [getattr(home, name) for home in (fastact, fastact.fallback) for name in ("MLPClassifier", "MLPRegressor")]

#: One that has not converged says so.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@parametrize_with_checks([made(max_iter=100) for made in CLASSES])
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    """Those that do not concern such an estimator skip themselves, as one for decision functions."""
    with suppress(SkipTest):
        check(estimator)
