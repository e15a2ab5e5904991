"""The estimators; where scikit-learn is missing, classes of these names that say how to get it."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["MLPClassifier", "MLPRegressor"]


def _absent(name: str, reason: ImportError) -> type:
    def refuse(self: Any, *arguments: Any, **settings: Any) -> NoReturn:
        raise ImportError(
            f"fastact.{name} needs scikit-learn 1.6 or later, which comes with fastact's extra 'sklearn': "
            f"python -m pip install 'fastact[sklearn]' ({reason})"
        )

    text = "A multilayer perceptron; it needs scikit-learn: python -m pip install 'fastact[sklearn]'."
    return type(name, (), {"__init__": refuse, "__doc__": text, "__module__": __name__})


try:
    from sklearn.utils.validation import validate_data  # noqa: F401
except ImportError as reason:
    MLPClassifier: Any = _absent("MLPClassifier", reason)
    MLPRegressor: Any = _absent("MLPRegressor", reason)
else:
    from fastact.estimators.classifier import MLPClassifier
    from fastact.estimators.regressor import MLPRegressor
