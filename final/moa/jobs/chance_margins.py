"""How far a run may be from the winners' run before chance no longer explains it, from the spread of their seeds.

A run that repeats the winners' training on the same folds differs from it in initial weights, order of rows and
dropout, and in nothing else. Its best validation loss in a fold is then one more draw from the distribution that the
winners' S seeds in that fold were drawn from. Losses are taken to be normal around the fold's mean. Folds differ in
difficulty, so each loss is compared within its fold.

**One unit.** The difference from the mean of the winners' seeds in that fold has the variance s² (1 + 1/S): that of the
new draw and that of their mean. s² is their variance around the fold means, pooled over folds with F (S - 1) degrees of
freedom. Pooling is fair, as the variances of their folds do not differ beyond chance (Bartlett, p = 0.8), and it
narrows the margins, since Student's quantile of 25 degrees of freedom is lower than that of 5.

**The mean over units.** The difference is the mean over all compared units, each from its fold's mean. All folds of a
seed start from the same weights, so a seed may be good in all folds at once, and its units are not independent. The
spread of whole seeds is used instead: what a seed adds to the mean is a weighted sum over folds, and the variance of
that sum is taken over the winners' seeds, with S - 1 degrees of freedom. The variances of our seeds add up, and that of
the winners' mean is added. For k seeds in all folds this is v (1/k + 1/S), with v the variance of their seeds' means.

**Several tests.** A level of 5 % means: of a hundred faithful runs about five are called different at all. With N > 1
units, half of the level goes to the mean and half to the units, divided by N (Bonferroni). One unit alone takes all.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

#: Probability that a faithful run is called different, over all of its tests.
LEVEL = 0.05


def unit_margin(theirs: pd.DataFrame, units: int) -> float:
    """Largest unremarkable difference between a unit's loss and the mean of the winners' seeds in its fold.

    ``theirs`` are the winners' losses, shape (seeds, folds). The level is divided among the ``units`` compared.
    """
    seeds, folds = theirs.shape
    variance = theirs.var(ddof=1).mean()
    share = LEVEL / 2 / units if units > 1 else LEVEL
    return float(_quantile(share, folds * (seeds - 1)) * np.sqrt(variance * (1 + 1 / seeds)))


def mean_margin(theirs: pd.DataFrame, units: pd.MultiIndex) -> float:
    """Largest unremarkable value of the mean difference over several units.

    ``theirs`` are the winners' losses, shape (seeds, folds); ``units`` are at least two, as (seed, fold).
    """
    seed, seeds = pd.factorize(units.get_level_values("seed"))
    weights = np.zeros((len(seeds), theirs.shape[1]))
    weights[seed, theirs.columns.get_indexer(units.get_level_values("fold"))] = 1 / len(units)
    covariance = np.cov(theirs.to_numpy(), rowvar=False, ddof=1).reshape(theirs.shape[1], -1)
    whole = weights.sum(axis=0)
    variance = ((weights @ covariance) * weights).sum() + whole @ covariance @ whole / len(theirs)
    return float(_quantile(LEVEL / 2, len(theirs) - 1) * np.sqrt(variance))


def _quantile(level: float, freedom: int) -> float:
    """Two-sided quantile of Student's t."""
    return float(stats.t.ppf(1 - level / 2, freedom))
