"""Softmax regression for many penalties and many sets of rows at once.

A unit compares three penalties in five inner folds for three shrinkages: 45 regressions on nearly the same rows. All of
one shrinkage are solved together here, each step two matrix products, in a fifth to a tenth of the time that as many
calls of scikit-learn's ``LogisticRegression`` take, and with the same result (``tests/unit/learners/profiles``).

The solver is L-BFGS along the principal axes of the rows. The Hessian of the loss is at most half of the rows' second
moments (Böhning 1992), which are diagonal there, so each axis gets its own scale and few steps are needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

#: Pairs of steps and changes of the gradient that are kept.
_MEMORY = 6
_MOST_STEPS = 1000
#: Share of the expected decrease that a step must reach, and what a step that misses it is multiplied by.
_ENOUGH, _SHORTER, _MOST_SHORTENED = 1e-4, 0.4, 25
#: Axes with a smaller share of the largest variance are those of rounding.
_LEAST_VARIANCE = 1e-12


@dataclass(frozen=True)
class SoftmaxRegression:
    """Fitted regressions.

    Attributes:
        coefficients: shape (regressions, classes, features).
        intercepts: shape (regressions, classes).
        steps: of the slowest one.
    """

    coefficients: np.ndarray
    intercepts: np.ndarray
    steps: int

    def logits(self, X: np.ndarray) -> np.ndarray:
        """Logits of the rows of ``X``, shape (rows, features); shape (regressions, rows, classes)."""
        return np.matmul(X, self.coefficients.transpose(0, 2, 1)) + self.intercepts[:, None, :]


def fit_softmax(
    X: np.ndarray,
    counts: np.ndarray,
    used: np.ndarray,
    penalties: np.ndarray,
    tolerance: float = 1e-8,
    dtype: Any = np.float64,
) -> SoftmaxRegression:
    """Minimise C · Σ over rows and classes of count · -log p(class) + ½ ‖coefficients‖², for each regression.

    That is scikit-learn's objective, with a row of m labels in the place of m rows. Intercepts are not penalised.

    Args:
        X: shape (rows, features).
        counts: number of labels of each row and class, shape (rows, classes); rows without labels count for nothing.
        used: 1 for the rows of each regression, else 0; shape (regressions, rows).
        penalties: C of each regression, shape (regressions,).
        tolerance: stop where a step's expected decrease is below this share of the loss.
        dtype: of the steps; float32 takes half the time, for comparisons.
    """
    problem = _Problem(X, counts, used, penalties, dtype)
    theta, steps = _minimise(problem, len(penalties), tolerance)
    return problem.regression(theta, steps)


class _Problem:
    """Losses and gradients in the scaled coordinates; parameters have the shape (classes, regressions, axes)."""

    def __init__(self, X: np.ndarray, counts: np.ndarray, used: np.ndarray, penalties: np.ndarray, dtype: Any):
        self._labels = used * counts.sum(axis=1)  # (regressions, rows)
        mean_weight = self._labels.mean(axis=0)
        self._centre = mean_weight @ X / max(mean_weight.sum(), 1e-300)
        variances, self._axes = _principal_axes((X - self._centre) * np.sqrt(mean_weight)[:, None])
        rows = np.hstack([(X - self._centre) @ self._axes, np.ones((len(X), 1))])
        penalty = np.repeat(1 / np.asarray(penalties, np.float64)[:, None], rows.shape[1], axis=1)
        penalty[:, -1] = 0
        bound = np.append(variances, max(mean_weight.sum(), 1e-300)) / (2 * counts.shape[1])
        scale = 1 / np.sqrt(bound + penalty)
        linear = np.matmul((used[None] * counts.T[:, None]), rows)  # (classes, regressions, axes)
        self._scale, self._linear = scale.astype(dtype), (scale * linear).astype(dtype)
        self._quadratic = (penalty * scale**2).astype(dtype)
        self._labels = self._labels.astype(dtype)
        self._rows = rows.astype(dtype)
        self._columns = np.ascontiguousarray(self._rows.T)
        self.shape = (counts.shape[1], len(scale), rows.shape[1])
        self.dtype = dtype

    def keep(self, kept: np.ndarray) -> None:
        """Go on with some of the regressions."""
        self._scale, self._quadratic, self._labels = self._scale[kept], self._quadratic[kept], self._labels[kept]
        self._linear = self._linear[:, kept]

    def evaluate(self, theta: np.ndarray, which: np.ndarray | slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
        """Loss of each regression, shape (regressions,), and its gradient."""
        scale, labels, quadratic = self._scale[which], self._labels[which], self._quadratic[which]
        linear = self._linear[:, which]
        classes, regressions, axes = theta.shape
        logits = ((theta * scale).reshape(-1, axes) @ self._columns).reshape(classes, regressions, -1)
        highest = logits.max(axis=0)
        logits -= highest
        np.exp(logits, out=logits)
        total = logits.sum(axis=0)
        penalised = quadratic * theta
        loss = (labels * (np.log(total) + highest)).sum(axis=1, dtype=np.float64)
        loss += dots(0.5 * penalised - linear, theta)
        logits *= labels / total
        gradient = (logits.reshape(classes * regressions, -1) @ self._rows).reshape(theta.shape)
        return loss, gradient * scale - linear + penalised

    def regression(self, weights: np.ndarray, steps: int) -> SoftmaxRegression:
        """The result in the features' own coordinates, from parameters that are scaled back."""
        weights = weights.astype(np.float64)
        coefficients = weights[:, :, :-1] @ self._axes.T
        intercepts = weights[:, :, -1] - coefficients @ self._centre
        return SoftmaxRegression(coefficients.transpose(1, 0, 2), intercepts.T, steps)

    def weights(self, theta: np.ndarray) -> np.ndarray:
        """Parameters along the axes, scaled back."""
        return theta * self._scale


def dots(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Scalar product of each regression, shape (regressions,), float64."""
    return np.einsum("krp,krp->r", first, second).astype(np.float64)


def _principal_axes(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of squares along the principal axes, shape (axes,), and the axes, shape (features, axes)."""
    wide = rows.shape[1] > len(rows)
    values, vectors = np.linalg.eigh(rows @ rows.T if wide else rows.T @ rows)
    kept = values > _LEAST_VARIANCE * max(values[-1], 1e-300)
    values, vectors = values[kept], vectors[:, kept]
    return values, rows.T @ (vectors / np.sqrt(values)) if wide else vectors


def _minimise(problem: _Problem, regressions: int, tolerance: float) -> tuple[np.ndarray, int]:
    """Parameters along the axes, and the number of steps; regressions that are finished leave the batch."""
    found, left = np.zeros(problem.shape, problem.dtype), np.arange(regressions)
    theta = np.zeros(problem.shape, problem.dtype)
    loss, gradient = problem.evaluate(theta)
    pairs: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    rounding = 16 * np.finfo(problem.dtype).eps
    step = 0
    for step in range(_MOST_STEPS):  # noqa: B007 (the number of steps is returned)
        direction = _direction(gradient, pairs)
        slope = dots(gradient, direction)
        finished = -slope <= tolerance * np.abs(loss)
        if finished.any():
            found[:, left[finished]] = problem.weights(theta)[:, finished]
            going = ~finished
            left = left[going]
            if not len(left):
                return found, step
            problem.keep(going)
            theta, gradient, direction = theta[:, going], gradient[:, going], direction[:, going]
            loss, slope = loss[going], slope[going]
            pairs = [(s[:, going], y[:, going], rho[going]) for s, y, rho in pairs]
        length = np.ones(len(left))
        new = theta + direction
        new_loss, new_gradient = problem.evaluate(new)
        for _ in range(_MOST_SHORTENED):
            short = np.flatnonzero(new_loss > loss + _ENOUGH * length * slope + rounding * np.abs(loss))
            if not len(short):
                break
            length[short] *= _SHORTER
            new[:, short] = theta[:, short] + length[short, None].astype(problem.dtype) * direction[:, short]
            new_loss[short], new_gradient[:, short] = problem.evaluate(new[:, short], short)
        moved, change = new - theta, new_gradient - gradient
        product = dots(moved, change)
        curved = product > 0
        pairs = [*pairs, (moved, change, np.where(curved, 1 / np.where(curved, product, 1), 0))][-_MEMORY:]
        theta, loss, gradient = new, new_loss, new_gradient
    found[:, left] = problem.weights(theta)
    return found, step + 1


def _direction(gradient: np.ndarray, pairs: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> np.ndarray:
    """The direction of L-BFGS (Nocedal 1980), for each regression."""
    found, shares = -gradient, []
    for moved, change, rho in reversed(pairs):
        share = (rho * dots(moved, found)).astype(found.dtype)
        shares.append(share)
        found -= share[:, None] * change
    if pairs:
        _, change, rho = pairs[-1]
        squares = rho * dots(change, change)
        found *= np.where(squares > 0, 1 / np.where(squares > 0, squares, 1), 1.0).astype(found.dtype)[:, None]
    for (moved, change, rho), share in zip(pairs, reversed(shares), strict=True):
        found += (share - rho * dots(change, found)).astype(found.dtype)[:, None] * moved
    return found
