"""Experimental conditions as numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from moa.data.assay import Assay, Control
from moa.errors import UserError
from moa.features.base import OneToOne, Transformer
from moa.features.stored import stored

Levels = Mapping[str, Sequence[int] | Sequence[float] | Sequence[str]]


class _NothingLearned(Transformer):
    """Base class of transformers that depend on their parameters alone."""

    def fit(self, X: pd.DataFrame, y: Any = None) -> _NothingLearned:
        """Learn nothing from ``X``, shape (rows, columns)."""
        self.n_features_in_ = X.shape[1]
        return self


class _Conditions(Transformer):
    """Base class: nothing is learned, since the levels are given and do not depend on the rows.

    Args:
        levels: all values of each condition in order, by column name.
    """

    def __init__(self, levels: Levels):
        self.levels = levels

    def fit(self, X: pd.DataFrame | np.ndarray, y: Any = None) -> _Conditions:
        """Check ``X``: a frame with the columns of ``levels``, or an array of these columns in this order.

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
        """The rows of ``X`` as 0/1, float64, in the order of ``get_feature_names_out``.

        Returns:
            shape (rows, levels of all conditions).

        Raises:
            UserError: a value is none of the levels.
        """
        codes = self._codes(X)
        return np.hstack([np.eye(len(levels))[codes[:, i]] for i, levels in enumerate(self.levels.values())])

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names such as "cp_time_24" and "cp_dose_D2", one per column of ``transform``."""
        names = [f"{column}_{level}" for column, levels in self.levels.items() for level in levels]
        return np.array(names, dtype=object)


@stored
class ConditionCodes(_Conditions):
    """Conditions as the positions 0, 1, … of their levels: the categorical inputs of TabNet.

    Args:
        levels: all values of each condition in order, by column name.
    """

    def transform(self, X: pd.DataFrame | np.ndarray) -> np.ndarray:
        """Position among the levels of each value of ``X``, float64, shape (rows, conditions)."""
        return self._codes(X).astype(np.float64)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Column names of the conditions."""
        return np.array(list(self.levels), dtype=object)


@stored
class RawInputs(_NothingLearned):
    """All features as numbers: the conditions, evenly spaced from 0 (first level) to 1 (last level), then the values.

    The swap noise of the DeepInsight CNNs relies on the conditions coming first. Source: write-up, DeepInsight CNNs.

    Args:
        levels: all values of each condition in order, by column name.
        columns: the numeric columns that follow, conditions that are numbers first.
    """

    takes_frames = True  # columns are found by their names, also where all are numbers

    def __init__(self, levels: Levels, columns: Sequence[str]):
        self.levels = levels
        self.columns = columns

    @classmethod
    def of(cls, schema: Assay) -> RawInputs:
        """All features of a schema in the published order: control column, conditions from last to first, values.

        A control column whose treated values are not listed is expected as ``NotControls`` makes it.
        """
        levels: dict[str, Sequence[Any]] = {}
        if (control := schema.control) is not None:
            treated = _treated_value(control)
            levels[control.column] = (False, True) if treated is None else (*control.values, treated)
        levels |= dict(reversed(schema.levels.items()))
        return cls(levels, (*schema.numeric_conditions, *schema.values))

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


def _treated_value(control: Control) -> str | None:
    """The value of treated rows where they and controls have one value each, as in the competition; else None."""
    if control.treated is None or not len(control.values) == len(control.treated) == 1:
        return None
    return control.treated[0]


def treated_rows(control: Control | None) -> TreatedRows | NotControls | None:
    """Marks the treated rows; None where there are no controls."""
    if control is None:
        return None
    treated = _treated_value(control)
    return NotControls(control.values) if treated is None else TreatedRows(treated)


@stored
class NotControls(OneToOne, _NothingLearned):
    """True where the control column does not hold one of the values of controls.

    Args:
        controls: the values of controls.
    """

    def __init__(self, controls: Sequence[str]):
        self.controls = controls

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """True for treated rows, shape (rows, 1)."""
        return ~X.isin(list(self.controls)).to_numpy()


@stored
class Log10(OneToOne):
    """The decimal logarithm of conditions that are numbers above 0, such as doses.

    Controls may have no dose: a missing value becomes the lowest of the fitted rows.

    Attributes:
        lowest_: lowest logarithm of each column, shape (columns,); 0 where no fitted row has a value.
    """

    def fit(self, X: np.ndarray, y: Any = None) -> Log10:
        """Learn the lowest value of each column of ``X``, shape (rows, columns).

        Raises:
            UserError: a value is not above 0.
        """
        X = self.learned(X, missing=True)
        if (X <= 0).any():
            raise UserError(
                f"a condition that is a number must be above 0 to be taken as its logarithm; found {X[X <= 0][0]:g}"
            )
        self.lowest_ = np.log10(np.where(np.isnan(X), np.inf, X).min(axis=0))
        self.lowest_[np.isinf(self.lowest_)] = 0.0
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Logarithms, float64, same shape as ``X``."""
        X = self.checked(X, missing=True)
        return np.where(np.isnan(X), self.lowest_, np.log10(X))


@stored
class TreatedRows(_NothingLearned):
    """Marks the treated rows, for a step that leaves the controls out.

    Args:
        treated: value of the control column in treated rows.
    """

    def __init__(self, treated: str = "trt_cp"):
        self.treated = treated

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """True for treated rows, shape (rows, 1)."""
        return (self.treated == X).to_numpy()
