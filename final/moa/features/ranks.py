"""Gaussian ranks of columns."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from scipy import special

from moa.environment import available_cores
from moa.features.base import OneToOne, blocks
from moa.features.stored import stored

# scikit-learn's margin. Values this close to the fitted extremes get the extreme score; the margin keeps it finite.
_BOUND = 1e-7
_LOWEST, _HIGHEST = special.ndtri([_BOUND - np.spacing(1), 1 - (_BOUND - np.spacing(1))])

# Columns processed at a time: few enough for a processor's cache.
_COLUMNS_AT_A_TIME = 16
# Cells of a table that is not worth several threads.
_FEW_CELLS = 1 << 18


@stored
class GaussianRank(OneToOne):
    """Map each column to a normal distribution by its ranks ("RankGauss").

    Gives the same bits as one ``QuantileTransformer(n_quantiles, output_distribution="normal", subsample=None)`` of
    scikit-learn per column, in about half the processor time and with one array instead of hundreds of objects. Today's
    default of that class is to use 10,000 random rows. In 2020 it was 100,000, more than the competition has, so this
    class uses all rows.

    Source: write-up, common parts.

    Args:
        n_quantiles: number of points of the fitted distribution function; at most the number of rows.
        random_state: the published seed. It has no effect, since nothing is drawn without subsampling.

    Attributes:
        references_: probabilities of the quantiles, shape (quantiles,).
        quantiles_: shape (quantiles, columns).
    """

    def __init__(self, n_quantiles: int = 100, random_state: int | None = None):
        self.n_quantiles = n_quantiles
        self.random_state = random_state

    def fit(self, X: np.ndarray, y: Any = None) -> GaussianRank:
        """Learn the quantiles of each column of ``X``, shape (rows, columns)."""
        X = self.learned(X)
        rows = len(X)
        self.references_ = np.linspace(0, 1, max(1, min(self.n_quantiles, rows)))
        # numpy's "linear" percentile with each column sorted once. scikit-learn multiplies and divides by 100, which
        # rounds, so the same is done here.
        place = (rows - 1) * (self.references_ * 100 / 100)
        below = np.floor(place).astype(np.intp)
        above, share = np.minimum(below + 1, rows - 1), (place - below)[:, None]
        self.quantiles_ = np.empty((len(place), X.shape[1]))

        def quantiles(columns: slice) -> None:
            ordered = np.sort(np.ascontiguousarray(X[:, columns].T), axis=1).T
            low, high = ordered[below], ordered[above]
            step = high - low
            self.quantiles_[:, columns] = np.where(share >= 0.5, high - step * (1 - share), low + step * share)

        _each_block(quantiles, X.shape)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Normal scores of the values, within about ±5.2; same shape as ``X``."""
        X = self.checked(X)
        result = np.empty(X.shape)
        references, backwards = self.references_, -self.references_[::-1]

        def ranks(columns: slice) -> None:
            block = X[:, columns].T.copy(order="C")  # copy even a single column, since it is modified
            for values, points in zip(block, np.ascontiguousarray(self.quantiles_[:, columns].T), strict=True):
                lowest, highest = values - _BOUND < points[0], values + _BOUND > points[-1]
                # A value equal to several quantiles gets the mean of the probabilities of the first and the last.
                down = np.interp(-values, -points[::-1], backwards)
                values[:] = 0.5 * (np.interp(values, points, references) - down)
                values[highest] = 1
                values[lowest] = 0
            special.ndtri(block, out=block)
            result[:, columns] = np.clip(block, _LOWEST, _HIGHEST, out=block).T

        _each_block(ranks, X.shape)
        return result


def _each_block(work: Callable[[slice], None], shape: tuple[int, int]) -> None:
    """Call ``work`` with slices of columns, in threads: sort, interp and ndtri release the interpreter lock.

    Starting threads and waiting for them takes some 20 ms, which small tables do not.
    """
    rows, columns = shape
    parts = blocks(columns, _COLUMNS_AT_A_TIME)
    if rows * columns < _FEW_CELLS:
        for part in parts:
            work(part)
        return
    with ThreadPoolExecutor(available_cores()) as pool:
        list(pool.map(work, parts))  # raises what a thread has raised
