"""The sections of the report. Each is a function of the scores, and returns None if it has nothing to show."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from moa.metrics.correlation import prediction_correlation
from moa.metrics.losses import prevalence_baseline
from moa.models.remarks import footnotes
from moa.plots.charts import correlation_heatmap, score_dots
from moa.reporting.blends import blends, is_published, members_in_words
from moa.reporting.details import calibration, drugs, targets
from moa.reporting.inputs import ModelResult
from moa.reporting.leaderboard import leaderboard
from moa.reporting.measures import measures
from moa.reporting.mechanisms import mechanisms
from moa.reporting.networks import networks
from moa.reporting.page import LOSS, Block, Figures, Format, Section, Table, Text
from moa.reporting.scores import ReportScores, ScoredPrediction
from moa.reporting.training import cost, curves

#: Mean correlation of each submission with those of the other models (write-up, table of Best LB).
PUBLISHED_CORRELATION = {
    "three-stage-nn-5fold": 0.77,
    "two-stage-nn-tabnet": 0.77,
    "simple-nn-old-cv": 0.81,
    "simple-nn-new-cv": 0.82,
    "two-heads": 0.80,
    "deepinsight-efficientnet-b3": 0.74,
    "deepinsight-resnest-v2": 0.70,
}


def scores(found: ReportScores) -> Section:
    """OOF log loss of models, variants and blends, with the prevalence baseline and the published scores."""
    predictions = []
    for name in found.inputs.models:
        predictions += [found.models[name]] if name in found.models else []
        predictions += [p for key, p in found.variants.items() if key.startswith(f"{name}/")]
    predictions += list(found.blends.values())
    quiet = [i for i, p in enumerate(predictions) if p.kind in ("variant", "clipped")]
    titles = [f"{p.title} (leaks)" if p.kind == "variant" else p.title for p in predictions]
    frame = _score_frame(found, predictions)
    losses = ["OOF, treated rows", "prevalence alone", "OOF, all rows", "test, treated", "test, all rows"]
    formats: dict[str, Format] = {name: LOSS for name in (*losses, "OOF, same rows") if name in frame}
    formats |= {"gain": ".1%"} | ({"published": str} if found.of_competition else {})
    bold = [name for name in formats if name in losses and name != "prevalence alone"] if found.comparable else []
    dots = frame[["OOF, treated rows", "prevalence alone"]].set_axis(["log loss", "prevalence"], axis=1)
    dots = dots.assign(blend=[p.kind == "blend" for p in predictions]).set_axis(titles)
    blocks: list[Block] = [
        Table.of(frame, formats, lowest=bold, quiet=quiet),
        Figures([(score_dots(dots), "Each prediction and its prevalence baseline")], column=720, least=420),
    ]
    if any(p.kind == "variant" for p in predictions):
        blocks.insert(1, Text(
            "Rows marked “leaks” are further out-of-fold predictions that the original used: their last phase was "
            "fitted on the validation fold itself, so they look better than they are. No blend here uses them.", "warn",
        ))  # fmt: skip
    if found.inputs.truth is not None:
        treated, whole = found.test_losses(prevalence_baseline(found.y, found.inputs.data.test.index))
        blocks.append(Text(f"Prevalence alone on the test rows: {treated:.5f} treated, {whole:.5f} all rows."))
    if found.of_competition:
        names = dict.fromkeys(p.key.partition("/")[0] for p in predictions if p.kind != "blend")
        recipes = [model.recipe for name in names if (model := found.inputs.models[name]).recipe]
        blocks += map(Text, footnotes([*recipes, *(found.inputs.blends[name] for name in found.blends)]))
    absent = [m.title for name, m in found.inputs.models.items() if name not in found.models]
    if absent:
        blocks.append(Text(f"Only test predictions, so no out-of-fold score: {', '.join(absent)}."))
    return Section(
        "scores", "Scores",
        "Out-of-fold (OOF) log loss, and that of predicting each target's prevalence on the same rows; gain is the "
        "relative improvement. “All rows” counts controls with prediction 0, as the competition does; “same rows” are "
        "those that the published score beside it counts. Row-wise and drug-aware folds answer different questions, so "
        "their scores are not comparable.",
        blocks,
    )  # fmt: skip


def _score_frame(found: ReportScores, predictions: list[ScoredPrediction]) -> pd.DataFrame:
    """One row per prediction: its scores and remarks."""
    rows = []
    for p in predictions:
        treated, whole = found.test_losses(p.test)
        published, same_rows = _published(found, p)
        rows.append(
            {
                "prediction": _name(p),
                "OOF, treated rows": p.loss,
                "prevalence alone": p.baseline,
                "gain": p.gain,
                "OOF, all rows": found.all_rows(p),
                "OOF, same rows": same_rows,
                "published": published,
                "test, treated": treated,
                "test, all rows": whole,
                "remarks": ", ".join(_remarks(found, p)),
            }
        )
    frame = pd.DataFrame(rows)
    absent = [] if found.inputs.truth is not None else ["test, treated", "test, all rows"]
    if not found.of_competition:
        absent += ["OOF, same rows", "published"]
    return frame.drop(columns=absent)


def _name(p: ScoredPrediction) -> str:
    if p.kind in ("model", "blend"):
        return p.title
    return f"↳ {p.title.split(': ')[-1]}" + (" (leaks)" if p.kind == "variant" else "")


def _published(found: ReportScores, p: ScoredPrediction) -> tuple[str, float]:
    """The OOF score that the winners published, with its rows, and ours over the same rows; NaN where there is none.

    A score that was published of predictions after phase 3, or of clipped ones, stands beside these of ours too.
    """
    if p.kind == "blend":
        spec = found.inputs.blends[p.key]
        return spec.oof_text, p.loss if spec.published.oof else np.nan
    name, _, variant = p.key.partition("/")
    recipe = found.inputs.models[name].recipe
    known = recipe.published if recipe else None
    if known and (p.kind in ("model", "clipped") or variant == known.leaky):
        return known.cv_text, found.all_rows(p) if known.cv_rows == "all" else p.loss
    return "–", np.nan


def _remarks(found: ReportScores, p: ScoredPrediction) -> list[str]:
    """What makes a score not comparable with the published one."""
    remarks = []
    if found.coverage(p) < 1:
        remarks.append(f"{found.coverage(p):.0%} of the treated rows")
    if p.kind == "blend":
        spec = found.inputs.blends[p.key]
        if not is_published(spec):
            remarks.append("weights found on these rows")
        if len(found.weights(spec)) < len(spec.members):
            remarks.append(members_in_words(found, spec))
    elif p.kind == "model" and found.of_competition:
        remarks += deviations(found.inputs.models[p.key])
    return remarks


def deviations(model: ModelResult) -> list[str]:
    """The deviations from the published run that change a score most, in a few words each.

    `ModelResult.differences` has the whole list.
    """
    profile, planned = model.manifest and model.manifest.profile, sum(len(stage.units()) for stage in model.stages)
    words = [f"{profile} profile"] if profile not in (None, "kaggle") else []
    if len(model.units) < planned:
        words.append(f"{len(model.units)} of {planned} units trained")
    for difference in model.differences:
        setting, used, published = difference.setting.split(".")[-1], difference.used, difference.published
        if setting.endswith("seeds") and isinstance(used, list) and isinstance(published, list):
            words.append(f"{len(used)} of {len(published)} seeds" if len(used) != len(published) else "other seeds")
        elif setting.endswith("n_splits"):
            words.append(f"{used} folds instead of {published}")
        elif setting == "pretrained" and not used:
            words.append("untrained backbone")
    return list(dict.fromkeys(words))


def correlations(found: ReportScores) -> Section | None:
    """Correlation between the predictions of the models, on OOF and on test rows."""
    titles = {name: model.title for name, model in found.inputs.models.items()}
    treated = found.inputs.data.test.index[found.inputs.data.test_treated]
    rows = found.common_rows(found.models)
    oof = {name: p.table.loc[rows] for name, p in found.models.items()}
    test = {n: m.test.loc[treated] for n, m in found.inputs.models.items() if m.test is not None}
    figures, means = [], {}
    for label, count, tables in (("OOF", len(rows), oof), ("test", len(treated), test)):
        if len(tables) > 1 and count > 1:
            table = prediction_correlation(tables)
            means[label] = table["mean_with_others"]
            square = table[list(tables)].rename(index=titles, columns=titles).rename_axis(None)
            figures.append((correlation_heatmap(square), f"{label} predictions, {count:,} treated rows"))
    if not figures:
        return None
    frame = pd.DataFrame(means)
    frame.insert(0, "model", [titles[name] for name in frame.index])
    if found.of_competition:
        frame["published (test)"] = [PUBLISHED_CORRELATION.get(name, np.nan) for name in frame.index]
    formats = dict.fromkeys(frame.columns[1:], ".2f")
    many = len(frame) > 5
    return Section(
        "correlation", "Correlation",
        "Pearson correlation of two models’ predictions of treated rows, mean over targets. Blending gains most from "
        "models with different errors.",
        [
            Figures(figures, column=460 if many else 340, least=440 if many else 260),
            Table.of(frame, formats, caption="Mean correlation with the other models"),
        ],
    )  # fmt: skip


#: A function of the scores that returns one or several sections, or None if it has nothing to show.
MakeSection = Callable[[ReportScores], Section | list[Section] | None]
#: The sections of the page in order. To add one, add a function here, or to ``sections`` of `write_report`.
SECTIONS: tuple[MakeSection, ...] = (
    scores,
    measures,
    mechanisms,
    blends,
    leaderboard,
    correlations,
    curves,
    targets,
    calibration,
    drugs,
    networks,
    cost,
)
