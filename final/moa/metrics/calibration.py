"""Calibration of probabilities: how far their evidence is to be trusted, and how much the prior counts.

A model's evidence for a mechanism is what its probability q says beyond the prior, the frequency among the rows that it
was trained on. β scales the evidence: below 1 where the model is too sure of itself. γ is the power of the prior that
is kept. Where each row has one mechanism,

    log p = γ · log prior + β · (log q - log prior), scaled so that a row's probabilities sum to 1;

where it may have several or none, with m the logit of the mean prior,

    logit p = m + γ · (logit prior - m) + β · (logit q - logit prior).

A compound that is held out makes its mechanism rarer in its training rows. The prior must therefore be that of the rows
that predicted it, and it is removed once: a prior removed twice would say which mechanism was held out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from moa.metrics.pooling import CLIP, evidence, probability

#: The values of β and γ that are compared.
BETAS = (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.4, 1.7, 2, 2.5, 3, 3.5, 4, 5)
GAMMAS = (0.0, 0.5, 1.0)

Name = TypeVar("Name")


def prior_of(positives: np.ndarray, rows: np.ndarray | float) -> np.ndarray:
    """The frequency of mechanisms, (n + 1/2) / (rows + 1), which is never 0 or 1.

    Args:
        positives: positive rows of each mechanism, shape (targets,), or (groups of rows, targets).
        rows: number of rows; of several groups, shape (groups,).

    Returns:
        as ``positives``.
    """
    return (np.asarray(positives) + 0.5) / (np.asarray(rows, np.float64)[..., None] + 1)


def one_each(labels: np.ndarray) -> bool:
    """Whether each row of 0/1 ``labels``, shape (rows, targets), has exactly one mechanism; False without rows."""
    return bool(len(labels) and labels.shape[1] > 1 and (labels.sum(axis=1) == 1).all())


@dataclass(frozen=True)
class Calibration:
    """β and γ, see the module.

    Attributes:
        one: whether each row has one mechanism.
        beta: what evidence is multiplied by.
        gamma: power of the prior.
    """

    one: bool
    beta: float
    gamma: float

    def apply(self, q: np.ndarray, prior: np.ndarray) -> np.ndarray:
        """Calibrated probabilities.

        Args:
            q: shape (rows, targets); clipped to [1e-6, 1 - 1e-6].
            prior: shape (targets,), or that of each row, (rows, targets).

        Returns:
            float64, shape (rows, targets).
        """
        return self.of_evidence(evidence(q, self.one) - evidence(prior, self.one), prior)

    def of_evidence(self, found: np.ndarray, prior: np.ndarray) -> np.ndarray:
        """The probabilities that evidence beyond the prior gives.

        Args:
            found: evidence, shape (rows, targets).
            prior: as in `apply`.

        Returns:
            float64, shape (rows, targets).
        """
        return probability(_kept(prior, self.one, self.gamma) + self.beta * found, self.one)


def _kept(prior: np.ndarray, one: bool, gamma: float) -> np.ndarray:
    """The part of the prior that is kept, in the units of evidence."""
    prior = np.asarray(prior, np.float64)
    if one:
        return gamma * np.log(prior)
    mean = evidence(prior.mean(axis=-1, keepdims=True), False)
    return mean + gamma * (evidence(prior, False) - mean)


@dataclass(frozen=True)
class Choice:
    """What was chosen: the ``name`` of a candidate, its ``calibration``, and the log ``loss`` of both."""

    name: object
    calibration: Calibration
    loss: float


def choose(
    candidates: Iterable[tuple[object, np.ndarray]],
    labels: np.ndarray,
    prior: np.ndarray,
    one: bool,
    gammas: tuple[float, ...] = GAMMAS,
) -> Choice:
    """The candidate, β and γ with the lowest log loss over all cells; of equal ones the first.

    Args:
        candidates: name and evidence beyond the prior of each, shape (rows, targets).
        labels: 0/1 of the same rows, shape (rows, targets).
        prior: of the rows that each row was predicted from, shape (rows, targets).
        one: whether each row has one mechanism.
        gammas: values of γ to compare.

    Returns:
        the choice.
    """
    positive = np.asarray(labels) > 0
    kept = [(gamma, _kept(prior, one, gamma).astype(np.float32)) for gamma in gammas]
    best: Choice | None = None
    for name, found in candidates:
        found = np.asarray(found, np.float32)
        for gamma, base in kept:
            for beta in BETAS:
                loss = cell_losses(probability(base + np.float32(beta) * found, one), positive).mean()
                if best is None or loss < best.loss:
                    best = Choice(name, Calibration(one, float(beta), float(gamma)), float(loss))
    assert best is not None, "there are candidates"
    return best


def cell_losses(p: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Log loss of each row, mean over targets, with probabilities clipped to [1e-6, 1 - 1e-6]; shape (rows,).

    ``p`` and the bool labels ``positive`` are of shape (rows, targets).
    """
    p = np.clip(p, CLIP, 1 - CLIP)
    return -np.log(np.where(positive, p, 1 - p)).mean(axis=1)


def grid(one: bool) -> Iterator[Calibration]:
    """All pairs of β and γ; ``one``: whether each row has one mechanism."""
    for gamma in GAMMAS:
        for beta in BETAS:
            yield Calibration(one, float(beta), gamma)
