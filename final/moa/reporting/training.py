"""The sections on training: learning curves, beside those of the winners on the real data, and costs."""

from __future__ import annotations

from typing import Any

import pandas as pd

from moa.data.assay import COMPETITION
from moa.models import winners
from moa.plots.charts import learning_curves, stacked_bars
from moa.reporting.page import Block, Details, Figures, Section, Table, Text, versions
from moa.reporting.scores import ReportScores
from moa.words import counted, shown

#: What the winners' curves are.
WINNERS = (
    "Winners' losses are those that their own training runs logged, where there is a log. Sister runs are of the same "
    "code with other seeds, or of a slightly earlier version. A dot is the best epoch of one fold of a CNN. "
    "The command “moa compare” compares the best losses in numbers."
)


def curves(found: ReportScores) -> Section | None:
    """Learning curves, one panel per stage of each model; on the real data beside the winners' validation losses."""
    figures, beside = [], False
    real = not found.inputs.synthetic and found.inputs.data.schema == COMPETITION
    for model in found.inputs.models.values():
        if not len(model.history):
            continue
        logged = winners.curves(model.name)
        theirs = logged if real and len(logged) else None
        beside |= theirs is not None
        for stage, rows in model.history.groupby("stage", sort=False):
            units = rows.groupby(["seed", "fold"]).ngroups
            figure = learning_curves(rows, theirs, panel=(4, 2.8))
            figure.axes[0].set_title("")
            figures.append((figure, f"{model.title}, {stage}: {counted(units, 'unit')}"))
    if not figures:
        return None
    lead = (
        "Lines are means over seeds and folds, bands reach from the lowest to the highest value. The training loss is "
        "computed with dropout, and with label smoothing if the model uses it, so it may be above the validation loss."
    )
    blocks: list[Block] = [Figures(figures, column=290)]
    if beside:
        blocks.insert(0, Text(WINNERS))
    elif not real:
        blocks.append(
            Text("The losses that the winners' runs logged are left out: they are on the competition's data.")
        )
    return Section("curves", "Learning curves", lead, blocks)


def cost(found: ReportScores) -> Section | None:
    """Training time, and settings that differ from the published ones."""
    models = [model for model in found.inputs.models.values() if len(model.units)]
    if not models:
        return None
    units = pd.concat([model.units.assign(model=model.title) for model in models])
    frame = units.groupby(["model", "stage"], sort=False, as_index=False).agg(
        units=("seconds", "size"), mean=("seconds", "mean"), seconds=("seconds", "sum"), device=("device", _devices)
    )
    bars = stacked_bars(frame[["model", "stage", "seconds"]])
    if frame["device"].isna().all():
        frame = frame.drop(columns="device")
    frame = frame.rename(columns={"mean": "seconds per unit", "seconds": "added up"})
    total = units["seconds"].sum()
    blocks: list[Block] = [
        Figures([(bars, "Training time by model and stage")], column=720, least=420),
        Table.of(frame, {"units": "d", "seconds per unit": ",.1f", "added up": _duration}),
    ]
    differences = [
        {
            "model": m.title,
            "setting": each.setting,
            "here": shown(each.used, 80),
            "published": shown(each.published, 80),
        }
        for m in models
        for each in m.differences
    ]
    if differences:
        summary = f"Settings that differ from the published ones: {len(differences)}"
        blocks.append(Details(summary, [Table.of(pd.DataFrame(differences))]))
    blocks += versions(models[0].manifest.versions if models[0].manifest else {})
    return Section(
        "cost", "Training run",
        f"Training time of the finished units, added up: {_duration(total)}, without the fitting of features. A unit "
        "is one (stage, seed, fold); units that are trained side by side take less by the clock. The winners reported "
        "12 to 25 hours for the ten folds of a CNN on one RTX 2080 Ti, and Kaggle notebooks of up to 9 hours for "
        "everything else, on other hardware.",
        blocks,
    )  # fmt: skip


def _devices(found: pd.Series) -> str | None:
    return ", ".join(sorted(set(found.dropna().astype(str)))) or None


def _duration(seconds: Any) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
