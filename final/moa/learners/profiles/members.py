"""The two kinds of predictions from treatments' profiles, each with the settings that are compared.

A member gives the probabilities q of held-out treatments for its settings, and of new rows for one of them. Settings
come in paths; whoever compares them may leave a path early, and what follows on it is then not computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from moa.learners.profiles.softmax import fit_softmax
from moa.learners.profiles.treatments import InnerSplits, Treatments

#: Tolerance of regressions that are compared. Their probabilities are within 0.005 of those of exact regressions, so
#: that settings and calibration are chosen for predictions like the model's own.
_COMPARED = 1e-4
#: Cells (regression, row, class) that are computed at once: some arrays of 256 MiB.
_CELLS = 2**26


class Regression(NamedTuple):
    """Settings of a softmax regression: the shrinkage of the sphering, and C, the inverse of the penalty."""

    shrinkage: float
    penalty: float


class Neighbours(NamedTuple):
    """Settings of nearest neighbours: shrinkage, their number (None: all), and the temperature of their votes."""

    shrinkage: float
    nearest: int | None
    temperature: float


def sphered(profiles: np.ndarray, variances: np.ndarray, shrinkage: float) -> np.ndarray:
    """Profiles in sphered coordinates, scaled to length 1; see `moa.features.profiles.Sphering`.

    Args:
        profiles: coordinates along the axes of the reference rows, shape (rows, features).
        variances: of the reference rows along these, shape (features,).
        shrinkage: λ.

    Returns:
        shape (rows, features).
    """
    found = profiles / np.sqrt((1 - shrinkage) * variances + shrinkage)
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities that sum to 1 along the last axis; 0 where no logit is finite. Same shape."""
    highest = logits.max(axis=-1, keepdims=True)
    found = np.exp(logits - np.where(np.isfinite(highest), highest, 0))
    return found / np.maximum(found.sum(axis=-1, keepdims=True), 1e-300)


def compare_regressions(
    known: Treatments, splits: InnerSplits, shrinkages: tuple[float, ...], penalties: tuple[float, ...]
) -> Iterator[Iterator[tuple[Regression, np.ndarray]]]:
    """Settings of the regression, and the probabilities of the treatments by their inner splits.

    Of classes that a split's training rows lack the probability is 0.

    Returns:
        for each shrinkage a path, C in ascending order: settings and probabilities, shape (treatments, targets).
    """
    present = np.asarray(known.labels.any(axis=0))
    labels = known.labels[:, present]
    lacking = (splits.train @ labels == 0)[splits.split]
    mean_labels = (splits.train @ labels.sum(axis=1) / splits.train.sum(axis=1).clip(1))[splits.split]

    def path(shrinkage: float) -> Iterator[tuple[Regression, np.ndarray]]:
        X = sphered(known.profiles, known.variances, shrinkage)
        for penalty, logits in _compared(X, labels, splits, sorted(penalties)):
            q = softmax(np.where(lacking, -np.inf, logits)) * mean_labels[:, None]
            yield Regression(shrinkage, penalty), _widened(q, present)

    return (path(shrinkage) for shrinkage in shrinkages)


def _compared(
    X: np.ndarray, labels: np.ndarray, splits: InnerSplits, penalties: list[float]
) -> Iterator[tuple[float, np.ndarray]]:
    """Each penalty, and the logits of the treatments by their splits; as many splits at once as memory is meant for."""
    numbers = np.arange(len(splits.train))
    parts = np.array_split(numbers, min(-(-labels.size * len(numbers) // _CELLS), len(numbers)))
    paths = [fit_softmax(X, labels, splits.train[part].astype(np.float64), penalties, _COMPARED) for part in parts]
    for penalty, *found in zip(penalties, *paths, strict=True):
        logits = np.empty_like(labels)
        for part, fitted in zip(parts, found, strict=True):
            for split, coefficients, intercepts in zip(part, fitted.coefficients, fitted.intercepts, strict=True):
                inside = splits.split == split
                logits[inside] = X[inside] @ coefficients.T + intercepts
        yield penalty, logits


def fit_regression(known: Treatments, settings: Regression) -> dict[str, np.ndarray]:
    """The regression on all treatments: what `regression_probabilities` takes, by name."""
    present = np.asarray(known.labels.any(axis=0))
    X = sphered(known.profiles, known.variances, settings.shrinkage)
    fitted = next(fit_softmax(X, known.labels[:, present], np.ones((1, len(X))), [settings.penalty]))
    return {
        "coefficients": _widened(fitted.coefficients[0].T, present).T,
        "intercepts": np.where(present, _widened(fitted.intercepts, present)[0], -np.inf),
        "mean_labels": np.array([known.labels.sum() / len(X)]),
    }


def _widened(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    """The columns of the classes that are ``present`` among all classes, 0 elsewhere."""
    found = np.zeros((len(values), len(present)))
    found[:, present] = values
    return found


def regression_probabilities(X: np.ndarray, stored: dict[str, np.ndarray]) -> np.ndarray:
    """Probabilities of sphered rows ``X``, shape (rows, features); shape (rows, targets)."""
    return softmax(X @ stored["coefficients"].T + stored["intercepts"]) * stored["mean_labels"]


def compare_neighbours(
    known: Treatments,
    splits: InnerSplits,
    shrinkages: tuple[float, ...],
    counts: tuple[int | None, ...],
    temperatures: tuple[float, ...],
) -> Iterator[Iterator[tuple[Neighbours, np.ndarray]]]:
    """Settings of nearest neighbours, and the probabilities of the treatments; each is a path of its own."""
    allowed = splits.train[splits.split]
    for shrinkage in shrinkages:
        X = sphered(known.profiles, known.variances, shrinkage).astype(np.float32)
        cosine = np.where(allowed, X @ X.T, -np.inf)
        for temperature in temperatures:
            votes = _votes(cosine, temperature)
            for count in counts:
                if count == 1 and temperature != temperatures[0]:
                    continue  # one neighbour has the only vote, whatever the temperature
                settings = Neighbours(shrinkage, count, temperature)
                yield iter([(settings, _shares(cosine, votes, known.labels, count))])


def neighbour_probabilities(X: np.ndarray, known: np.ndarray, labels: np.ndarray, settings: Neighbours) -> np.ndarray:
    """Probabilities of rows by the treatments nearest to them.

    Args:
        X: sphered rows, shape (rows, features).
        known: sphered training treatments, shape (treatments, features).
        labels: of these, shape (treatments, targets).
        settings: number and temperature.

    Returns:
        shape (rows, targets).
    """
    cosine = X @ known.T
    return _shares(cosine, _votes(cosine, settings.temperature), labels, settings.nearest)


def _votes(cosine: np.ndarray, temperature: float) -> np.ndarray:
    """exp(cosine / temperature), up to a factor for each row."""
    highest = cosine.max(axis=1, keepdims=True)
    return np.exp((cosine - np.where(np.isfinite(highest), highest, 0)) / temperature)


def _shares(cosine: np.ndarray, votes: np.ndarray, labels: np.ndarray, count: int | None) -> np.ndarray:
    """Share of the votes of the nearest treatments that carry each target."""
    if count is not None and count < cosine.shape[1]:
        least = -np.partition(-cosine, count - 1, axis=1)[:, count - 1 : count]
        votes = np.where(cosine >= least, votes, 0)
    total = votes.sum(axis=1, keepdims=True)
    return votes @ labels.astype(votes.dtype) / np.maximum(total, np.finfo(votes.dtype).tiny)
