"""Results of new plates for other tools: GCT 1.3 for Morpheus, and columns for ``obs`` of AnnData."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd

from moa.data.csv_files import METADATA
from moa.data.schema import SIG_ID
from moa.files import replacing
from moa.jobs.plate_parts import PROBABILITIES, RANKED, SAMPLES

#: Formats of results besides csv and parquet, each written beside the csv tables.
EXPORTS = ("gct", "obs")
#: Ranked mechanisms of a sample among the columns for ``obs``.
_RANKED = 3
#: What a cell of a GCT file cannot hold.
_BREAKS = str.maketrans("\t\r\n", "   ")


def write_result(path: Path, table: pd.DataFrame) -> str:
    """Write a table of results without its index, as csv or parquet by the path's ending; returns the file's name."""
    with replacing(path) as temporary:
        if path.suffix == ".parquet":
            table.to_parquet(temporary, index=False)
        else:
            table.to_csv(temporary, index=False, float_format="%.7g")
    return path.name


def export(out: Path, kind: str) -> list[str]:
    """Write the tables of a folder for another tool.

    Args:
        out: folder with the csv tables of `moa predict --features`.
        kind: "gct": ``probabilities.gct``, mechanisms as rows and samples as columns, with what is known of the
            samples as column fields. "obs": ``obs.csv``, one row for each sample and the columns that
            `obs_columns` makes, for ``adata.obs.join(pandas.read_csv("obs.csv", index_col=0))``.

    Returns:
        names of the files.
    """
    p = pd.read_csv(out / f"{PROBABILITIES}.csv", index_col=SIG_ID, dtype={SIG_ID: str})
    samples = pd.read_csv(out / f"{SAMPLES}.csv", index_col=SIG_ID, dtype={SIG_ID: str}, keep_default_na=False)
    if kind == "gct":
        write_gct(out / f"{PROBABILITIES}.gct", p, samples)
        return [f"{PROBABILITIES}.gct"]
    ranked = pd.read_csv(out / f"{RANKED}.csv", dtype={SIG_ID: str}, keep_default_na=False)
    with replacing(out / "obs.csv") as temporary:
        obs_columns(ranked, samples).to_csv(temporary)
    return ["obs.csv"]


def write_gct(path: Path, p: pd.DataFrame, samples: pd.DataFrame) -> None:
    """Write probabilities as GCT 1.3.

    Args:
        path: of the file.
        p: shape (samples, targets), indexed by sig_id.
        samples: what is known of the same samples, in this order; each column becomes a column field.
    """
    fields = samples.rename(columns=lambda name: name.removeprefix(METADATA))
    fields = fields.loc[:, ~fields.columns.duplicated()]
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None, lineterminator="\n")
        file.write("#1.3\n")
        lines.writerow([p.shape[1], len(p), 0, fields.shape[1]])
        lines.writerow(["id", *map(_cell, p.index)])
        for name in fields:
            lines.writerow([_cell(name), *map(_cell, fields[name])])
        values = p.to_numpy(np.float64)
        for target, column in zip(p.columns, values.T, strict=True):
            lines.writerow([_cell(target), *(f"{value:.7g}" for value in column)])


def obs_columns(ranked: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """Columns for ``obs`` of AnnData: the likeliest mechanisms of each sample, and how familiar it is.

    Args:
        ranked: as the table ``ranked``, in the order of the ranks.
        samples: as the table ``samples``, indexed by sig_id; columns that it lacks are left out.

    Returns:
        moa_1, moa_1_probability, moa_1_caution, moa_2 and so on, empty for controls, then moa_distance,
        moa_share_nearer, moa_in_training and moa_warning; indexed by sig_id in the order of ``samples``.
    """
    columns: dict[str, pd.Series] = {}
    for rank, rows in ranked[ranked["rank"] <= _RANKED].groupby("rank"):
        rows = rows.set_index(SIG_ID)
        columns |= {
            f"moa_{rank}": rows["moa"],
            f"moa_{rank}_probability": rows["probability"],
            f"moa_{rank}_caution": rows["caution"],
        }
    found = pd.DataFrame(columns, index=samples.index)
    for name in ("distance", "share_nearer", "in_training", "warning"):
        if name in samples:
            found[f"moa_{name}"] = samples[name]
    return found.rename_axis(SIG_ID)


def _cell(value: object) -> str:
    return str(value).translate(_BREAKS)
