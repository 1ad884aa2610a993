"""The calibration of a model's predictions, fitted from what is stored of it: OOF predictions, labels, training rows.

The competition's models are left as they are: their published scores are of uncalibrated predictions. Learners that
calibrate their predictions in each unit (``moa.learners.base.Traits.calibrated``) are left too.

β and γ come from the OOF predictions of all folds (``moa.metrics.calibration``). To score what they are worth, each
fold's rows are calibrated by what the other folds choose; where that is not better, predictions stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from moa.data.assay import Assay
from moa.features import TrainingEvidence
from moa.files import digest
from moa.learners.base import traits
from moa.metrics.calibration import Calibration, cell_losses, grid, one_each, prior_of
from moa.metrics.likeliest import calibration_error
from moa.models.base import Stage
from moa.weights.records import CalibrationRecord
from moa.weights.store import ModelStore


class StoredModel(Protocol):
    """What calibration takes of a ``moa.weights.trained.Trained``, which says what each is."""

    schema: Assay
    store: ModelStore
    last: Stage

    @property
    def targets(self) -> list[str]:
        """Names of the targets."""
        ...

    def units(self, stage: Stage) -> list[tuple[int, int]]:
        """The finished units."""
        ...

    def oof(self) -> pd.DataFrame:
        """Raw OOF predictions, shape (rows, targets)."""
        ...

    def evidence(self) -> TrainingEvidence | None:
        """Labels of the training rows."""
        ...


@dataclass(frozen=True)
class _Known:
    """OOF predictions and what they are calibrated by; rows are treated training rows.

    Attributes:
        q: raw OOF probabilities, shape (rows, targets).
        positive: labels, same shape.
        prior: frequency of the mechanisms in the rows that predicted each row, the mean over seeds, same shape.
        fold: of each row in the first seed that predicted it, shape (rows,).
    """

    q: np.ndarray
    positive: np.ndarray
    prior: np.ndarray
    fold: np.ndarray


def fit_calibration(trained: StoredModel, labels: pd.DataFrame | None = None) -> CalibrationRecord | None:
    """The calibration of a model; None for the competition, and where labels or OOF predictions are not there.

    The same OOF predictions always give the same record. ``labels`` are the 0/1 labels of all treated training rows,
    shape (rows, targets); None: those that are stored with the model.
    """
    raw, labels = _stored(trained, labels)
    if raw is None or labels is None:
        return None
    known, itself = _known(trained, raw, labels), _calibrates_itself(trained)
    one = one_each(known.positive)
    before = _scores(known.q, known.positive)
    found = {
        "one": one,
        "positives": {target: int(count) for target, count in labels.sum().items()},
        "rows": len(labels),
        "folds": trained.last.folds.label,
        "oof": digest(list(raw.index), raw.to_numpy()),
        "before": before,
        "after": before,
    }
    if not itself and (choices := _Choices.of(known, one)) is not None:
        after = _scores(choices.calibrated(known), known.positive)
        if after["log_loss"] < before["log_loss"]:
            best = choices.best
            found |= {"beta": best.beta, "gamma": best.gamma, "after": after}
    return CalibrationRecord.model_validate(found)


def calibrated_oof(
    trained: StoredModel, record: CalibrationRecord | None, labels: pd.DataFrame | None = None
) -> pd.DataFrame:
    """OOF predictions in which each fold's rows are calibrated by what the other folds choose; raw without a β.

    ``labels`` are as for `fit_calibration`, shape (rows, targets).

    Returns:
        float32, shape (rows covered so far, targets), as ``Trained.oof``.
    """
    if record is None or record.beta is None:
        return trained.oof()
    raw, labels = _stored(trained, labels)
    if raw is None or labels is None:
        return trained.oof()
    known = _known(trained, raw, labels)
    choices = _Choices.of(known, record.one)
    found = trained.oof()
    if choices is not None:
        found.loc[raw.index] = choices.calibrated(known).astype(np.float32)
    return found


def _calibrates_itself(trained: StoredModel) -> bool:
    return traits(trained.last.learner).calibrated


def _stored(trained: StoredModel, labels: pd.DataFrame | None) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
    """Raw OOF predictions of treated rows, and the labels of all treated training rows."""
    if trained.schema.of_competition or not trained.units(trained.last):
        return None, None
    if labels is None:
        if (evidence := trained.evidence()) is None:
            return None, None
        labels = evidence.labels(trained.targets)
    raw = trained.oof()
    return raw.loc[raw.index.isin(labels.index)], labels


def _known(trained: StoredModel, raw: pd.DataFrame, labels: pd.DataFrame) -> _Known:
    stage = trained.last.name
    units = trained.units(trained.last)
    folds = trained.store.held_out_folds(stage, units).reindex(raw.index)
    total, times = np.zeros(raw.shape), np.zeros(len(raw))
    for seed, fold in units:
        rows = (folds[seed] == fold).to_numpy()
        if not rows.any():
            continue
        counts = trained.store.unit_facts(stage, seed, fold).trained_on
        if counts is None:  # of an older version: all rows of other folds
            others = labels.drop(index=raw.index[rows])
            prior = prior_of(others.sum().to_numpy(), len(others))
        else:
            prior = prior_of(np.array(counts.positives), counts.rows)
        total[rows] += prior
        times[rows] += 1
    first = folds.bfill(axis=1).iloc[:, 0].to_numpy()
    return _Known(raw.to_numpy(np.float64), labels.loc[raw.index].to_numpy() > 0, total / times[:, None], first)


def _scores(p: np.ndarray, positive: np.ndarray) -> dict[str, float]:
    return {"log_loss": float(cell_losses(p, positive).mean()), "ece": calibration_error(positive, p)}


@dataclass(frozen=True)
class _Choices:
    """What all folds choose together, and what each fold's rows get from the others."""

    best: Calibration
    of_fold: dict[float, Calibration]

    @classmethod
    def of(cls, known: _Known, one: bool) -> _Choices | None:
        """None where there is one fold, so that no other can choose."""
        folds, place = np.unique(known.fold, return_inverse=True)
        if len(folds) < 2:
            return None
        pairs = list(grid(one))
        losses = np.stack(
            [np.bincount(place, cell_losses(each.apply(known.q, known.prior), known.positive)) for each in pairs]
        )
        total = losses.sum(axis=1)
        chosen = (total[:, None] - losses).argmin(axis=0)
        return cls(pairs[int(total.argmin())], {fold: pairs[c] for fold, c in zip(folds, chosen, strict=True)})

    def calibrated(self, known: _Known) -> np.ndarray:
        """The OOF probabilities, calibrated; shape (rows, targets)."""
        found = np.empty_like(known.q)
        for fold, calibration in self.of_fold.items():
            rows = known.fold == fold
            found[rows] = calibration.apply(known.q[rows], known.prior[rows])
        return found
