"""The sections on training: learning curves, beside those of the winners on the real data, and costs."""

from __future__ import annotations

import pandas as pd

from moa.data.assay import COMPETITION
from moa.models import winners
from moa.plots.charts import learning_curves, stacked_bars
from moa.reporting.page import Block, Details, Figures, Section, Table, Text
from moa.reporting.scores import Scores

#: What the winners' curves are.
WINNERS = (
    "Winners' losses are those that their own training runs logged, where there is a log. Sister runs are of the same "
    "code with other seeds, or of a slightly earlier version. A dot is the best epoch of one fold of a CNN. "
    "The command “moa compare” compares the best losses in numbers."
)


def curves(found: Scores) -> Section | None:
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
            units = len(rows.drop_duplicates(["seed", "fold"]))
            figure = learning_curves(rows, theirs, panel=(4, 2.8))
            figure.axes[0].set_title("")
            figures.append((figure, f"{model.title}, {stage}: {units} unit{'s' if units != 1 else ''}"))
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
            Text("The losses that the winners' runs logged are left out: they are of the competition's data.")
        )
    return Section("curves", "Learning curves", lead, blocks)


def cost(found: Scores) -> Section | None:
    """Training time, and settings that differ from the published ones."""
    models = [model for model in found.inputs.models.values() if len(model.units)]
    if not models:
        return None
    rows = []
    for model in models:
        for stage, units in model.units.groupby("stage", sort=False):
            devices = sorted({str(name) for name in units["device"].dropna()})
            rows.append(
                {
                    "model": model.title,
                    "stage": stage,
                    "units": len(units),
                    "seconds a unit": units["seconds"].mean(),
                    "added up": _duration(units["seconds"].sum()),
                    "device": ", ".join(devices) or None,
                }
            )
    frame = pd.DataFrame(rows)
    if frame["device"].isna().all():
        frame = frame.drop(columns="device")
    seconds = [(row["model"], row["stage"], row["units"] * row["seconds a unit"]) for row in rows]
    bars = stacked_bars(pd.DataFrame(seconds, columns=["model", "stage", "seconds"]))
    total = sum(model.seconds for model in models)
    blocks: list[Block] = [
        Figures([(bars, "Training time by model and stage")], column=720, least=420),
        Table.of(frame, {"units": "d", "seconds a unit": ",.1f", "added up": str}),
    ]
    differences = [
        {"model": m.title, "setting": each.setting, "here": _short(each.used), "published": _short(each.published)}
        for m in models
        for each in m.differences
    ]
    if differences:
        summary = f"Settings that differ from the published ones: {len(differences)}"
        blocks.append(Details(summary, [Table.of(pd.DataFrame(differences))]))
    versions = models[0].manifest.versions if models[0].manifest else {}
    if versions:
        blocks.append(Details("Versions", [Text(", ".join(f"{name} {number}" for name, number in versions.items()))]))
    return Section(
        "cost", "Training run",
        f"Training time of the finished units, added up: {_duration(total)}, without the fitting of features. A unit "
        "is one (stage, seed, fold); units that are trained side by side take less by the clock. The winners reported "
        "12 to 25 hours for the ten folds of a CNN on two RTX 2080 Ti, and Kaggle notebooks of up to 9 hours for "
        "everything else, on other hardware.",
        blocks,
    )  # fmt: skip


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "…"
