"""Which rows each finished unit of a model was validated on, so that baselines can be given the same folds."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from moa.weights.store import ModelStore


def held_out_folds(store: ModelStore, stage: str, units: Iterable[tuple[int, int]]) -> pd.DataFrame:
    """The folds of a stage as its stored out-of-fold predictions have them.

    Args:
        store: of the model.
        stage: name of the stage.
        units: the finished units (seed, fold) to read.

    Returns:
        a column per seed with the fold of each row, indexed by sig_id; NaN for rows of folds that are not finished.
    """
    columns: dict[int, list[pd.Series]] = {}
    for seed, fold in units:
        rows = store.load_oof(stage, seed, fold).index
        columns.setdefault(seed, []).append(pd.Series(fold, index=rows))
    return pd.DataFrame({seed: pd.concat(parts) for seed, parts in columns.items()})
