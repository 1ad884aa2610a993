"""Experimental conditions as numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

from moa.data.schema import Schema
from moa.errors import UserError
from moa.features.stored import stored

Levels = Mapping[str, Sequence[int] | Sequence[float] | Sequence[str]]


class _Conditions(TransformerMixin, BaseEstimator):
    """Base class: nothing is learned, since the levels are given and do not depend on the rows.

    Args:
        levels: all values of each condition in order, by column name.
    """

    def __init__(self, levels: Levels):
        self.levels = levels

    def fit(self, X: pd.DataFrame | np.ndarray, y: Any = None) -> _Conditions:
        """Check ``X``.

        Args:
            X: a frame with the columns of ``levels``, or an array of these columns in this order.

        Raises:
            UserError: a cell is not one of its column's levels.
        """
        self._codes(X)
        self.n_features_in_ = len(self.levels)
        return self

    def _codes(self, X: pd.DataFrame | np.ndarray) -> np.ndarray:
        """Position of each cell in its column's levels, shape (rows, conditions)."""
        frame = X if isinstance(X, pd.DataFrame) else pd.DataFrame(np.asarray(X), columns=list(self.levels))
        return np.column_stack([_positions(frame[column], levels) for column, levels in self.levels.items()])


def _positions(values: pd.Series, levels: Sequence[Any]) -> np.ndarray:
    found = pd.Index(levels, dtype=object).get_indexer(values.astype(object))
    if (found < 0).any():
        row = int(np.flatnonzero(found < 0)[0])
        raise UserError(
            f"column '{values.name}', row {values.index[row]}: '{values.iloc[row]}' is not one of {tuple(levels)}"
        )
    return found


@stored
class OneHotConditions(_Conditions):
    """Conditions as 0/1 columns, one per level, whether or not the level occurs in the rows.

    Args:
        levels: all values of each condition in order, by column name.
    """

    def transform(self, X: pd.DataFrame | np.ndarray) -> np.ndarray:
        """Float 0/1 columns in the order of ``get_feature_names_out``; shape (rows, levels of all conditions)."""
        codes = self._codes(X)
        return np.hstack([np.eye(len(levels))[codes[:, i]] for i, levels in enumerate(self.levels.values())])

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names such as "cp_time_24" and "cp_dose_D2"."""
        names = [f"{column}_{level}" for column, levels in self.levels.items() for level in levels]
        return np.array(names, dtype=object)


@stored
class ConditionCodes(_Conditions):
    """Conditions as the positions 0, 1, … of their levels: the categorical inputs of TabNet.

    Args:
        levels: all values of each condition in order, by column name.
    """

    def transform(self, X: pd.DataFrame | np.ndarray) -> np.ndarray:
        """Positions as floats, shape (rows, conditions)."""
        return self._codes(X).astype(np.float64)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Column names of the conditions."""
        return np.array(list(self.levels), dtype=object)


@stored
class RawInputs(TransformerMixin, BaseEstimator):
    """All features as numbers: the conditions, evenly spaced from 0 (first level) to 1 (last level), then the values.

    The swap noise of the DeepInsight CNNs relies on the conditions coming first. Source: write-up, DeepInsight CNNs.

    Args:
        levels: all values of each condition in order, by column name.
        columns: the numeric columns that follow.
    """

    def __init__(self, levels: Levels, columns: Sequence[str]):
        self.levels = levels
        self.columns = columns

    @classmethod
    def of(cls, schema: Schema) -> RawInputs:
        """All features of a schema in the published order: treatment, conditions from last to first, values."""
        levels = {schema.treatment.column: schema.treatment.levels}
        levels |= {condition.column: condition.levels for condition in reversed(schema.conditions)}
        return cls(levels, schema.values)

    def fit(self, X: pd.DataFrame, y: Any = None) -> RawInputs:
        """Learn nothing; ``X`` is a frame with the columns of ``levels`` and ``columns``."""
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """Columns in the order of ``get_feature_names_out``; shape (rows, conditions + columns)."""
        coded = [
            X[column].map({level: place / max(len(levels) - 1, 1) for place, level in enumerate(levels)})
            for column, levels in self.levels.items()
        ]
        return np.column_stack([*coded, X[list(self.columns)].to_numpy(np.float64)])

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Columns of the conditions, then the numeric columns."""
        return np.array([*self.levels, *self.columns], dtype=object)


@stored
class TreatedRows(TransformerMixin, BaseEstimator):
    """Marks the treated rows, for a step that leaves the controls out.

    Args:
        treated: value of the treatment column in treated rows.
    """

    def __init__(self, treated: str = "trt_cp"):
        self.treated = treated

    def fit(self, X: pd.DataFrame, y: Any = None) -> TreatedRows:
        """Nothing is learned."""
        self.n_features_in_ = 1
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """True for treated rows, shape (rows, 1)."""
        return (X == self.treated).to_numpy()
