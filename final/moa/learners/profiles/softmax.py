"""Softmax regression for several sets of rows at once, along a path of penalties.

A unit compares three penalties in five inner folds for three shrinkages: 45 regressions on nearly the same rows. Those
of one shrinkage and penalty are solved together here, each step a few matrix products, in a fraction of the time that
as many calls of scikit-learn's ``LogisticRegression`` take, with the same result (``tests/unit/learners/profiles``).

The solver is Newton's method with directions by conjugate gradients (Lin, Weng & Keerthi 2008). Directions are
approximate anyway and computed in float32; losses and gradients are float64, so the result is exact. Parameters lie
along the principal axes of the rows, where the Hessian is nearly diagonal and its diagonal is a good preconditioner.
Each penalty begins where the stronger one ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

_MOST_STEPS, _MOST_INNER = 100, 200
#: Residual of a direction as a share of the gradient: at most, and at least, where the end is near.
_COARSE, _FINE = 0.3, 0.01
#: Share of the expected decrease that a step must reach, and what a step that misses it is multiplied by.
_ENOUGH, _SHORTER, _MOST_SHORTENED = 1e-4, 0.5, 30
_ROUNDING = 1e-13
#: Axes with a smaller share of the largest variance are those of rounding; also the least curvature of a direction.
_LEAST_VARIANCE, _LEAST_CURVATURE = 1e-12, 1e-6


@dataclass(frozen=True)
class SoftmaxRegression:
    """Fitted regressions of one penalty.

    Attributes:
        coefficients: shape (regressions, classes, features).
        intercepts: shape (regressions, classes).
    """

    coefficients: np.ndarray
    intercepts: np.ndarray

    def logits(self, X: np.ndarray) -> np.ndarray:
        """Logits of the rows of ``X``, shape (rows, features); shape (regressions, rows, classes)."""
        return np.matmul(X, self.coefficients.transpose(0, 2, 1)) + self.intercepts[:, None, :]


def fit_softmax(
    X: np.ndarray, counts: np.ndarray, used: np.ndarray, penalties: Sequence[float], tolerance: float = 1e-10
) -> Iterator[SoftmaxRegression]:
    """Minimise C · Σ over rows and classes of count · -log p(class) + ½ ‖coefficients‖², for each set of rows.

    That is scikit-learn's objective, with a row of m labels in the place of m rows. Intercepts are not penalised.

    Args:
        X: shape (rows, features).
        counts: number of labels of each row and class, shape (rows, classes); rows without labels count for nothing.
        used: 1 for the rows of each regression, else 0; shape (regressions, rows).
        penalties: values of C, best in ascending order.
        tolerance: the step that is expected to gain less than this share of the loss, about, is the last one.

    Yields:
        the regressions of each penalty.
    """
    problem = _Problem.of(X, counts, used)
    weights = np.zeros(problem.linear.shape)
    for penalty in penalties:
        weights = _minimise(problem.penalised(penalty), weights, tolerance)
        yield problem.regression(weights)


@dataclass(frozen=True)
class _Point:
    """Parameters, their losses, gradients and probabilities; the first axis of each is that of the regressions."""

    weights: np.ndarray
    loss: np.ndarray
    gradient: np.ndarray
    p: np.ndarray

    def of(self, kept: np.ndarray) -> _Point:
        """Some of the regressions."""
        return _Point(self.weights[kept], self.loss[kept], self.gradient[kept], self.p[kept])

    def replace(self, places: np.ndarray, other: _Point) -> None:
        """Write the regressions of another point into some places."""
        for own, new in zip(vars(self).values(), vars(other).values(), strict=True):
            own[places] = new


@dataclass(frozen=True)
class _Problem:
    """Losses of regressions; parameters have the shape (regressions, classes, axes), and the last axis is constant.

    Attributes:
        rows: of all regressions, shape (rows, axes).
        labels: number of labels of each row in each regression, shape (regressions, rows).
        linear: sums of the rows of each class, in the shape of the parameters.
        axes, centre: where the rows' coordinates come from, shapes (features, axes) and (features,).
        penalty: 1 / C, 0 for the intercept, shape (axes,).
    """

    rows: np.ndarray
    labels: np.ndarray
    linear: np.ndarray
    axes: np.ndarray
    centre: np.ndarray
    penalty: np.ndarray

    @classmethod
    def of(cls, X: np.ndarray, counts: np.ndarray, used: np.ndarray) -> _Problem:
        labels = used * counts.sum(axis=1)
        mean_weight = labels.mean(axis=0)
        centre = mean_weight @ X / max(mean_weight.sum(), 1e-300)
        axes = _principal_axes((X - centre) * np.sqrt(mean_weight)[:, None])
        rows = np.hstack([(X - centre) @ axes, np.ones((len(X), 1))])
        linear = np.matmul(used[:, None] * counts.T[None], rows)
        return cls(rows, labels, linear, axes, centre, np.zeros(rows.shape[1]))

    def penalised(self, penalty: float) -> _Problem:
        """The problem with another C."""
        values = np.append(np.full(len(self.penalty) - 1, 1 / penalty), 0.0)
        return _Problem(self.rows, self.labels, self.linear, self.axes, self.centre, values)

    def only(self, kept: np.ndarray) -> _Problem:
        """The problem of some of the regressions."""
        return _Problem(self.rows, self.labels[kept], self.linear[kept], self.axes, self.centre, self.penalty)

    def at(self, weights: np.ndarray) -> _Point:
        """Everything about parameters that a step needs."""
        p = _times(weights, self.rows.T)
        highest = p.max(axis=1, keepdims=True)
        p -= highest
        np.exp(p, out=p)
        total = p.sum(axis=1, keepdims=True)
        p /= total
        penalised = self.penalty * weights
        loss = (self.labels * (highest + np.log(total))[:, 0]).sum(axis=1)
        loss += _dots(0.5 * penalised - self.linear, weights)
        gradient = _times(p * self.labels[:, None], self.rows) - self.linear + penalised
        return _Point(weights, loss, gradient, p)

    def regression(self, weights: np.ndarray) -> SoftmaxRegression:
        """The result in the features' own coordinates."""
        coefficients = weights[:, :, :-1] @ self.axes.T
        return SoftmaxRegression(coefficients, weights[:, :, -1] - coefficients @ self.centre)


def _minimise(problem: _Problem, weights: np.ndarray, tolerance: float) -> np.ndarray:
    """Parameters from where ``weights`` are; regressions that are finished leave the batch."""
    found, left = weights.copy(), np.arange(len(weights))
    point, residual = problem.at(weights), np.full(len(weights), _COARSE)
    for _ in range(_MOST_STEPS):
        direction = _direction(problem, point, residual)
        slope = _dots(point.gradient, direction)
        finished = -slope <= tolerance * np.abs(point.loss)
        decrement = np.sqrt(np.maximum(-slope, 0) / np.maximum(np.abs(point.loss), 1e-300))
        point = _step(problem, point, direction, slope)
        found[left] = point.weights
        if finished.all():
            break
        if finished.any():
            going = ~finished
            left, problem, point, decrement = left[going], problem.only(going), point.of(going), decrement[going]
        residual = np.clip(decrement, _FINE, _COARSE)
    return found


def _step(problem: _Problem, point: _Point, direction: np.ndarray, slope: np.ndarray) -> _Point:
    """The point at the end of the directions, nearer where the loss does not fall by enough."""
    new, length = problem.at(point.weights + direction), np.ones(len(slope))
    for _ in range(_MOST_SHORTENED):
        enough = point.loss + _ENOUGH * length * slope + _ROUNDING * np.abs(point.loss)
        short = np.flatnonzero(new.loss > enough)
        if not len(short):
            break
        length[short] *= _SHORTER
        nearer = point.weights[short] + length[short, None, None] * direction[short]
        new.replace(short, problem.only(short).at(nearer))
    return new


def _direction(problem: _Problem, point: _Point, residual: np.ndarray) -> np.ndarray:
    """Newton's direction to within a share of the gradient, by preconditioned conjugate gradients in float32."""
    rows, p = problem.rows.astype(np.float32), point.p.astype(np.float32)
    columns, penalty = np.ascontiguousarray(rows.T), problem.penalty.astype(np.float32)
    weights = p * problem.labels[:, None].astype(np.float32)
    diagonal = _times(weights * (1 - p), rows**2) + penalty
    scale = 1 / np.maximum(diagonal, _LEAST_CURVATURE * diagonal.max(axis=(1, 2), keepdims=True))
    size = np.sqrt(_dots(point.gradient, point.gradient * scale))[:, None, None]
    rest = (-point.gradient / np.where(size > 0, size, 1)).astype(np.float32)
    found, along = np.zeros_like(rest), scale * rest
    left = first = _dots(rest, along)
    going = left > 0
    for _ in range(_MOST_INNER):
        if not going.any():
            break
        curved = _times(along, columns)
        curved -= (p * curved).sum(axis=1, keepdims=True)
        change = _times(weights * curved, rows) + penalty * along
        curvature = _dots(along, change)
        share = _ratio(np.where(going, left, 0), curvature)
        found += share * along
        rest -= share * change
        scaled = scale * rest
        before, left = left, _dots(rest, scaled)
        going &= left > residual**2 * first
        along *= _ratio(left, before)
        along += scaled
    return found * size


def _ratio(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The quotient for each regression, 0 where the second is not positive; float32, shape (regressions, 1, 1)."""
    positive = second > 0
    found = np.where(positive, first / np.where(positive, second, 1), 0)
    return found.astype(np.float32)[:, None, None]


def _times(values: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Product of the last axis with a matrix that all regressions share, as one call."""
    return (values.reshape(-1, values.shape[-1]) @ matrix).reshape(*values.shape[:-1], matrix.shape[-1])


def _dots(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Scalar product of each regression, shape (regressions,)."""
    return np.einsum("rkp,rkp->r", first, second)


def _principal_axes(rows: np.ndarray) -> np.ndarray:
    """The principal axes, shape (features, axes)."""
    wide = rows.shape[1] > len(rows)
    values, vectors = np.linalg.eigh(rows @ rows.T if wide else rows.T @ rows)
    kept = values > _LEAST_VARIANCE * max(values[-1], 1e-300)
    values, vectors = values[kept], vectors[:, kept]
    return rows.T @ (vectors / np.sqrt(values)) if wide else vectors
