"""The log scaling of the DeepInsight CNNs."""

from __future__ import annotations

from typing import Any

import numpy as np

from moa.features.base import OneToOne
from moa.features.stored import stored


@stored
class LogScaler(OneToOne):
    """Scale to [0, 1] by logarithms, keeping the features' relative sizes ("norm-2" of the DeepInsight paper).

    Each value becomes ``log(x + |column minimum| + 1)``, clipped at 0 from below, divided by the largest such value
    among all training rows and columns. Unseen values are first raised to the training minimum, and the result is
    clipped at 1.

    A quirk of the published formula is kept: it adds the minimum's absolute value, not its negative. A column whose
    minimum is positive is moved further away from 0, not down to it. Source: write-up, DeepInsight CNNs.

    Attributes:
        minimum_: of each column, shape (features,).
        largest_: the divisor.
    """

    def fit(self, X: Any, y: Any = None) -> LogScaler:
        """Learn the column minima and the one maximum from the training rows ``X``, shape (rows, features)."""
        values = self.learned(X)
        self.minimum_ = values.min(axis=0)
        largest = float(self._log(values).max())
        self.largest_ = largest if largest > 0 else 1.0  # all-zero training rows stay zero
        return self

    def transform(self, X: Any) -> np.ndarray:
        """The values of ``X``, shape (rows, features), scaled to [0, 1]; float64, same shape."""
        values = self.checked(X)
        return np.minimum(self._log(np.maximum(values, self.minimum_)) / self.largest_, 1.0)

    def _log(self, values: np.ndarray) -> np.ndarray:
        return np.maximum(np.log(values + np.abs(self.minimum_) + 1), 0.0)
