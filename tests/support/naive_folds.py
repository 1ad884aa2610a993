"""The folds of the published models written out once more, with the library's splitters and numpy's own generator."""

from collections import Counter

import numpy as np
import pandas as pd
from iterstrat.ml_stratifiers import MultilabelStratifiedKFold


def numbered(splitter, y):
    """Fold of each row, by the library's splitter."""
    folds = np.full(len(y), -1)
    for number, (_, valid) in enumerate(splitter.split(y, y)):
        folds[valid] = number
    return folds


def replayed(y, n_splits, seed, clip=None):
    """As a notebook did it that seeds numpy and splits unshuffled, by labels or by labels clipped before."""
    labels = y.to_numpy(np.float64)
    np.random.seed(seed)
    return numbered(MultilabelStratifiedKFold(n_splits=n_splits), labels if clip is None else np.clip(labels, *clip))


def by_drug(y, drugs, n_splits=5, seed=34):
    """The new CV: drugs of at most 18 rows as wholes, the drug of most rows first; the rows of others one by one."""
    rows = Counter(drugs.loc[y.index])  # most_common keeps the order of first appearance among equal counts
    small = [drug for drug, count in rows.most_common() if count <= 18]
    labels = np.array([y[(drugs.loc[y.index] == drug).to_numpy()].mean() for drug in small])
    splitter = MultilabelStratifiedKFold(n_splits=n_splits, shuffle=True, random_state=seed)
    fold_of = dict(zip(small, numbered(splitter, labels), strict=True))
    folds = pd.Series([fold_of.get(drug, -1) for drug in drugs.loc[y.index]], y.index)
    rest = y[(folds == -1).to_numpy()]
    if len(rest):
        folds[rest.index] = numbered(splitter, rest.to_numpy())
    return folds.to_numpy()
