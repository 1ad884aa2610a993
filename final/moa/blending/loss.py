"""The log loss of a weighted sum of models as a fast function of the weights, and the two ways to minimise it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from scipy.optimize import minimize

from moa.metrics import CLIP

#: Trials of the winners' TPE search: 3,000 to 5,000.
TPE_TRIALS = 3000
#: A negative cell whose members all stay below this is handled by the series of -log(1 - p) to the fourth order.
SMALL = 0.05


class BlendLoss:
    """Mean log loss of the cells of a weighted sum of members, with its gradient, cheap to evaluate many times.

    Nearly all of the 4.5 million cells are negatives with small probabilities, where
    -log(1 - p) = p + p²/2 + p³/3 + p⁴/4 + O(p⁵). With p = Σ wₘ Pₘ, the sums over cells of these powers need only
    moments of the members up to the fourth order, taken once. Positives and cells with a member above 0.05 keep the
    logarithm. For weights that sum to 1 the error is below 0.05⁵/5/0.95 = 7e-8 in a cell, and far below that in the
    mean; it grows with the fifth power of the weights' sum.

    Args:
        cells: probabilities, shape (members, cells).
        labels: True for a positive, shape (cells,).
    """

    def __init__(self, cells: np.ndarray, labels: np.ndarray):
        self.n_cells = len(labels)
        exact = labels | (cells.max(axis=0) > SMALL)
        # q = offset + signed·w is the probability of what happened: p for a positive, 1 - p for a negative.
        sign = np.where(labels[exact], 1.0, -1.0)
        self._signed = cells[:, exact] * sign
        self._offset = (~labels[exact]).astype(np.float64)
        small = cells[:, ~exact].astype(np.float64)
        first, second = np.triu_indices(len(cells))
        pairs = small[first] * small[second]
        self._moments = [small.sum(axis=1), small @ small.T, pairs @ small.T, pairs @ pairs.T]

    @classmethod
    def merge(cls, parts: Iterable[BlendLoss]) -> BlendLoss:
        """The loss over the cells of all parts together."""
        parts = list(parts)
        merged = cls.__new__(cls)
        merged.n_cells = sum(part.n_cells for part in parts)
        merged._signed = np.concatenate([part._signed for part in parts], axis=1)
        merged._offset = np.concatenate([part._offset for part in parts])
        merged._moments = [sum(moments) for moments in zip(*(part._moments for part in parts), strict=True)]
        return merged

    def __call__(self, weights: np.ndarray) -> tuple[float, np.ndarray]:
        """Mean loss over cells and its gradient, shape (members,)."""
        q = self._offset + weights @ self._signed
        inside = (q > CLIP) & (q < 1.0 - CLIP)  # a clipped cell has no slope
        q = np.clip(q, CLIP, 1.0 - CLIP)
        loss = -np.log(q).sum()
        gradient = -(self._signed @ (inside / q))

        m1, m2, m3, m4 = self._moments
        first, second = np.triu_indices(len(weights))
        products = weights[first] * weights[second] * np.where(first == second, 1.0, 2.0)  # p² = products · pairs
        square, cube, fourth = m2 @ weights, products @ m3, products @ m4  # sums of p·P, p²·P, p²·P·P'
        matrix = np.zeros_like(m2)
        matrix[first, second] = matrix[second, first] = fourth
        loss += weights @ (m1 + square / 2 + cube / 3) + products @ fourth / 4
        gradient += m1 + square + cube + matrix @ weights
        return loss / self.n_cells, gradient / self.n_cells


def slsqp(
    loss: BlendLoss,
    simplex: bool = True,
    anchor: np.ndarray | None = None,
    penalty: float = 0.0,
    members: int | None = None,
) -> np.ndarray:
    """Weights of the lowest loss by SLSQP with the analytic gradient; the problem is convex, so there is one minimum.

    Args:
        loss: the loss to minimise.
        simplex: weights in [0, 1] that sum to 1; otherwise free in [0, 1].
        anchor: weights to start from and to be drawn to; equal weights by default.
        penalty: ``penalty * |w - anchor|²`` is added to the loss summed over cells, in nats: a normal prior around the
            anchor with standard deviation 1/sqrt(2 penalty).
        members: number of members, needed without an anchor.
    """
    start = np.full(members, 1.0 / members) if anchor is None else anchor
    strength = penalty / loss.n_cells
    # SLSQP's tolerance is absolute and its first step is the bare gradient; losses near 0.015 need scaling to 1.
    scale = 1.0 / max(loss(start)[0], 1e-12)

    def objective(weights: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = loss(weights)
        away = weights - start
        return scale * (value + strength * away @ away), scale * (gradient + 2.0 * strength * away)

    ones = np.ones(len(start))
    result = minimize(
        objective,
        start,
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * len(start),
        constraints=[{"type": "eq", "fun": lambda w: w.sum() - 1.0, "jac": lambda w: ones}] if simplex else [],
        options={"ftol": 1e-10, "maxiter": 300},
    )
    weights = np.where(result.x < 1e-9, 0.0, np.minimum(result.x, 1.0))  # a bound is met to rounding only
    weights = weights / weights.sum() if simplex else weights
    return weights if objective(weights)[0] <= 1.0 + 1e-12 else start  # never worse than the start


def tpe(
    loss: BlendLoss,
    members: int,
    trials: int = TPE_TRIALS,
    simplex: bool = True,
    seed: int = 0,
    on_trial: Callable[[int], None] = lambda done: None,
) -> np.ndarray:
    """Weights by Optuna's TPE, each drawn from [0, 1]; divided by their sum where ``simplex``.

    Args:
        loss: the loss to minimise.
        members: number of members.
        trials: how many weights are tried.
        simplex: whether they sum to 1.
        seed: of the sampler.
        on_trial: called after each trial with how many are done.
    """
    import optuna  # slow to import, and needed here alone

    def weights_of(values: Iterable[float]) -> np.ndarray:
        weights = np.array(list(values))
        return weights / max(weights.sum(), 1e-12) if simplex else weights

    def objective(trial: optuna.Trial) -> float:
        return loss(weights_of(trial.suggest_float(f"w{i:02d}", 0.0, 1.0) for i in range(members)))[0]

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        study.optimize(objective, n_trials=trials, callbacks=[lambda _, trial: on_trial(trial.number + 1)])
    finally:
        optuna.logging.set_verbosity(verbosity)
    return weights_of(study.best_params[f"w{i:02d}"] for i in range(members))
