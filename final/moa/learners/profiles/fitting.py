"""Choosing, fitting and applying the profile learners."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from moa.learners.base import FitJob, Fitted
from moa.learners.profiles.members import (
    Neighbours,
    Regression,
    compare_neighbours,
    compare_regressions,
    fit_regression,
    neighbour_probabilities,
    regression_probabilities,
    sphered,
)
from moa.learners.profiles.treatments import InnerSplits, Treatments
from moa.metrics.calibration import Calibration, cell_losses, choose, one_each
from moa.metrics.pooling import evidence

if TYPE_CHECKING:
    import pandas as pd

    from moa.learners.profiles.settings import ProfileSettings

_KINDS: dict[str, type] = {"regression": Regression, "neighbours": Neighbours}
#: β and γ where no inner split can judge, as with one compound for each mechanism: probabilities as they are.
_AS_THEY_ARE = (1.0, 1.0)


@dataclass(frozen=True)
class Member:
    """A member as it was chosen.

    Attributes:
        settings: a ``Regression`` or ``Neighbours``.
        beta: what its evidence is multiplied by.
        found: its evidence for the judged treatments, shape (treatments, targets), multiplied by β.
    """

    settings: Regression | Neighbours
    beta: float
    found: np.ndarray


def fit(learner: ProfileSettings, job: FitJob) -> Fitted:
    """Choose settings in inner folds and fit on all treatments of a fold's training rows; see ``Learner.fit``."""
    known = Treatments.of(job.data).of_one_mechanism()
    splits = InnerSplits.of(known, learner.inner_folds, job.seed)
    one = one_each(known.labels)
    members: dict[str, Member] = {name: _choose_member(learner, name, known, splits, one) for name in learner.members}
    weight, calibration, loss = _choose_blend(learner, members, known, splits, one)
    tensors = {
        "variances": known.variances,
        "prior": known.prior,
        "profiles": known.profiles.astype(np.float32),
        "labels": known.labels.astype(np.uint8),
    }
    if "neighbours" not in members:
        del tensors["profiles"], tensors["labels"]
    if "regression" in members:
        tensors |= fit_regression(known, Regression(*members["regression"].settings))
    meta = {
        "one": one,
        "members": {name: [list(each.settings), each.beta] for name, each in members.items()},
        "weight": weight,
        "beta": calibration.beta,
        "gamma": calibration.gamma,
        "treatments": len(known.labels),
        "labelled": known.labelled,
        "judged": int(splits.judged.sum()),
    }
    baseline = cell_losses(splits.prior[splits.judged], known.labels[splits.judged] > 0)
    row = {"epoch": 0, "train_loss": float(baseline.mean()) if len(baseline) else 0.0, "valid_loss": loss}
    job.callback.on_epoch_end(0, 1, row)
    stored = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in tensors.items()}
    return Fitted(stored, meta, [row])


def _choose_member(learner: ProfileSettings, name: str, known: Treatments, splits: InnerSplits, one: bool) -> Member:
    """The settings and β of a member with the lowest log loss in the inner splits, without the prior (γ = 0)."""
    judged = splits.judged
    prior = splits.prior[judged]
    if not judged.any():
        return Member(_middle(learner, name), _AS_THEY_ARE[0], np.zeros_like(prior))
    before, best = evidence(prior, one), None
    for path in _compared(learner, name, known, splits):
        last = np.inf
        for settings, q in path:
            found = evidence(q[judged], one) - before
            choice = choose([(settings, found)], known.labels[judged], prior, one, gammas=(0.0,))
            if best is None or choice.loss < best[0]:
                best = choice.loss, Member(settings, choice.calibration.beta, choice.calibration.beta * found)
            if choice.loss > last:
                break  # a weaker penalty overfits more
            last = choice.loss
    assert best is not None, "there are settings"
    return best[1]


def _compared(
    learner: ProfileSettings, name: str, known: Treatments, splits: InnerSplits
) -> Iterator[Iterator[tuple[Regression | Neighbours, np.ndarray]]]:
    if name == "regression":
        return compare_regressions(known, splits, learner.shrinkages, learner.penalties)
    return compare_neighbours(known, splits, learner.shrinkages, learner.neighbours, learner.temperatures)


def _middle(learner: ProfileSettings, name: str) -> Regression | Neighbours:
    """The settings in the middle of those that are compared, with the most neighbours."""
    shrinkage = learner.shrinkages[len(learner.shrinkages) // 2]
    if name == "regression":
        return Regression(shrinkage, learner.penalties[len(learner.penalties) // 2])
    return Neighbours(shrinkage, learner.neighbours[-1], learner.temperatures[len(learner.temperatures) // 2])


def _choose_blend(
    learner: ProfileSettings, members: dict[str, Member], known: Treatments, splits: InnerSplits, one: bool
) -> tuple[float, Calibration, float]:
    """The weight of the first member, the calibration of the blended evidence, and their log loss."""
    judged = splits.judged
    weights = learner.weights if len(members) > 1 else (1.0,)
    if not judged.any():
        return weights[len(weights) // 2], Calibration(one, *_AS_THEY_ARE), 0.0
    first, *others = (member.found for member in members.values())
    blends = ((w, w * first + (1 - w) * others[0] if others else first) for w in weights)
    found = choose(blends, known.labels[judged], splits.prior[judged], one)
    return float(found.name), found.calibration, found.loss  # type: ignore[arg-type]  # names are weights here


def predict(learner: ProfileSettings, fitted: Fitted, X: pd.DataFrame) -> np.ndarray:
    """Calibrated probabilities of rows, float32, shape (rows, targets); ``X`` is of shape (rows, features)."""
    stored: dict[str, np.ndarray] = {name: value.numpy() for name, value in fitted.tensors.items()}
    meta, rows, prior = fitted.meta, X.to_numpy(np.float64), stored["prior"]
    found: np.ndarray | float = 0.0
    for place, name in enumerate(learner.members):
        values, beta = meta["members"][name]
        settings = _KINDS[name](*values)
        share = 1.0 if len(learner.members) == 1 else (meta["weight"] if place == 0 else 1 - meta["weight"])
        if share:
            q = _probabilities(name, settings, rows, stored)
            found = found + share * beta * (evidence(q, meta["one"]) - evidence(prior, meta["one"]))
    calibration = Calibration(meta["one"], meta["beta"], meta["gamma"])
    p = calibration.of_evidence(np.broadcast_to(found, (len(rows), len(prior))), prior)
    return (meta["labelled"] * p).astype(np.float32)


def _probabilities(name: str, settings: Any, rows: np.ndarray, stored: dict[str, np.ndarray]) -> np.ndarray:
    X = sphered(rows, stored["variances"], settings.shrinkage)
    if name == "regression":
        return regression_probabilities(X, stored)
    known = sphered(stored["profiles"].astype(np.float64), stored["variances"], settings.shrinkage)
    return neighbour_probabilities(X, known, stored["labels"], settings)
