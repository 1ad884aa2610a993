"""The control of shuffled labels: the measures where predictions say nothing about the labels."""

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
    rng = np.random.default_rng(seed)
    if compounds is None:
        return pd.DataFrame(y.to_numpy()[rng.permutation(len(y))], y.index, y.columns)
    codes, names = pd.factorize(compounds.loc[y.index], use_na_sentinel=False)
    rows = [np.flatnonzero(codes == code) for code in range(len(names))]
    source = np.empty(len(y), dtype=np.int64)
    for own, other in zip(rows, rng.permutation(len(names)), strict=True):
        source[own] = np.resize(rows[other], len(own))
    return pd.DataFrame(y.to_numpy()[source], y.index, y.columns)
