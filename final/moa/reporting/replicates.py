"""How well replicates agree: wells of the same compound at the same dose, by their features and their predictions.

The share of treatments whose replicates are more alike than chance is the field's percent replicating (Way et al.
2022): the median correlation between a treatment's wells is compared with the 95th percentile of the same median over
as many wells of different treatments.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

#: Draws of wells of different treatments, for each number of replicates.
_DRAWS = 1000
_LEVEL = 0.95
#: Wells of a treatment that are compared pair by pair; of more, the first ones.
_MOST = 24


def replicate_agreement(features: np.ndarray, treatment: pd.Series, probabilities: pd.DataFrame) -> pd.DataFrame:
    """Agreement of the wells of each treatment that has at least two.

    Args:
        features: numbers, shape (wells, features).
        treatment: of each well; NaN where it is not known or does not count, as for controls.
        probabilities: shape (wells, targets).

    Returns:
        one row per treatment, in order of appearance: wells (their number), correlation (median Pearson correlation of
        their features over all pairs), chance (95th percentile of that over wells of different treatments; NaN where
        there are fewer than two treatments), same_first (share of wells that have the treatment's commonest most likely
        target), and first (that target).
    """
    codes, names = pd.factorize(treatment)
    unit = _standardised(features)
    groups = [np.flatnonzero(codes == code) for code in range(len(names))]
    rng, chance = np.random.default_rng(0), {}
    top = probabilities.to_numpy().argmax(axis=1)
    rows = []
    for name, wells in zip(names, groups, strict=True):
        if len(wells) < 2:
            continue
        compared = wells[:_MOST]
        if len(compared) not in chance:
            chance[len(compared)] = _by_chance(unit, codes, len(compared), rng)
        values, counts = np.unique(top[wells], return_counts=True)
        first = probabilities.columns[values[counts.argmax()]]
        correlation, by_chance = _median_correlation(unit[compared]), chance[len(compared)]
        rows.append((name, len(wells), correlation, by_chance, counts.max() / len(wells), first))
    columns = ["treatment", "wells", "correlation", "chance", "same_first", "first"]
    return pd.DataFrame(rows, columns=columns).set_index("treatment")


def _median_correlation(unit: np.ndarray) -> float:
    """Median over all pairs of rows, which are standardised."""
    similar = unit @ unit.T
    return float(np.median(similar[np.triu_indices(len(unit), 1)]))


def _by_chance(unit: np.ndarray, codes: np.ndarray, size: int, rng: np.random.Generator) -> float:
    """The 95th percentile of the median correlation between wells of ``size`` different treatments."""
    known = np.flatnonzero(codes >= 0)
    size = min(size, len(np.unique(codes[known])))
    if size < 2:
        return float("nan")
    found = []
    for _ in range(_DRAWS):
        drawn: list[int] = []
        for well in rng.permutation(known)[: 20 * size]:
            if codes[well] not in codes[drawn]:
                drawn.append(well)
            if len(drawn) == size:
                break
        if len(drawn) > 1:
            found.append(_median_correlation(unit[drawn]))
    return float(np.quantile(found, _LEVEL)) if found else float("nan")


def _standardised(values: np.ndarray) -> np.ndarray:
    """Rows of mean 0 and length 1, so that their products are Pearson correlations; a constant row becomes zeros."""
    centred = np.asarray(values, np.float64) - np.mean(values, axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return centred / np.where(length > 0, length, 1)
