"""The answer for a treatment or a compound: the mean of its wells' evidence.

Evidence is the logarithm of the odds. Where a row has one mechanism, its probabilities sum to 1, and the mean of their
logarithms is scaled to sum to 1 again; where a row may have several, each mechanism has odds of its own. Evidence of
calibrated probabilities, each measured from the same prior, has the same mean: the prior is counted once.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

#: Probabilities are clipped to [CLIP, 1 - CLIP] before the logarithm.
CLIP = 1e-6
#: Log odds beyond which a probability is 0 or 1 to the last digit, and the exponential of 32 bits not far from its end.
_MOST = 80
#: Largest difference of a row's sum from 1 where a row has one mechanism.
_ROUNDING = 1e-3


def sums_to_one(p: np.ndarray) -> bool:
    """Whether the probabilities, shape (rows, targets), are of one mechanism for each row; rows of zeros are left out.

    False for a single target, and without rows.
    """
    total = np.asarray(p, np.float64).sum(axis=1)
    total = total[total > 0]
    return bool(p.shape[1] > 1 and len(total) and (np.abs(total - 1) < _ROUNDING).all())


def evidence(p: np.ndarray, one: bool) -> np.ndarray:
    """Log probabilities where a row has ``one`` mechanism, else log odds; same shape as ``p``, float64."""
    p = np.clip(np.asarray(p, np.float64), CLIP, 1 - CLIP)
    return np.log(p) if one else np.log(p) - np.log1p(-p)


def probability(found: np.ndarray, one: bool) -> np.ndarray:
    """Probabilities of mean `evidence`, same shape."""
    if not one:
        return 1 / (1 + np.exp(-np.clip(found, -_MOST, _MOST)))
    scaled = np.exp(found - found.max(axis=1, keepdims=True))
    return scaled / scaled.sum(axis=1, keepdims=True)


def pool(p: pd.DataFrame, of: pd.Series, one: bool | None = None) -> pd.DataFrame:
    """The probabilities of groups of rows, by the mean of the rows' evidence.

    Args:
        p: calibrated probabilities, shape (rows, targets), indexed by sig_id.
        of: the treatment or compound of each row; rows without one are left out.
        one: whether a row has one mechanism; None: where its probabilities sum to 1.

    Returns:
        shape (groups, targets), in the order of the groups' names.
    """
    one = sums_to_one(p.to_numpy()) if one is None else one
    found = pd.DataFrame(evidence(p.to_numpy(), one), p.index, p.columns)
    mean = found.groupby(of.reindex(p.index)).mean()
    return pd.DataFrame(probability(mean.to_numpy(), one), mean.index, mean.columns)
