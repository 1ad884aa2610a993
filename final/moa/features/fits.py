"""What fits the transformers of a pipeline and keeps the fits: the contract, and the one that keeps them in memory."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np


class Fits(Protocol):
    """Fits transformers and keeps the fits, or returns an equal fit made before."""

    def fit(self, transformer: Any, X: Any, y: np.ndarray | None) -> tuple[Any, str]:
        """Return the fitted transformer and the key under which ``load`` finds it."""
        ...

    def load(self, key: str) -> Any:
        """Return the fit with this key."""
        ...


class NoStore:
    """Keeps fits in memory only: for notebooks, tests, and pipelines that are fitted inside a unit.

    Args:
        fits: those that are there already, by key.
    """

    def __init__(self, fits: dict[str, Any] | None = None) -> None:
        self._fits: dict[str, Any] = dict(fits or {})

    def fit(self, transformer: Any, X: Any, y: np.ndarray | None) -> tuple[Any, str]:
        """Fit a clone of the transformer."""
        from sklearn.base import clone

        fitted = clone(transformer).fit(X, y)
        return fitted, self._keep(fitted)

    def fit_transform(self, transformer: Any, X: Any, y: np.ndarray | None) -> tuple[Any, str, Any]:
        """Fit a clone of the transformer; also returns what its ``fit_transform`` gives for the rows."""
        from sklearn.base import clone

        fitted = clone(transformer)
        values = fitted.fit_transform(X, y)
        return fitted, self._keep(fitted), values

    def _keep(self, fitted: Any) -> str:
        key = f"fit-{len(self._fits)}"
        self._fits[key] = fitted
        return key

    def load(self, key: str) -> Any:
        """Return the fit with this key."""
        return self._fits[key]
