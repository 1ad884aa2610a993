"""The treatment's conditions as numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

from moa.data.schema import CELLS, CP_DOSE, CP_DOSES, CP_TIME, CP_TIMES, CP_TYPE, CP_TYPES, GENES
from moa.errors import UserError


class _Conditions(TransformerMixin, BaseEstimator):
    """Nothing is learned: the categories are fixed, whichever of them a file happens to hold."""

    def fit(self, x: pd.DataFrame, y: Any = None) -> _Conditions:
        """Check ``x``, a frame with cp_time and cp_dose, or an array with these two columns in this order."""
        self._codes(x)
        self.n_features_in_ = 2
        return self

    @staticmethod
    def _codes(x: pd.DataFrame | np.ndarray) -> np.ndarray:
        """Positions in CP_TIMES and in CP_DOSES, shape (rows, 2)."""
        frame = x if isinstance(x, pd.DataFrame) else pd.DataFrame(np.asarray(x), columns=[CP_TIME, CP_DOSE])
        codes = []
        for column, categories in ((CP_TIME, CP_TIMES), (CP_DOSE, CP_DOSES)):
            code = pd.Index(categories, dtype=object).get_indexer(frame[column].astype(object))
            if (code < 0).any():
                row = int(np.flatnonzero(code < 0)[0])
                raise UserError(
                    f"column '{column}', row {frame.index[row]}: '{frame[column].iloc[row]}' is not one of {categories}"
                )
            codes.append(code)
        return np.column_stack(codes)


class OneHotConditions(_Conditions):
    """cp_time and cp_dose as five 0/1 columns, float and not bool, whichever of their values a file happens to hold."""

    def transform(self, x: pd.DataFrame) -> np.ndarray:
        """Columns as ``get_feature_names_out`` names them, shape (rows, 5)."""
        time, dose = self._codes(x).T
        return np.hstack([np.eye(len(CP_TIMES))[time], np.eye(len(CP_DOSES))[dose]])

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """cp_time_24 … cp_dose_D2."""
        names = [f"{CP_TIME}_{time}" for time in CP_TIMES] + [f"{CP_DOSE}_{dose}" for dose in CP_DOSES]
        return np.array(names, dtype=object)


class ConditionCodes(_Conditions):
    """cp_time as 0, 1, 2 and cp_dose as 0, 1: the categorical inputs of TabNet."""

    def transform(self, x: pd.DataFrame) -> np.ndarray:
        """Codes, shape (rows, 2)."""
        return self._codes(x).astype(np.float64)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """cp_time and cp_dose."""
        return np.array([CP_TIME, CP_DOSE], dtype=object)


class RawInputs(TransformerMixin, BaseEstimator):
    """All 875 features as numbers: cp_type {control 0, treated 1}, cp_dose {D1 0, D2 1}, cp_time {0, 0.5, 1}, g, c.

    Source: write-up, DeepInsight CNNs, whose swap noise knows the conditions by being the first three.
    """

    def fit(self, x: pd.DataFrame, y: Any = None) -> RawInputs:
        """Nothing is learned."""
        self.n_features_in_ = x.shape[1]
        return self

    def transform(self, x: pd.DataFrame) -> np.ndarray:
        """Shape (rows, 875), columns as ``get_feature_names_out`` names them."""
        levels = ((CP_TYPE, CP_TYPES), (CP_DOSE, CP_DOSES), (CP_TIME, CP_TIMES))
        coded = [x[name].map({value: k / (len(of) - 1) for k, value in enumerate(of)}) for name, of in levels]
        return np.column_stack([*coded, x[[*GENES, *CELLS]].to_numpy(np.float64)])

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """cp_type, cp_dose, cp_time, g-0 … c-99."""
        return np.array([CP_TYPE, CP_DOSE, CP_TIME, *GENES, *CELLS], dtype=object)
