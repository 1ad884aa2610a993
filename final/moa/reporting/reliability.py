"""How far a blend's predictions of each mechanism can be trusted: its out-of-fold predictions of the training rows.

Only the weights folder is read: it holds the out-of-fold predictions of every unit, and the training rows' labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from moa.blending.blend import BlendSpec, effective_weights
from moa.features import TrainingEvidence
from moa.metrics.ranking import column_areas
from moa.progress import progress
from moa.weights.trained import open_trained

#: Borders of the ranges of probability within which hits are counted, between 0 and 1.
EDGES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.5)


@dataclass(frozen=True)
class Reliability:
    """Out-of-fold measures of a blend.

    Attributes:
        rows: treated training rows that at least one member covers.
        table: one row per target: positives, roc_auc, average_precision; NaN where a measure is not defined.
        counts: of each target and range of probability between ``EDGES``, the number of rows given such a probability;
            shape (targets, ranges).
        hits: how many of them carry the target, same shape.
        share: weight of the members that cover a row, mean over rows; 1 where all folds of all members are trained.
    """

    rows: int
    table: pd.DataFrame
    counts: np.ndarray
    hits: np.ndarray
    share: float = 1.0


def reliability(
    spec: BlendSpec, weights: Path, members: Sequence[str], evidence: TrainingEvidence
) -> Reliability | None:
    """Score a blend's out-of-fold predictions; while folds are missing, of each row the members that cover it.

    ``members`` are those that are trained, ``evidence`` has the labels. None where no predicted row has labels.
    """
    tables: dict[str, pd.DataFrame] = {}
    with progress("reliability", len(members)) as bar:
        for done, name in enumerate(members, 1):
            tables[name] = open_trained(name, weights, whole=False).oof()
            bar.update(done, name)
    targets = list(next(iter(tables.values())).columns)
    y, used = evidence.labels(targets), effective_weights(spec, members, "renormalise")
    total, weight = np.zeros(y.shape), np.zeros(len(y))
    for name, table in tables.items():
        covered = y.index.isin(table.index)
        total[covered] += used[name] * table.loc[y.index[covered], targets].to_numpy(np.float64)
        weight[covered] += used[name]
    rows = weight > 0
    if not rows.any():
        return None
    mixed = pd.DataFrame(total[rows] / weight[rows, None], y.index[rows], targets)
    return replace(measured(y[rows], mixed), share=float(weight[rows].mean() / used.sum()))


def measured(y: pd.DataFrame, p: pd.DataFrame) -> Reliability:
    """Measures of probabilities ``p`` of 0/1 labels ``y``, both of shape (rows, targets) in the same order."""
    table = column_areas(y, p)
    table.insert(0, "positives", y.to_numpy(np.int64).sum(axis=0))
    place = np.searchsorted(EDGES, p.to_numpy(np.float64), side="right")
    ranges, positive = np.arange(len(EDGES) + 1), y.to_numpy() > 0
    counts = np.stack([(place == each).sum(axis=0) for each in ranges], axis=1)
    hits = np.stack([((place == each) & positive).sum(axis=0) for each in ranges], axis=1)
    return Reliability(len(y), table, counts, hits)
