"""Tables of the field's measures, at most 80 columns wide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from typing import TYPE_CHECKING

from rich.table import Table

from moa.cli.console import plain_table

if TYPE_CHECKING:
    import pandas as pd

#: Headings of the measures of `moa.metrics.ranking.measures`, two lines each.
HEADINGS = {
    "log_loss": "log\nloss",
    "roc_auc_micro": "AUC\nmicro",
    "roc_auc_macro": "AUC\nmacro",
    "average_precision_micro": "AP\nmicro",
    "average_precision_macro": "AP\nmacro",
    "roc_auc": "ROC-\nAUC",
    "average_precision": "AP",
    "top_1": "top\n1",
    "top_5": "top\n5",
    "accuracy": "accu-\nracy",
    "f1_macro": "F1\nmacro",
    "ece": "ECE",
}
MEANING = (
    "AUC: area under the ROC curve; AP: average precision. Micro pools all cells, macro is the mean over targets. "
    "Top k: share of labelled rows with a right mechanism among the k most likely. F1 and ECE (calibration error) are "
    "of the likeliest mechanism."
)


def measure_table(title: str, first: str, rows: Sequence[Mapping[str, object]], names: Sequence[str]) -> Table:
    """Rows of measures.

    Args:
        title: above the table.
        first: key of the first column, which holds text, and its heading.
        rows: the measures of a line by name, or only ``first``: a heading among the lines.
        names: measures to show.
    """
    table = plain_table(title, [(first, False), *((HEADINGS.get(name, name), True) for name in names)])
    for row in rows:
        heading = not any(name in row for name in names)
        style = "bold" if heading else None
        table.add_row(str(row[first]), *(cell(name, row.get(name)) for name in names), style=style)
    return table


def shown_measures(frame: pd.DataFrame) -> list[str]:
    """The measures to show, few enough for 80 columns; `moa score --format` has all.

    Top 1 is always among them, and accuracy, which is the same where all labelled rows have one mechanism, never:
    one measure has one name in all tables.
    """
    return [name for name in HEADINGS if name in frame and name not in ("roc_auc_macro", "accuracy")]


def cell(name: str, value: object) -> str:
    """A measure as text; a dash where it is not defined."""
    if value is None or (isinstance(value, float) and isnan(value)):
        return "" if value is None else "–"
    if name == "log_loss":
        return f"{value:.5f}"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
