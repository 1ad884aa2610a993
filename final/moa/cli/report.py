"""``moa report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from moa.cli.options import DATA, OUT, WEIGHTS, DataDir, Weights, out

app = typer.Typer()


@app.command()
def report(
    data: DataDir = DATA,
    weights: Weights = WEIGHTS,
    predictions: Annotated[Path, typer.Option(help="Folder written by `moa predict`.")] = OUT,
    blend: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option(
            help="Blend YAML to show beside the published ones, as `moa blend search --out` writes it; may be given "
            "several times. Those in the folder of predictions are shown anyway."
        ),
    ] = None,
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for the report.")] = Path("output"),
) -> None:
    """Write report.html: scores beside the published ones, blends, targets, drugs, what the CNNs look at, costs."""
    from moa.reporting import write_report

    out.print(f"wrote {write_report(data, weights, predictions, out_dir, blends=blend or ())}")
