"""``moa report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from moa.cli.console import out
from moa.cli.options import DataDir, OwnModels, Predictions, Profile, Weights, folders
from moa.cli.stopping import on_stop

app = typer.Typer()


@app.command()
def report(
    data: DataDir = None,
    weights: Weights = None,
    predictions: Predictions = None,
    blend: Annotated[
        list[Path] | None,
        typer.Option(
            help="YAML file of a further blend, as written by `moa blend search --out`; can be repeated. "
            "Those in the folder of predictions are included anyway."
        ),
    ] = None,
    out_dir: Annotated[
        Path | None, typer.Option("--out", help="Folder for the report.  [default: output/PROFILE]")
    ] = None,
    profile: Profile = None,
    recipe: OwnModels = None,
) -> None:
    """Write report.html: scores and published ones, every mechanism, blends, drugs, CNN attributions, costs."""
    from moa.reporting import write_report

    where = folders(profile, data)
    weights, predictions = weights or where.weights, predictions or where.predictions
    on_stop("nothing was written; run the same command again")
    path = write_report(where.data, weights, predictions, out_dir or where.output, blends=blend or ())
    out.print(f"wrote {path}")
