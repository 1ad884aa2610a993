"""``moa report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from moa.cli.options import DATA, OUT, WEIGHTS, DataDir, Weights, out

app = typer.Typer()


@app.command()
def report(
    data: DataDir = DATA,
    weights: Weights = WEIGHTS,
    predictions: Annotated[Path, typer.Option(help="Folder written by `moa predict`.")] = OUT,
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for the report.")] = Path("output"),
) -> None:
    """Write report.html: scores beside the published ones, learning curves, correlations."""
    from moa.report import write_report

    out.print(f"wrote {write_report(data, weights, predictions, out_dir)}")
