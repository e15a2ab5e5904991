"""What scikit-learn asks of an estimator."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from unittest import SkipTest

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

import fastact

CLASSES = [getattr(home, name) for home in (fastact, fastact.fallback) for name in ("MLPClassifier", "MLPRegressor")]

#: What parametrize_with_checks makes tests of; in scikit-learn 1.7 that is too lazy for pytest.
CHECKS = [pair for made in CLASSES for pair in estimator_checks_generator(made(max_iter=100), legacy=True)]


def name_of(part: Any) -> str:
    """An estimator's place and name, or a check's name and arguments."""
    if not hasattr(part, "func"):
        return f"{type(part).__module__.split('.')[1]}.{type(part).__name__}"
    return "-".join([part.func.__name__, *(f"{name}={value}" for name, value in part.keywords.items())])


#: One that has not converged says so.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("estimator", "check"), CHECKS, ids=name_of)
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    """Those that do not concern such an estimator skip themselves, as one for decision functions."""
    with suppress(SkipTest):
        check(estimator)


def test_there_are_all_checks() -> None:
    """With the settings that estimators come with, and none that is expected to fail."""
    for made in CLASSES:
        names = [name_of(check) for estimator, check in CHECKS if type(estimator) is made]
        assert len(names) > 50
        assert any("sample_weight_equivalence_on_sparse" in name for name in names)
