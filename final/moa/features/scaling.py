"""scikit-learn's transformers of single columns that the recipes use, applied without scikit-learn."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd

from moa.features.base import OfLibrary, OneToOne, Selecting
from moa.features.stored import stored


@stored
class StandardScaler(OneToOne, OfLibrary):
    """scikit-learn's standardisation of columns to mean 0 and variance 1; see there for the attributes."""

    library = "sklearn.preprocessing._data.StandardScaler"
    fixed = {"copy": True, "with_mean": True, "with_std": True}
    mean_: np.ndarray
    scale_: np.ndarray

    def transform(self, X: np.ndarray) -> np.ndarray:
        """The rows of ``X``, shape (rows, columns), scaled; same shape."""
        scaled = self.checked(X, missing=True) - self.mean_
        scaled /= self.scale_
        return scaled


@stored
class VarianceThreshold(Selecting, OfLibrary):
    """scikit-learn's selection of the columns whose variance is above a threshold.

    Args:
        threshold: of the variance.

    Attributes:
        variances_: shape (columns,).
    """

    library = "sklearn.feature_selection._variance_threshold.VarianceThreshold"
    variances_: np.ndarray

    def __init__(self, threshold: float = 0.0):
        self.threshold = threshold

    def get_support(self) -> np.ndarray:
        """True for columns that are kept, shape (columns,)."""
        return self.variances_ > self.threshold

    def transform(self, X: np.ndarray) -> np.ndarray:
        """The columns of ``X``, shape (rows, columns), that are kept."""
        return self.checked(X, missing=True)[:, self.get_support()]


@stored
class Copies(OneToOne, OfLibrary):
    """Copies of columns, as scikit-learn's ``FunctionTransformer`` without a function makes them."""

    library = "sklearn.preprocessing._function_transformer.FunctionTransformer"
    fixed = {
        "accept_sparse": False,
        "check_inverse": True,
        "feature_names_out": "one-to-one",
        "func": None,
        "inv_kw_args": None,
        "inverse_func": None,
        "kw_args": None,
        "validate": False,
    }

    def fit(self, X: np.ndarray | pd.DataFrame, y: Any = None) -> Self:
        """Learn the number of columns of ``X``, shape (rows, columns)."""
        self.n_features_in_ = X.shape[1]
        if isinstance(X, pd.DataFrame):
            self.feature_names_in_ = np.array(X.columns, dtype=str)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """The rows of ``X``."""
        return X
