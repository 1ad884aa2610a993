"""The drugs of the synthetic data: how many rows each has, and which targets.

The counts are those of the competition's training data. Labels are constant within a drug. A few drugs, the screen's
positive controls, have hundreds of rows each; most have six.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from moa.data.schema import N_NONSCORED, N_SCORED

#: Treated rows of the competition's training data.
TREATED_ROWS = 21_948
#: Rows of the largest drugs, which are the positive controls.
LARGE_DRUGS = (718, 246, 203, 202, 196, 194, 186, 178)
#: Number of the other drugs by their rows.
DRUGS_BY_ROWS = {
    **{1: 129, 2: 2, 3: 4, 4: 2, 5: 66, 6: 2774, 7: 196},
    **{8: 3, 11: 6, 12: 64, 13: 25, 14: 5, 18: 3, 19: 1},
}
#: Treated rows by their number of scored targets; the other rows have none.
ROWS_BY_TARGETS = {7: 6, 5: 13, 4: 55, 3: 303, 2: 1538, 1: 12_532}
#: Number of nonscored targets without a positive.
EMPTY_NONSCORED = 71

# Drugs of a scored target by rank: the most frequent ones, then points of a curve. Large drugs come on top.
_COMMON_TARGETS = (74, 69, 68, 63, 60, 60, 48)
_TARGET_CURVE = {
    **{7: 47, 12: 38, 20: 28, 40: 16.5, 70: 10, 102: 6.6, 103: 6.4},
    **{140: 4.2, 156: 3.2, 170: 2.6, 171: 2, 186: 2, 187: 1},
}
# Ranks, in that curve, of the targets of the large drugs. The first large drug has two targets.
_TARGETS_OF_LARGE = ((36, 180), (24,), (27,), (30,), (33,), (37,), (41,), (45,))
# The same for the nonscored targets that have a positive.
_COMMON_NONSCORED = (15, 13, 12, 12, 11, 10, 10, 9)
_NONSCORED_CURVE = {8: 8.4, 60: 4.5, 110: 2.6, 190: 1.6, 240: 1, 330: 1}
# Families of targets: drugs with several targets have them from one family.
_FAMILIES = 40
# Share of the nonscored labels that go to drugs with a scored target of the same family.
_NONSCORED_WITH_FAMILY = 0.5


@dataclass(frozen=True)
class Drugs:
    """Drugs with their targets; the first ``n_train`` are those of the training rows."""

    rows: np.ndarray  # number of training rows of each training drug
    n_large: int  # the first so many drugs are the positive controls
    labels: np.ndarray  # 0/1, shape (drugs, scored + nonscored targets), columns in the order of the files
    family: np.ndarray  # family of each target, shape (targets,)
    rank: np.ndarray  # rank of each target by its number of drugs, shape (targets,), scored and nonscored apart

    @property
    def n_train(self) -> int:
        """Number of drugs in the training rows."""
        return len(self.rows)


def draw_drugs(rng: np.random.Generator, treated: int, n_fresh: int) -> Drugs:
    """Draw the drugs of ``treated`` training rows, and ``n_fresh`` more, which occur only in the test rows.

    A fresh drug has the targets of a random small training drug, so that the test set has the same label frequencies.
    """
    scale = treated / TREATED_ROWS
    rows, n_large = _rows_of_drugs(rng, treated)
    n_targets = _targets_of_drugs(rng, rows, n_large, scale)
    rank = np.concatenate([rng.permutation(N_SCORED), rng.permutation(N_NONSCORED)])
    family = np.concatenate([_families(rng, N_SCORED), rng.integers(0, _FAMILIES, N_NONSCORED)])
    scored = _scored(rng, rows, n_large, n_targets, rank[:N_SCORED], family[:N_SCORED])
    nonscored = _nonscored(rng, rows, n_large, scored, rank[N_SCORED:], family, scale)
    labels = np.hstack([scored, nonscored])
    copied = rng.integers(min(n_large, len(rows) - 1), len(rows), n_fresh)
    return Drugs(rows, n_large, np.vstack([labels, labels[copied]]), family, rank)


def _rows_of_drugs(rng: np.random.Generator, treated: int) -> tuple[np.ndarray, int]:
    """Rows of each drug, the large ones first, and the number of those.

    A smaller data set has the same large drugs with fewer rows, and fewer other drugs of unchanged size.
    """
    scale = treated / TREATED_ROWS
    large = [rows for rows in (round(size * scale) for size in LARGE_DRUGS) if rows]
    pool = np.repeat(list(DRUGS_BY_ROWS), list(DRUGS_BY_ROWS.values()))
    pool = np.concatenate([rng.permutation(pool) for _ in range(int(np.ceil(scale)) + 1)])
    left = treated - sum(large)
    ends = np.minimum(np.cumsum(pool), left)
    rows = np.diff(ends, prepend=0)
    return np.concatenate([large, rows[rows > 0]]).astype(int), len(large)


def _targets_of_drugs(rng: np.random.Generator, rows: np.ndarray, n_large: int, scale: float) -> np.ndarray:
    """Number of scored targets of each drug, such that rows with one, two … targets have the right shares."""
    count = np.zeros(len(rows), int)
    count[:n_large] = [len(targets) for targets in _TARGETS_OF_LARGE[:n_large]]
    free = np.zeros(len(rows), bool)
    free[n_large:] = True
    for targets, quota in ROWS_BY_TARGETS.items():
        left = round(quota * scale) - rows[:n_large][count[:n_large] == targets].sum()
        for drug in rng.permutation(np.flatnonzero(free)):
            if rows[drug] <= left:
                count[drug], free[drug], left = targets, False, left - rows[drug]
            if left <= 0:
                break
    return count


def _curve(first: tuple[int, ...], points: dict[int, float], length: int) -> np.ndarray:
    """Drugs of each target by rank, not rounded: ``first``, then a geometric interpolation of ``points``."""
    curve = np.exp(np.interp(np.arange(length), list(points), np.log(list(points.values()))))
    curve[: len(first)] = first
    return curve


def _share_out(rng: np.random.Generator, weights: np.ndarray, total: int) -> np.ndarray:
    """Integers proportional to ``weights`` of sum ``total`` (systematic sampling), at least 1 if that is enough."""
    order = rng.permutation(len(weights))
    ends = np.cumsum(weights[order]) * (total / weights.sum())
    counts = np.zeros(len(weights), int)
    ends[-1] = total  # despite rounding errors
    counts[order] = np.diff(np.floor(ends + rng.random()).astype(int), prepend=0)
    while total >= len(weights) and (counts == 0).any():
        counts[counts.argmin()] += 1
        counts[counts.argmax()] -= 1
    return counts


def _families(rng: np.random.Generator, count: int) -> np.ndarray:
    """Family of each scored target: each family has one, a few have ten or more."""
    weights = 1 / np.arange(1, _FAMILIES + 1) ** 0.7
    drawn = rng.choice(_FAMILIES, count - _FAMILIES, p=weights / weights.sum())
    return rng.permutation(np.concatenate([np.arange(_FAMILIES), drawn]))


def _scored(
    rng: np.random.Generator,
    rows: np.ndarray,
    n_large: int,
    n_targets: np.ndarray,
    rank: np.ndarray,
    family: np.ndarray,
) -> np.ndarray:
    """Scored labels, 0/1, shape (drugs, targets): ``n_targets`` per drug, and drugs per target as in the curve."""
    labels = np.zeros((len(rows), len(rank)), np.uint8)
    column = np.argsort(rank)
    for drug, ranks in enumerate(_TARGETS_OF_LARGE[:n_large]):
        labels[drug, column[list(ranks)]] = 1
    curve = _curve(_COMMON_TARGETS, _TARGET_CURVE, len(rank))[rank]
    left = _share_out(rng, curve, int(n_targets[n_large:].sum()))
    single = left == 1
    for drug in n_large + np.argsort(-n_targets[n_large:], kind="stable"):
        if n_targets[drug] < 2:
            break
        chosen = _several(rng, n_targets[drug], np.where(single, 0, left), family)
        labels[drug, chosen] = 1
        left[chosen] = np.maximum(left[chosen] - 1, 0)
    targets = np.repeat(np.arange(len(rank)), left)
    targets = np.concatenate([targets[single[targets]], rng.permutation(targets[~single[targets]])])
    takers = _order_for_single(rng, rows, n_large + np.flatnonzero(n_targets[n_large:] == 1), single.sum())
    count = min(len(targets), len(takers))
    labels[takers[:count], targets[:count]] = 1
    return labels


def _order_for_single(rng: np.random.Generator, rows: np.ndarray, drugs: np.ndarray, count: int) -> np.ndarray:
    """Drugs in random order, except the first ``count``, for targets of one drug: two of one row, then larger ones."""
    drugs = rng.permutation(drugs)
    tiny, usual = drugs[rows[drugs] == 1], drugs[rows[drugs] > 1]
    return np.concatenate([tiny[:2], usual[:count], rng.permutation(np.concatenate([tiny[2:], usual[count:]]))])


def _several(rng: np.random.Generator, count: int, left: np.ndarray, family: np.ndarray) -> np.ndarray:
    """``count`` targets of one family, drawn by how many drugs they still need; of any if no family has so many."""
    sizes = np.bincount(family, left > 0)
    weights = np.bincount(family, left) * (sizes >= count)
    allowed = left > 0
    if weights.any():
        allowed &= family == rng.choice(len(weights), p=weights / weights.sum())
    candidates = np.flatnonzero(allowed)
    if len(candidates) < count:
        return rng.choice(len(left), count, replace=False)
    weights = left[candidates] / left[candidates].sum()
    return rng.choice(candidates, count, replace=False, p=weights)


def _nonscored(
    rng: np.random.Generator,
    rows: np.ndarray,
    n_large: int,
    scored: np.ndarray,
    rank: np.ndarray,
    family: np.ndarray,
    scale: float,
) -> np.ndarray:
    """Nonscored labels, 0/1, shape (drugs, targets).

    Half of them go to drugs with a scored target of the same family, half to drugs without a scored target.
    """
    used = N_NONSCORED - EMPTY_NONSCORED
    column = np.argsort(rank)[:used]
    curve = _curve(_COMMON_NONSCORED, _NONSCORED_CURVE, used)
    counts = _share_out(rng, curve, max(1, round(curve.sum() * scale)))
    labels = np.zeros((len(rows), N_NONSCORED), np.uint8)
    in_family = scored @ (family[:N_SCORED, None] == np.arange(_FAMILIES)) > 0
    small = (np.arange(len(rows)) >= n_large) & (rows > 1)
    without = small & ~scored.any(axis=1)
    for target, count in zip(column, counts, strict=True):
        related = small & in_family[:, family[N_SCORED + target]]
        for _ in range(count):
            allowed = related if rng.random() < _NONSCORED_WITH_FAMILY else without
            pool = np.flatnonzero(allowed & (labels[:, target] == 0))
            labels[rng.choice(pool if len(pool) else len(rows)), target] = 1
    return labels
