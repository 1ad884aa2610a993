"""The numbers of the report, each computed once: by prediction, target, drug and probability."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from moa.blending.blend import BlendSpec, apply_blend, effective_weights
from moa.data.feature_names import display_names
from moa.data.folds import SMALL_DRUG_ROWS
from moa.metrics.losses import CLIP, column_log_loss, competition_log_loss, row_log_loss, treated_log_loss
from moa.metrics.ranking import column_areas, measures
from moa.models.remarks import Remark
from moa.reporting.inputs import Inputs

#: Edges of the bins of the calibration curve: two bins per decade.
CALIBRATION_EDGES = np.logspace(-6, 0, 13)


@dataclass
class ScoredPrediction:
    """OOF predictions of a model, a variant of it, or a blend, on treated rows, and their scores.

    Attributes:
        key: name of the model or blend; "model/variant" for a variant.
        title: as shown in tables.
        kind: "model", "blend", "variant", which leaks, or "clipped", as a published score was.
        table: probabilities of the treated rows that are covered, shape (rows, targets).
        y: 0/1 labels of the same rows in the same order.
        prevalence: rate of each target among all treated training rows, shape (targets,).
        test: probabilities of the test rows, if there are any.
    """

    key: str
    title: str
    kind: str
    table: pd.DataFrame
    y: pd.DataFrame
    prevalence: pd.Series
    test: pd.DataFrame | None = None

    @cached_property
    def losses(self) -> pd.Series:
        """Log loss by target."""
        return column_log_loss(self.y, self.table)

    @cached_property
    def baseline_losses(self) -> pd.Series:
        """Log loss by target of the prevalence baseline, on the same rows."""
        rate = self.y.to_numpy(dtype=np.float64).mean(axis=0)
        known = self.prevalence.clip(CLIP, 1 - CLIP)
        return -(rate * np.log(known) + (1 - rate) * np.log1p(-known))

    @cached_property
    def areas(self) -> pd.DataFrame:
        """ROC-AUC and average precision by target; NaN where a target has no positive or no negative row."""
        return column_areas(self.y, self.table)

    @cached_property
    def measures(self) -> dict[str, float]:
        """The field's measures, see `moa.metrics.ranking.measures`."""
        return measures(self.y, self.table)

    @property
    def loss(self) -> float:
        """Log loss over the rows covered."""
        return float(self.losses.mean())

    def loss_on(self, rows: pd.Index) -> float:
        """Log loss over some of the rows covered."""
        if len(rows) == len(self.table):
            return self.loss
        return float(column_log_loss(self.y.loc[rows], self.table.loc[rows]).mean())

    @property
    def baseline(self) -> float:
        """Log loss of the prevalence baseline over the same rows."""
        return float(self.baseline_losses.mean())

    @property
    def gain(self) -> float:
        """Relative improvement over the baseline: 0 for the baseline itself, negative if worse."""
        return 1 - self.loss / self.baseline

    @cached_property
    def row_losses(self) -> pd.Series:
        """Log loss by row, mean over targets."""
        return row_log_loss(self.y, self.table)


def calibration_table(y: pd.DataFrame, p: pd.DataFrame) -> pd.DataFrame:
    """Mean prediction and observed rate over all cells, binned by prediction, two bins per decade.

    Returns:
        One row per non-empty bin: predicted, observed, cells, low, high (95 % Wilson interval of the rate; slightly too
        narrow, because the cells of a row are not independent).
    """
    values = p.to_numpy(dtype=np.float64).ravel()
    place = np.searchsorted(CALIBRATION_EDGES[1:-1], values, side="right")
    size = len(CALIBRATION_EDGES) - 1
    cells = np.bincount(place, minlength=size)
    predicted = np.bincount(place, values, minlength=size)
    observed = np.bincount(place, y.to_numpy(dtype=np.float64).ravel(), minlength=size)
    keep = cells > 0
    n, rate = cells[keep], observed[keep] / cells[keep]
    z = 1.96
    centre = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))
    return pd.DataFrame(
        {"predicted": predicted[keep] / n, "observed": rate, "cells": n, "low": centre - half, "high": centre + half}
    )


class ReportScores:
    """Scores of all predictions.

    Attributes:
        inputs: the files that were read.
        y: labels of all treated training rows.
        prevalence: rate of each target among them.
        models, variants, blends: predictions by key; those that cover a treated row. Variants are what some published
            scores are of, and not blended: those that leak, and clipped ones.
    """

    def __init__(self, inputs: Inputs):
        self.inputs = inputs
        data = inputs.data
        self.y = data.scored[data.treated]
        self.prevalence = self.y.astype(np.float64).mean()
        self.models: dict[str, ScoredPrediction] = {}
        self.variants: dict[str, ScoredPrediction] = {}
        for name, model in inputs.models.items():
            if model.oof is not None:
                self._add(self.models, name, model.title, model.oof, model.test)
            known = model.recipe.published if model.recipe else None
            for variant, table in model.variants.items():
                words = Remark.LEAKY.label if known and variant == known.leaky else variant
                self._add(self.variants, f"{name}/{variant}", f"{model.title}: {words}", table, kind="variant")
            if known and known.clipped and model.oof is not None and self.of_competition:
                title = f"{model.title}: {Remark.CLIPPED.label}"
                self._add(self.variants, f"{name}/clipped", title, model.oof.clip(*known.clipped), kind="clipped")
        self.blends = {name: blend for name, spec in inputs.blends.items() if (blend := self._blend(spec)) is not None}

    def _add(
        self,
        group: dict[str, ScoredPrediction],
        key: str,
        title: str,
        oof: pd.DataFrame,
        test: pd.DataFrame | None = None,
        kind: str = "model",
    ) -> None:
        rows = self.y.index[self.y.index.isin(oof.index)]
        if len(rows):
            group[key] = ScoredPrediction(key, title, kind, oof.loc[rows], self.y.loc[rows], self.prevalence, test)

    def _blend(self, spec: BlendSpec) -> ScoredPrediction | None:
        """The blend of the members that are present, on the treated rows that all of them cover; None if empty."""
        members = {m.model: self.models[m.model] for m in spec.members if m.model in self.models}
        rows = self.common_rows(members)
        if not len(self.weights(spec)) or not len(rows):
            return None
        table = apply_blend(spec, {name: m.table.loc[rows] for name, m in members.items()}, missing="renormalise")
        index = self.inputs.data.test.index[self.inputs.data.test_treated]
        tests = {name: m.test.loc[index] for name, m in members.items() if m.test is not None}
        test = apply_blend(spec, tests, missing="renormalise") if len(tests) == len(members) else None
        return ScoredPrediction(spec.name, spec.title, "blend", table, self.y.loc[rows], self.prevalence, test)

    def common_rows(self, predictions: dict[str, ScoredPrediction]) -> pd.Index:
        """Treated rows that all of the predictions cover, in the order of the data."""
        rows = self.y.index
        for prediction in predictions.values():
            if len(prediction.table) != len(self.y):
                rows = rows[rows.isin(prediction.table.index)]
        return rows

    @property
    def comparable(self) -> bool:
        """Whether all models and blends are scored on the same rows, so that the best one can be marked."""
        return len({len(p.table) for p in self.everything.values()}) == 1

    def weights(self, spec: BlendSpec) -> pd.Series:
        """Weights of the members of a blend that are present; may be empty."""
        present = [m.model for m in spec.members if m.model in self.models and m.weight]
        return effective_weights(spec, present, "renormalise") if present else pd.Series(dtype=np.float64)

    @property
    def everything(self) -> dict[str, ScoredPrediction]:
        """Models and blends, without the variants."""
        return {**self.models, **self.blends}

    @cached_property
    def reference(self) -> ScoredPrediction:
        """The prediction shown in detail: the best blend with at least two members, else the best model.

        It covers at least a third of the rows that the largest model covers: while folds are missing, the members of a
        blend may share few rows.
        """
        enough = max(map(self.coverage, self.models.values())) / 3
        several = [blend for name, blend in self.blends.items() if len(self.weights(self.inputs.blends[name])) > 1]
        groups = (
            [each for each in group if self.coverage(each) >= enough] for group in (several, self.models.values())
        )
        return min(next(filter(None, groups)), key=lambda prediction: prediction.loss / prediction.baseline)

    def coverage(self, prediction: ScoredPrediction) -> float:
        """Share of the treated training rows that a prediction covers."""
        return len(prediction.table) / len(self.y)

    def all_rows(self, prediction: ScoredPrediction) -> float:
        """OOF log loss over all training rows, with controls predicted 0; NaN if treated rows are missing."""
        if self.coverage(prediction) < 1:
            return float("nan")
        return competition_log_loss(self.inputs.data.scored, prediction.table, self.inputs.data.treated)

    def test_losses(self, test: pd.DataFrame | None) -> tuple[float, float]:
        """Log loss over treated and over all test rows; NaN if the truth is not known."""
        if test is None or self.inputs.truth is None:
            return float("nan"), float("nan")
        treated = self.inputs.data.test_treated
        truth = self.inputs.truth.loc[treated.index]
        return treated_log_loss(truth, test, treated), competition_log_loss(truth, test, treated)

    @property
    def of_competition(self) -> bool:
        """Whether the data are the competition's, so that published scores can stand beside."""
        return self.inputs.data.schema.of_competition

    @cached_property
    def names(self) -> dict[str, str]:
        """Gene symbol or cell line of each feature; the feature's own name where it is not known."""
        data = self.inputs.data
        return display_names(data.schema.features, data.identities)

    @cached_property
    def targets(self) -> pd.DataFrame:
        """One row per target for the reference: positives, prevalence, baseline, log_loss, gain, auc."""
        reference = self.reference
        table = pd.DataFrame(
            {
                "positives": self.y.sum().astype(int),
                "prevalence": self.prevalence,
                "baseline": reference.baseline_losses,
                "log_loss": reference.losses,
                "auc": reference.areas["roc_auc"],
            }
        )
        table["gain"] = (1 - table["log_loss"] / table["baseline"]).where(table["positives"] > 0)
        return table

    @cached_property
    def drugs(self) -> pd.DataFrame | None:
        """One row per drug for the reference: rows, log_loss, baseline, moa (its labels).

        None if there is no train_drug.csv.
        """
        if self.inputs.data.drugs is None:
            return None
        reference = self.reference
        drug = self._drug.loc[reference.y.index]
        p = self.prevalence.clip(CLIP, 1 - CLIP)
        # y·log p + (1-y)·log(1-p) is linear in y: one product per row.
        baseline = -(reference.y.astype(np.float64) @ np.log(p / (1 - p)) + np.log1p(-p).sum()) / len(p)
        rows = pd.DataFrame({"log_loss": reference.row_losses, "baseline": baseline})
        table = rows.groupby(drug.to_numpy()).mean()
        table["rows"] = self._drug.value_counts().reindex(table.index)
        labels = reference.y.groupby(drug.to_numpy()).max() > 0
        names = np.asarray(labels.columns)
        table["moa"] = [", ".join(names[row]) for row in labels.loc[table.index].to_numpy()]
        return table.rename_axis("drug_id")

    @property
    def _drug(self) -> pd.Series:
        """The drug of each treated row, of data that name them."""
        assert self.inputs.data.drugs is not None
        return self.inputs.data.drugs.loc[self.y.index]

    def by_drug_size(self, prediction: ScoredPrediction) -> dict[str, float]:
        """Mean log loss over the rows of small and of large drugs; NaN if there are none."""
        rows = self._drug.map(self._drug.value_counts()).loc[prediction.y.index]
        small = rows.to_numpy() <= SMALL_DRUG_ROWS
        losses = prediction.row_losses
        return {"small": float(losses[small].mean()), "large": float(losses[~small].mean())}
