"""Fitting blend weights: the methods of the search as functions of the log loss."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy.optimize import minimize

from moa.blending.loss import BlendLoss
from moa.blending.members import Weights
from moa.blending.options import SearchOptions


class FitCallback:
    """Receives the progress of a fit; override what you need."""

    def on_progress(self, done: int, total: int) -> None:
        """Called after each trial of TPE and after each target of the per-target weights."""

    def on_trial(self, loss: float) -> None:
        """Called after each trial of TPE with its log loss."""


def fit_weights(
    method: str, parts: Sequence[Sequence[BlendLoss]], options: SearchOptions, callback: FitCallback | None = None
) -> Weights:
    """Weights by one of the `moa.blending.options.BASELINES` or of the options' methods.

    ``parts`` are the losses [fold][target] of the cells to fit on. Weights have shape (members,), or (members, targets)
    for "per-target".
    """
    whole = BlendLoss.merge(part for fold in parts for part in fold)
    n_members = whole.n_members
    if method == "equal":
        return np.full(n_members, 1.0 / n_members)
    if method == "best-single":
        eye = np.eye(n_members)
        return eye[int(np.argmin([whole(weights)[0] for weights in eye]))]
    if method == "tpe":
        return tpe(whole, options.tpe_trials, options.simplex, options.seed, callback)
    common = slsqp(whole, options.simplex)
    if method == "slsqp":
        return common
    weights = []
    for of_target in zip(*parts, strict=True):
        weights.append(slsqp(BlendLoss.merge(of_target), options.simplex, common, options.penalty))
        if callback is not None:
            callback.on_progress(len(weights), len(parts[0]))
    return np.stack(weights, axis=1)


def slsqp(loss: BlendLoss, simplex: bool = True, anchor: np.ndarray | None = None, penalty: float = 0.0) -> np.ndarray:
    """Weights of the lowest loss by SLSQP with the analytic gradient; the problem is convex, so they are the optimum.

    Args:
        loss: the loss to minimise.
        simplex: weights in [0, 1] that sum to 1; otherwise each is free in [0, 1].
        anchor: weights to start from and to be pulled towards; equal weights by default.
        penalty: ``penalty * |w - anchor|²`` is added to the loss summed over cells, in nats. This is a normal prior
            around the anchor with standard deviation 1/sqrt(2 penalty).

    Returns:
        Weights, shape (members,).
    """
    start = np.full(loss.n_members, 1.0 / loss.n_members) if anchor is None else anchor
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
    weights = np.where(result.x < 1e-9, 0.0, np.minimum(result.x, 1.0))  # bounds are only met up to rounding
    weights = weights / weights.sum() if simplex else weights
    return weights if objective(weights)[0] <= 1.0 + 1e-12 else start  # never worse than the start


def tpe(
    loss: BlendLoss, trials: int, simplex: bool = True, seed: int = 0, callback: FitCallback | None = None
) -> np.ndarray:
    """Weights of the lowest loss that Optuna's TPE sampler finds, shape (members,); each is drawn from [0, 1].

    With ``simplex`` they are divided by their sum. ``seed`` is the sampler's.
    """
    import optuna  # slow to import, and only needed here

    def weights_of(values: Iterable[float]) -> np.ndarray:
        weights = np.array(list(values))
        return weights / max(weights.sum(), 1e-12) if simplex else weights

    def objective(trial: optuna.Trial) -> float:
        return loss(weights_of(trial.suggest_float(f"w{i:02d}", 0.0, 1.0) for i in range(loss.n_members)))[0]

    def report(_: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        if callback is not None and trial.value is not None:
            callback.on_progress(trial.number + 1, trials)
            callback.on_trial(trial.value)

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        study.optimize(objective, n_trials=trials, callbacks=[report])
    finally:
        optuna.logging.set_verbosity(verbosity)
    return weights_of(study.best_params[f"w{i:02d}"] for i in range(loss.n_members))
