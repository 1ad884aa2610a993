"""Controls: labels or profiles in exchange, where predictions can say nothing about the labels."""

from __future__ import annotations

import numpy as np
import pandas as pd


def shuffled_labels(y: pd.DataFrame, compounds: pd.Series | None, seed: int) -> pd.DataFrame:
    """Give each compound the labels of another one, drawn at random.

    Rows of a compound keep labels of one compound, as in the data: rows shuffled one by one would make a control that
    is too easy to beat. Where the two compounds have different numbers of rows, the labels of the other one are
    repeated or cut off. Without ``compounds`` each row is a compound of its own.

    Returns:
        labels with the rows and columns of ``y``, shape (rows, targets).
    """
    return pd.DataFrame(y.to_numpy()[_exchanged(y.index, compounds, seed)], y.index, y.columns)


def exchanged_profiles(features: pd.DataFrame, treatments: pd.Series | None, seed: int) -> pd.DataFrame:
    """Give each treatment the profiles of another one, drawn at random; labels and groups are left as they are.

    Wells of a treatment keep wells of one treatment. Where the two have different numbers of wells, those of the other
    one are repeated or cut off. What is still right on such data is not learned from the profiles.

    Args:
        features: shape (wells, features), indexed by sig_id.
        treatments: of each well; wells without one count as one together. None: each well is one of its own.
        seed: of the draw.

    Returns:
        the profiles with the rows and columns of ``features``.
    """
    source = _exchanged(features.index, treatments, seed)
    return pd.DataFrame(features.to_numpy()[source], features.index, features.columns)


def _exchanged(index: pd.Index, groups: pd.Series | None, seed: int) -> np.ndarray:
    """The position of the row that each row's place is taken by, where groups change places; shape (rows,)."""
    rng = np.random.default_rng(seed)
    if groups is None:
        return rng.permutation(len(index))
    codes, names = pd.factorize(groups.loc[index], use_na_sentinel=False)
    rows = [np.flatnonzero(codes == code) for code in range(len(names))]
    source = np.empty(len(index), dtype=np.int64)
    for own, other in zip(rows, rng.permutation(len(names)), strict=True):
        source[own] = np.resize(rows[other], len(own))
    return source
