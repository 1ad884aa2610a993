"""How the networks of a stage become its prediction."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def mean_of_units(predictions: Iterable[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """The prediction of a stage: the mean over its networks, one for each seed and fold, all with the same weight.

    Args:
        predictions: probabilities by each network, float32, of ``shape``.
        shape: (rows, targets).

    Returns:
        float32, of ``shape``. The sum is formed in float64.
    """
    total, count = np.zeros(shape), 0
    for each in predictions:
        total += each
        count += 1
    return (total / count).astype(np.float32)
