"""The sections of the report. Each is a function of the inputs; one that has nothing to show returns None."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score

from moa.blend import apply_blend, effective_weights
from moa.metrics import column_log_loss, competition_log_loss, log_loss, prediction_correlation, prevalence_baseline
from moa.plots import calibration_curve, correlation_heatmap, learning_curves, score_dots, target_scatter
from moa.report.inputs import Inputs


@dataclass
class Section:
    """A heading, a paragraph, tables and figures (PNG as data addresses)."""

    title: str
    text: str
    tables: list[pd.DataFrame] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)


def _png(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _treated(inputs: Inputs, oof: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Labels and predictions of the treated rows that an OOF covers."""
    rows = inputs.data.treated.loc[oof.index].to_numpy()
    oof = oof[rows]
    return inputs.data.scored.loc[oof.index], oof


def _blends(inputs: Inputs, kind: str) -> dict[str, pd.DataFrame]:
    """OOF or test predictions of the published blends, over the members present and the rows they share."""
    tables = {name: getattr(model, kind) for name, model in inputs.models.items() if getattr(model, kind) is not None}
    found = {}
    for spec in inputs.blends.values():
        members = {member.model: tables[member.model] for member in spec.members if member.model in tables}
        if len(members) > 1:
            shared = list(set.intersection(*(set(table.index) for table in members.values())))
            members = {name: table.loc[shared] for name, table in members.items()}
            if shared:
                found[spec.title] = apply_blend(spec, members, missing="renormalise")
    return found


def scores(inputs: Inputs) -> Section:
    """OOF log loss of each model and blend, beside the prevalence and the published figure."""
    data = inputs.data
    prevalence = data.scored[data.treated]
    rows = []

    def add(title: str, oof: pd.DataFrame, blend: bool, **more: object) -> None:
        y, p = _treated(inputs, oof)
        complete = len(y) == int(data.treated.sum())
        rows.append(
            {
                "title": title,
                "log loss": log_loss(y, p),
                "all rows": competition_log_loss(data.scored, oof, data.treated) if complete else np.nan,
                "prevalence": log_loss(y, prevalence_baseline(prevalence, y.index)),
                "rows covered": f"{len(y) / data.treated.sum():.0%}",
                "blend": blend,
                **more,
            }
        )

    for model in inputs.models.values():
        if model.oof is None:
            continue
        published = model.recipe.published if model.recipe else None
        add(
            model.title,
            model.oof,
            False,
            **{
                "published CV": published.cv if published else np.nan,
                "its rows": published.cv_rows if published else "",
                "profile": model.profile or "",
                "units": f"{len(model.units)} of {model.planned}" if model.planned else "",
            },
        )
        for name, variant in model.variants.items():
            add(f"{model.title}, {name} (leaks: fitted on the validation fold)", variant, False)
    for title, oof in _blends(inputs, "oof").items():
        published = next(spec.published.oof for spec in inputs.blends.values() if spec.title == title)
        add(title, oof, True, **{"published CV": published or np.nan, "its rows": "treated" if published else ""})
    table = pd.DataFrame(rows).set_index("title")
    figure = score_dots(table)
    table = table.drop(columns="blend").rename_axis(None)
    for column in ("log loss", "all rows", "prevalence", "published CV"):
        table[column] = table[column].map(lambda value: f"{value:.5f}" if pd.notna(value) else "–")
    table = table.rename(columns={"log loss": "treated rows"}).fillna("")
    text = (
        "Out-of-fold log loss; lower is better. 'All rows' counts control rows with prediction 0, as the competition "
        "does, and is given once every fold is there. Row-wise and drug-aware folds ask different questions and are not "
        "comparable. Blends are over the members present, their published weights scaled up to 1."
    )
    return Section("Scores", text, [table], [_png(figure)])


def test_scores(inputs: Inputs) -> Section | None:
    """Test log loss, which only synthetic data can tell."""
    if inputs.truth is None:
        return None
    tables = {model.title: model.test for model in inputs.models.values() if model.test is not None}
    tables |= _blends(inputs, "test")
    rows = {
        title: f"{competition_log_loss(inputs.truth, table, inputs.data.test_treated):.5f}"
        for title, table in tables.items()
    }
    table = pd.DataFrame({"all test rows": pd.Series(rows, dtype=object)})
    return Section("Test rows", "Log loss against the truth, which synthetic data keep apart.", [table])


def weights(inputs: Inputs) -> Section:
    """What each blend is made of."""
    tables = []
    for spec in inputs.blends.values():
        present = [name for name, model in inputs.models.items() if model.test is not None]
        if not set(present) & set(spec.weights.index):
            continue
        used = effective_weights(spec, present, missing="renormalise")
        table = pd.DataFrame({f"{spec.title}: published": spec.weights, "used here": used}).reindex(spec.weights.index)
        tables.append(table.map(lambda value: f"{value:.4f}" if pd.notna(value) else "–").rename_axis(None))
    return Section("Blend weights", "Published weights, and those of the members that are present.", tables)


def correlations(inputs: Inputs) -> Section | None:
    """How alike the models' predictions are, on OOF and on test rows."""
    figures = []
    for kind, label in (("oof", "OOF"), ("test", "test")):
        tables = {model.title: getattr(model, kind) for model in inputs.models.values()}
        tables = {title: table for title, table in tables.items() if table is not None}
        if len(tables) < 2:
            continue
        shared = sorted(set.intersection(*(set(table.index) for table in tables.values())))
        treated = inputs.data.treated if kind == "oof" else inputs.data.test_treated
        shared = [row for row in shared if treated[row]]
        if len(shared) > 1:
            found = prediction_correlation({title: table.loc[shared] for title, table in tables.items()})
            figures.append(_png(correlation_heatmap(found, f"{label} predictions")))
    text = "Correlation of predictions over treated rows and targets: the less alike, the more a blend gains."
    return Section("Correlations", text, [], figures) if figures else None


BUCKETS = ((0, 0.001), (0.001, 0.002), (0.002, 0.005), (0.005, 0.02), (0.02, 1.0))


def targets(inputs: Inputs) -> Section | None:
    """Log loss and AUC by how common a target is, for the best model."""
    best = _best(inputs)
    if best is None:
        return None
    title, y, p = best
    positives = y.sum()
    facts = pd.DataFrame(
        {
            "positives": positives,
            "log loss": column_log_loss(y, p),
            "prevalence": column_log_loss(y, prevalence_baseline(y, y.index)),
            "AUC": [
                roc_auc_score(y[name], p[name]) if 0 < count < len(y) else np.nan for name, count in positives.items()
            ],
        }
    )
    share = positives / len(y)
    rows = []
    for low, high in BUCKETS:
        part = facts[(share > low) & (share <= high)]
        if len(part):
            rows.append(
                {
                    "prevalence": f"{low:.1%} – {high:.1%}",
                    "targets": len(part),
                    "log loss": f"{part['log loss'].mean():.5f}",
                    "of prevalence alone": f"{part['prevalence'].mean():.5f}",
                    "mean AUC": f"{part['AUC'].mean():.3f}",
                }
            )
    table = pd.DataFrame(rows).set_index("prevalence").rename_axis(None)
    figures = [
        _png(target_scatter(facts, "AUC", "AUC", level=0.5)),
        _png(calibration_curve(calibration(y, p), "Calibration")),
    ]
    return Section("Targets", f"By how common a target is: {title}, treated rows, out of fold.", [table], figures)


def calibration(y: pd.DataFrame, p: pd.DataFrame, bins: int = 20) -> pd.DataFrame:
    """Observed rate by predicted probability, in bins of equally many cells; 95 % intervals by the normal law."""
    predicted, observed = p.to_numpy(np.float64).ravel(), y.to_numpy(np.float64).ravel()
    order = predicted.argsort()
    parts = [(predicted[part], observed[part]) for part in np.array_split(order, bins) if len(part)]
    curve = pd.DataFrame([{"predicted": a.mean(), "observed": b.mean(), "cells": len(a)} for a, b in parts])
    error = 1.96 * np.sqrt(curve["observed"] * (1 - curve["observed"]) / curve["cells"])
    return curve.assign(low=(curve["observed"] - error).clip(lower=0), high=curve["observed"] + error)


def drugs(inputs: Inputs) -> Section | None:
    """Which drugs are hardest, where it is known which row was given which drug."""
    best = _best(inputs)
    if inputs.data.drugs is None or best is None:
        return None
    title, y, p = best
    clipped = p.to_numpy(np.float64).clip(1e-15, 1 - 1e-15)
    cells = -np.where(y.to_numpy() == 1, np.log(clipped), np.log(1 - clipped))
    by_row = pd.DataFrame(
        {
            "drug": inputs.data.drugs.loc[y.index],
            "loss": cells.mean(axis=1),
            "targets": y.sum(axis=1),
        }
    )
    by_drug = by_row.groupby("drug").agg(rows=("loss", "size"), targets=("targets", "max"), loss=("loss", "mean"))
    kinds = by_drug.assign(kind=np.where(by_drug["rows"] > 18, "more than 18 rows", "up to 18 rows")).groupby("kind")
    summary = kinds.agg(drugs=("rows", "size"), rows=("rows", "sum"), loss=("loss", "mean")).rename_axis(None)
    worst = by_drug.nlargest(10, "loss").rename_axis(None)
    text = f"Mean log loss of each drug's rows, and the ten hardest drugs: {title}."
    return Section("Drugs", text, [summary.round({"loss": 5}), worst.round({"loss": 5})])


def curves(inputs: Inputs) -> Section | None:
    """Learning curves, a figure a model."""
    figures = []
    for model in inputs.models.values():
        if len(model.history):
            figure = learning_curves(model.history, panel=(3.6, 2.8))
            figure.suptitle(model.title)
            figures.append(_png(figure))
    text = "Training and validation loss by epoch; lines are means, bands reach over seeds and folds."
    return Section("Learning curves", text, [], figures) if figures else None


def cost(inputs: Inputs) -> Section | None:
    """Training time."""
    rows = {
        model.title: {"units": len(model.units), "training": f"{model.seconds:,.0f} s"}
        for model in inputs.models.values()
        if len(model.units)
    }
    if not rows:
        return None
    return Section("Cost", "Time of the stored units on the machine that trained them.", [pd.DataFrame(rows).T])


def settings(inputs: Inputs) -> Section | None:
    """Settings that are not the published ones."""
    rows = [
        {"model": model.title, "setting": one.setting, "used": str(one.used), "published": str(one.published)}
        for model in inputs.models.values()
        for one in model.differences
    ]
    if not rows:
        return None
    table = pd.DataFrame(rows).set_index("model").rename_axis(None)
    return Section("Settings that differ from the published ones", "Everything else is as published.", [table])


def _best(inputs: Inputs) -> tuple[str, pd.DataFrame, pd.DataFrame] | None:
    """The model of the lowest OOF log loss among those that cover most rows."""
    found = [(model.title, *_treated(inputs, model.oof)) for model in inputs.models.values() if model.oof is not None]
    found = [(title, y, p) for title, y, p in found if len(y)]
    most = max((len(y) for _, y, _ in found), default=0)
    full = [(title, y, p) for title, y, p in found if len(y) == most]
    return min(full, key=lambda one: log_loss(one[1], one[2])) if full else None


#: A further page of the report is one more function here.
SECTIONS: tuple[Callable[[Inputs], Section | None], ...] = (
    scores,
    test_scores,
    weights,
    correlations,
    targets,
    drugs,
    curves,
    cost,
    settings,
)
