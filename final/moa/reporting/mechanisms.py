"""Every mechanism on the report: its measures, calibration and compounds, and which wells were found and missed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from moa.data.wells import COMPOUND, DOSE, TIME
from moa.progress import Bar, progress
from moa.reporting.page import Section, View, rounded
from moa.reporting.scores import Prediction, Scores, calibration_table

#: A well counts as found where the mechanism is among as many most likely ones.
TOP = 5
#: Wells of each kind and compounds that are listed for a mechanism; counts are of all.
WELLS, COMPOUNDS = 8, 100
_NAMED = 3


def mechanisms(found: Scores) -> Section:
    """All mechanisms in a list that can be searched, sorted and filtered."""
    reference = found.reference
    return Section(
        "mechanisms", "Mechanisms",
        f"Every target in out-of-fold predictions of treated rows: {reference.title}, {len(reference.y):,} rows. "
        "Choose one for its calibration, the compounds that carry it, and the wells that were found and missed.",
        [View("mechanisms", mechanism_data(found))],
    )  # fmt: skip


def mechanism_data(found: Scores) -> dict[str, Any]:
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
    return {
        "predictions": [each.title for each in predictions],
        "top": TOP,
        "compounds": named.known,
        "mechanisms": rows,
    }


def _rows(found: Scores, named: _Wells, measured: list[np.ndarray], bar: Bar) -> list[dict[str, Any]]:
    """What is shown of each target; ``measured``: log loss, AUC and AP of each prediction, shape (targets, 3)."""
    reference = found.reference
    y, p = reference.y, reference.table
    place = _places(p)
    labels, values = y.to_numpy() > 0, p.to_numpy(np.float64)
    rows = []
    for column, target in enumerate(y.columns):
        facts = found.targets.loc[target]
        positive = np.flatnonzero(labels[:, column])
        false = np.flatnonzero((place[:, column] == 1) & ~labels[:, column])
        rank, probability = place[:, column], values[:, column]
        missed = positive[rank[positive] > TOP]
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
                "carriers": named.carriers(positive, rank, probability),
                "hits": [int((rank[positive] == 1).sum()), int((rank[positive] <= TOP).sum())],
                "false_first": len(false),
                "found": named.wells(positive[rank[positive] <= TOP], column, place, values, -1),
                "missed": named.wells(missed, column, place, values, 1),
                "false": named.wells(false, column, place, values, -1),
            }
        )
        bar.update(len(measured) + len(rows))
    return rows


def _places(p: pd.DataFrame) -> np.ndarray:
    """Each target's place among a row's targets by probability, the most likely 1; shape of ``p``."""
    order = np.argsort(-p.to_numpy(), axis=1, kind="stable")
    place = np.empty(order.shape, np.int32)
    np.put_along_axis(place, order, np.arange(1, order.shape[1] + 1, dtype=np.int32)[None], axis=1)
    return place


def _curve(y: pd.DataFrame, p: pd.DataFrame) -> list[list[float | None]]:
    """The bins of one target's calibration: predicted, observed, rows, low, high."""
    table = calibration_table(y, p)
    return [
        [rounded(row.predicted), rounded(row.observed), int(row.cells), rounded(row.low), rounded(row.high)]
        for row in table.itertuples()
    ]


class _Wells:
    """Names the rows of a prediction by compound, dose and time, as far as they are known."""

    def __init__(self, found: Scores, reference: Prediction):
        self.ids = reference.y.index
        facts = found.inputs.known.reindex(self.ids)
        self.known = COMPOUND in facts and bool(facts[COMPOUND].notna().any())
        self.compound = facts[COMPOUND].to_numpy() if self.known else None
        self.codes = pd.factorize(self.compound)[0] if self.known else None
        columns = [facts[name] for name in (DOSE, TIME) if name in facts]
        self.conditions = [
            ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in row if not pd.isna(value))
            for row in (zip(*columns, strict=True) if columns else ((),) * len(self.ids))
        ]
        self.labels = reference.y.to_numpy() > 0
        self.targets = list(map(str, reference.y.columns))

    def carriers(self, positive: np.ndarray, rank: np.ndarray, probability: np.ndarray) -> list[list[Any]]:
        """Compounds of the positive rows: name, wells, wells found, mean probability; the most likely first."""
        if not self.known or not len(positive):
            return []
        table = pd.DataFrame(
            {"code": self.codes[positive], "found": rank[positive] <= TOP, "mean": probability[positive]}
        )
        table["row"] = positive
        table = table[table["code"] >= 0].groupby("code").agg(
            wells=("found", "size"), found=("found", "sum"), mean=("mean", "mean"), row=("row", "first")
        )  # fmt: skip
        table = table.sort_values("mean", ascending=False, kind="stable").iloc[:COMPOUNDS]
        return [
            [str(self.compound[each.row]), int(each.wells), int(each.found), rounded(each.mean)]
            for each in table.itertuples()
        ]

    def wells(self, rows: np.ndarray, column: int, place: np.ndarray, values: np.ndarray, sign: int) -> list[list[Any]]:
        """Some rows: sig_id, compound, conditions, probability, place, and targets: true ones, and the most likely.

        Args:
            rows: their places.
            column: of the target.
            place, values: of all rows and targets.
            sign: -1: the rows of highest probability; 1: those of lowest.
        """
        chosen = rows[np.argsort(sign * values[rows, column], kind="stable")][:WELLS]
        return [
            [
                str(self.ids[row]),
                str(self.compound[row]) if self.known and not pd.isna(self.compound[row]) else "",
                self.conditions[row],
                rounded(values[row, column]),
                int(place[row, column]),
                [self.targets[each] for each in np.flatnonzero(self.labels[row])[:_NAMED]],
                self.targets[int(place[row].argmin())],
            ]
            for row in chosen
        ]
