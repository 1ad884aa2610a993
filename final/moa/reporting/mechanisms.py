"""Every mechanism on the report: its measures, calibration and compounds, and which wells were found and missed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from moa.data.wells import COMPOUND, DOSE, TIME
from moa.progress import Bar, progress
from moa.reporting.page import Section, View, rounded
from moa.reporting.scores import ReportScores, ScoredPrediction, calibration_table

#: A well counts as found where the mechanism is among as many most likely ones.
TOP = 5
#: Wells of each kind and compounds that are listed for a mechanism; counts are of all.
WELLS, COMPOUNDS = 8, 100
_NAMED = 3


def mechanisms(found: ReportScores) -> Section:
    """All mechanisms in a list that can be searched, sorted and filtered."""
    reference = found.reference
    return Section(
        "mechanisms", "Mechanisms",
        f"Every target in out-of-fold predictions of treated rows: {reference.title}, {len(reference.y):,} rows. "
        "Choose one for its calibration, the compounds that carry it, and the wells that were found and missed.",
        [View("mechanisms", mechanism_data(found))],
    )  # fmt: skip


def mechanism_data(found: ReportScores) -> dict[str, Any]:
    """What the page shows of each mechanism, as JSON values.

    Returns:
        "predictions" (titles, the reference first), "top", "compounds" (whether they are known), and "mechanisms": per
        target name, positives (of all treated rows), covered (of the rows with predictions), prevalence, baseline (log
        loss of the prevalence), log_loss, gain, auc, ap; "by" (log loss, AUC and AP of each prediction), "curve" (bins
        of predicted probability: predicted, observed, rows, low, high), "carriers" (compound, wells, found, mean
        probability), "hits" (wells for which it is the most likely one, and among ``TOP``), and lists of wells "found",
        "missed" and "false".
    """
    reference = found.reference
    named = _Wells(found, reference)
    predictions = [reference, *(each for each in found.everything.values() if each is not reference)]
    with progress("mechanisms", len(predictions) + len(named.targets)) as bar:
        measured = []
        for each in predictions:
            measured.append(each.areas.assign(loss=each.losses)[["loss", "roc_auc", "average_precision"]].to_numpy())
            bar.update(len(measured), each.title)
        rows = _rows(found, named, measured, bar)
    titles = [each.title for each in predictions]
    return {"predictions": titles, "top": TOP, "compounds": named.known, "mechanisms": rows}


def _rows(found: ReportScores, named: _Wells, measured: list[np.ndarray], bar: Bar) -> list[dict[str, Any]]:
    """What is shown of each target; ``measured``: log loss, AUC and AP of each prediction, shape (targets, 3)."""
    y, p = found.reference.y, found.reference.table
    rows = []
    for column, target in enumerate(y.columns):
        facts, rank = found.targets.loc[target], named.place[:, column]
        positive = np.flatnonzero(named.labels[:, column])
        false = np.flatnonzero((rank == 1) & ~named.labels[:, column])
        hit = rank[positive] <= TOP
        rows.append(
            {
                "name": str(target),
                "positives": int(facts["positives"]),
                "covered": len(positive),
                "prevalence": rounded(facts["prevalence"]),
                "baseline": rounded(facts["baseline"], 5),
                "log_loss": rounded(facts["log_loss"], 5),
                "gain": rounded(facts["gain"]),
                "auc": rounded(measured[0][column, 1]),
                "ap": rounded(measured[0][column, 2]),
                "by": [[rounded(each[column, 0], 5), *rounded(each[column, 1:])] for each in measured],
                "curve": _curve(y[[target]], p[[target]]),
                "carriers": named.carriers(positive, column),
                "hits": [int((rank[positive] == 1).sum()), int(hit.sum())],
                "false_first": len(false),
                "found": named.wells(positive[hit], column, -1),
                "missed": named.wells(positive[~hit], column, 1),
                "false": named.wells(false, column, -1),
            }
        )
        bar.update(len(measured) + len(rows))
    return rows


def _curve(y: pd.DataFrame, p: pd.DataFrame) -> list[list[float | None]]:
    """The bins of one target's calibration: predicted, observed, rows, low, high."""
    return [
        [rounded(predicted), rounded(observed), int(cells), rounded(low), rounded(high)]
        for predicted, observed, cells, low, high in calibration_table(y, p).itertuples(index=False)
    ]


class _Wells:
    """The rows of a prediction, named by compound, dose and time as far as they are known.

    Attributes:
        known: whether any compound is.
        labels: whether a row carries a target, shape (rows, targets).
        values: probabilities, same shape.
        place: of a target among the row's targets by probability, the most likely 1; same shape.
    """

    def __init__(self, found: ReportScores, reference: ScoredPrediction):
        self.ids, self.targets = reference.y.index, list(map(str, reference.y.columns))
        self.labels, self.values = reference.y.to_numpy() > 0, reference.table.to_numpy(np.float64)
        self.place = rankdata(-reference.table.to_numpy(), method="ordinal", axis=1)
        facts = found.inputs.known.reindex(self.ids)
        self.compound = facts[COMPOUND].to_numpy(object) if COMPOUND in facts else np.full(len(facts), None)
        self.known = bool(pd.notna(self.compound).any())
        columns = [facts[name] for name in (DOSE, TIME) if name in facts]
        self.conditions = [
            ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in row if not pd.isna(value))
            for row in (zip(*columns, strict=True) if columns else ((),) * len(self.ids))
        ]

    def carriers(self, positive: np.ndarray, column: int) -> list[list[Any]]:
        """Compounds of the positive rows: name, wells, wells found, mean probability; the most likely first."""
        hit, values = self.place[positive, column] <= TOP, self.values[positive, column]
        table = pd.DataFrame({"hit": hit, "value": values}).groupby(self.compound[positive], sort=False)
        table = table.agg(wells=("hit", "size"), hits=("hit", "sum"), mean=("value", "mean"))
        table = table.sort_values("mean", ascending=False, kind="stable").iloc[:COMPOUNDS]
        return [[str(name), int(wells), int(hits), rounded(mean)] for name, wells, hits, mean in table.itertuples()]

    def wells(self, rows: np.ndarray, column: int, sign: int) -> list[list[Any]]:
        """Some rows: sig_id, compound, conditions, probability, place, and targets: true ones, and the most likely.

        Of ``rows``, those of the highest probability for ``sign`` -1, and of the lowest for 1.
        """
        chosen = rows[np.argsort(sign * self.values[rows, column], kind="stable")][:WELLS]
        return [
            [
                str(self.ids[row]),
                "" if pd.isna(self.compound[row]) else str(self.compound[row]),
                self.conditions[row],
                rounded(self.values[row, column]),
                int(self.place[row, column]),
                [self.targets[each] for each in np.flatnonzero(self.labels[row])[:_NAMED]],
                self.targets[int(self.place[row].argmin())],
            ]
            for row in chosen
        ]
