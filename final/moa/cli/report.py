"""``moa report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from moa.cli.console import out
from moa.cli.options import DATA, OUT, WEIGHTS, DataDir, Predictions, Weights

app = typer.Typer()


@app.command()
def report(
    data: DataDir = DATA,
    weights: Weights = WEIGHTS,
    predictions: Predictions = OUT,
    blend: Annotated[
        list[Path] | None,
        typer.Option(
            help="YAML file of a further blend, as written by `moa blend search --out`; may be given several times. "
            "Those in the folder of predictions are included anyway."
        ),
    ] = None,
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for the report.")] = Path("output"),
) -> None:
    """Write report.html: our scores and the published ones, blends, targets, drugs, CNN attributions, costs."""
    from moa.reporting import write_report

    out.print(f"wrote {write_report(data, weights, predictions, out_dir, blends=blend or ())}")
