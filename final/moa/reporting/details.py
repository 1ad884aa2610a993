"""The detailed sections: targets, calibration and drugs."""

from __future__ import annotations

import numpy as np
import pandas as pd

from moa.data.folds import SMALL_DRUG_ROWS
from moa.plots.charts import calibration_curve, histogram, target_scatter
from moa.reporting.page import LOSS, Block, Details, Figures, Section, Table
from moa.reporting.scores import ReportScores, calibration_table
from moa.words import counted

#: Ranges of the prevalence among treated rows, by their upper bounds.
_RANGES = {
    0.0005: "under 0.05 %",
    0.002: "0.05 – 0.2 %",
    0.005: "0.2 – 0.5 %",
    0.01: "0.5 – 1 %",
    1.0: "over 1 %",
}
#: Length of the lists of best and worst targets and of the hardest drugs.
_LISTED = 10
#: Headings of the columns of these lists, and their formats.
_HEADINGS = {
    "target": "target", "drug_id": "drug", "positives": "positive rows", "rows": "rows", "log_loss": "log loss",
    "baseline": "prevalence alone", "gain": "gain", "auc": "AUC", "moa": "mechanisms",
}  # fmt: skip
_FORMATS = {"positive rows": "d", "rows": "d", "log loss": LOSS, "prevalence alone": LOSS, "gain": ".1%", "AUC": ".3f"}


def targets(found: ReportScores) -> Section:
    """Log loss and AUC by prevalence, and for each target."""
    reference, table = found.reference, found.targets
    ranges = pd.cut(found.prevalence, [-1.0, *_RANGES], labels=list(_RANGES.values()))
    chosen = {label: table.index[ranges == label] for label in _RANGES.values() if (ranges == label).any()}
    losses = [("prevalence alone", *(reference.baseline_losses[names].mean() for names in chosen.values()))]
    losses += [(p.title, *(p.losses[n].mean() for n in chosen.values())) for p in found.everything.values()]
    aucs = [
        (p.title, *(p.areas["roc_auc"][names].mean() for names in chosen.values())) for p in found.everything.values()
    ]
    headings = [f"{label} ({len(names)})" for label, names in chosen.items()]
    with_positives = table[table["positives"] > 0].assign(target=lambda frame: frame.index)
    lead = f"Scores of rare and common targets. Figures and ranked targets: {reference.title}, treated rows."
    without = len(table) - len(with_positives)
    if without:
        lead += f" {counted(without, 'target')} {'have' if without > 1 else 'has'} no positive row, and so no AUC."
    dots = [
        (target_scatter(table, "auc", "AUC", 0.5), "AUC of each target; the dashed line is chance"),
        (
            target_scatter(table.assign(percent=100 * table["gain"]), "percent", "gain, %", 0.0),
            "Gain over the prevalence baseline; below the line the baseline is better",
        ),
    ]
    columns = ["target", "positives", "baseline", "log_loss", "gain", "auc"]
    best = headings if found.comparable else ()
    by_loss, by_auc = (pd.DataFrame(rows, columns=["prediction", *headings]) for rows in (losses, aucs))
    caption = "Mean log loss by the target's prevalence (number of targets)"
    blocks: list[Block] = [
        Table.of(by_loss, dict.fromkeys(headings, LOSS), lowest=best, caption=caption),
        Table.of(
            by_auc,
            dict.fromkeys(headings, ".3f"),
            highest=best,
            caption="Mean AUC by the target's prevalence; 0.5 is chance",
        ),
        Figures(dots, column=340),
        _listed(with_positives.nlargest(_LISTED, "gain")[columns], "Targets with the largest gain"),
        _listed(with_positives.nsmallest(_LISTED, "gain")[columns], "Targets with the smallest gain"),
        _every_target(found, with_positives.sort_values("positives", ascending=False)),
    ]
    return Section("targets", "Targets", lead, blocks)


def _every_target(found: ReportScores, targets: pd.DataFrame) -> Details:
    losses = {"prevalence alone": targets["baseline"]}
    losses |= {p.title: p.losses[targets.index] for p in found.everything.values()}
    frame = targets[["target", "positives"]].assign(**losses)
    table = Table.of(frame, {"positives": "d"} | dict.fromkeys(losses, LOSS))
    return Details(f"Log loss of all {len(targets)} targets with a positive row, for every model", [table])


def _listed(table: pd.DataFrame, caption: str) -> Table:
    return Table.of(table.rename(columns=_HEADINGS), _FORMATS, caption=caption)


def calibration(found: ReportScores) -> Section:
    """Observed rate by predicted probability."""
    figures, rows = [], []
    for p in found.everything.values():
        curve = calibration_table(p.y, p.table)
        figures.append((calibration_curve(curve), p.title))
        predicted, observed = (float((curve[name] * curve["cells"]).sum()) for name in ("predicted", "observed"))
        rows.append((p.title, predicted, observed, predicted / observed if observed else np.nan))
    frame = pd.DataFrame(rows, columns=["prediction", "sum of probabilities", "number of labels", "ratio"])
    formats = {"sum of probabilities": ",.0f", "number of labels": ",.0f", "ratio": ".3f"}
    return Section(
        "calibration", "Calibration",
        "Share of positive cells by predicted probability. Both axes are logarithmic, with two bins per decade. Bars "
        "are 95 % intervals; bins without a positive are not drawn. Above the dashed line the predictions are too low.",
        [Figures(figures, column=250), Table.of(frame, formats, caption="Sum of probabilities and number of labels")],
    )  # fmt: skip


def drugs(found: ReportScores) -> Section | None:
    """Scores of small and large drugs, and the hardest drugs."""
    table = found.drugs
    if table is None:
        return None
    title = found.reference.title
    names = {"small": f"drugs of up to {SMALL_DRUG_ROWS} rows", "large": "larger drugs"}
    sizes = pd.DataFrame([{"prediction": p.title, **found.by_drug_size(p)} for p in found.everything.values()])
    sizes = sizes.rename(columns=names)
    formats = dict.fromkeys(sizes.columns[1:], LOSS)
    small = table["rows"] <= SMALL_DRUG_ROWS
    labelled = table["moa"] != ""
    groups = {"with a mechanism": table.loc[labelled, "log_loss"], "without": table.loc[~labelled, "log_loss"]}
    spread = histogram({name: group for name, group in groups.items() if len(group)}, "log loss of a drug", "drugs")
    worst = table.nlargest(_LISTED, "log_loss").reset_index()
    worst["gain"] = 1 - worst["log_loss"] / worst["baseline"]
    return Section(
        "drugs", "Drugs",
        f"{len(table):,} drugs, {int((~small).sum())} of them with more than {SMALL_DRUG_ROWS} treated rows, which the "
        "drug-aware folds split by rows. All rows of a drug have the same labels, so they tend to be right or wrong "
        "together.",
        [
            Table.of(sizes, formats, caption="Mean log loss over the rows of small and of large drugs"),
            Figures([(spread, f"{title}: drugs with and without one of the scored mechanisms")], column=520, least=340),
            _listed(
                worst[["drug_id", "rows", "log_loss", "baseline", "gain", "moa"]], f"The hardest drugs for {title}"
            ),
        ],
    )  # fmt: skip
