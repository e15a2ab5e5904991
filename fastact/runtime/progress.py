"""A progress bar that is never the reason why work fails."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

from tqdm import tqdm

__all__ = ["progress_bar"]


class _Bar(tqdm):  # type: ignore[misc]
    """Falls silent where standard error cannot be written to."""

    def display(self, *arguments: Any, **keywords: Any) -> Any:
        try:
            return super().display(*arguments, **keywords)
        except (OSError, ValueError):  # a full disk, a file that was closed
            self.disable = True
            return False

    def close(self) -> None:
        # the last of these where an interrupt met it half made
        with contextlib.suppress(OSError, ValueError, AttributeError):
            super().close()


def progress_bar(**settings: Any) -> tqdm:
    """tqdm's on standard error; none is shown if that is closed."""
    return _Bar(disable=sys.stderr is None, **settings)
