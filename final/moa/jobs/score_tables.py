"""Scores as rows of plain values, for json and csv, and as files."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd

from moa.files import replacing
from moa.jobs.score import TARGET, WELL, Scores

#: Fields of a row, in order; those of other measures follow.
FIRST = (
    "prediction", "kind", "by", "level", "rows", "top_1", "f1_macro", "average_precision_micro", "roc_auc_micro",
    "log_loss", "ece",
)  # fmt: skip


def score_rows(found: Scores) -> pd.DataFrame:
    """The scores as rows of plain values, the calibrated line of a model first.

    Columns: those of ``FIRST``, then all other measures. "by" is what the rows are and what they are by, as given to
    ``--by``; "level" its value, such as a dose, a target or a seed. Lines of models that are compared with the best
    baseline have "better" and, for each measure compared, "MEASURE_baseline", "_difference", "_low" and "_high".
    """
    table = found.table.copy()
    names = [name for name in (found.unit, found.by) if name != WELL]
    level = table.pop(found.by) if found.by != WELL else None
    table.insert(0, "by", ",".join(names) or WELL)
    table["level"] = level
    for each in found.compared:
        lines = (table["prediction"] == each.model) & (table["kind"] == "model")
        table.loc[lines, "better"] = each.better
        for row in each.rows():
            measure = row.pop("measure")
            for field in ("baseline", "difference", "low", "high"):
                table.loc[lines, f"{measure}_{field}"] = row[field]
    if found.by == TARGET:
        return table[["prediction", "kind", "by", "level", *(name for name in table if name not in FIRST)]].join(
            table[["log_loss"]]
        )
    return table.reindex(columns=[*FIRST, *(name for name in table if name not in FIRST)])


def as_json(rows: pd.DataFrame) -> str:
    """The rows as a JSON list of objects; what is not defined is null."""
    plain = [{name: _plain(value) for name, value in row.items()} for row in rows.to_dict("records")]
    return json.dumps(plain, indent=1)


def _plain(value: object) -> object:
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value


def write_scores(path: Path, found: Scores, retrieved: pd.DataFrame | None = None) -> list[Path]:
    """Write scores as csv, and beside them those of treatments or compounds (``-treatments``) and of retrieval.

    A path that ends with .json gets the rows of `score_rows` as JSON, and the other tables as csv.

    Returns:
        the files.
    """
    beside = path.with_suffix(".csv") if path.suffix == ".json" else path
    tables = {}
    if found.details is not None:
        tables[beside.with_name(f"{beside.stem}-{found.unit}s{beside.suffix}")] = found.details
    if retrieved is not None:
        tables[beside.with_name(f"{beside.stem}-retrieval{beside.suffix}")] = retrieved
    with replacing(path) as temporary:
        if path.suffix == ".json":
            temporary.write_text(as_json(score_rows(found)) + "\n", encoding="utf-8")
        else:
            found.table.to_csv(temporary, index=False, float_format="%.7g")
    for file, table in tables.items():
        with replacing(file) as temporary:
            table.to_csv(temporary, index=False, float_format="%.7g")
    return [path, *tables]
