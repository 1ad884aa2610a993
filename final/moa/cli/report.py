"""``moa report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from moa.cli.console import out
from moa.cli.expansion import expanded
from moa.cli.options import PredictedPlace
from moa.cli.stopping import on_stop

app = typer.Typer()


@app.command()
@expanded
def report(
    place: PredictedPlace,
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
) -> None:
    """Write report.html: scores and published ones, every mechanism, blends, drugs, CNN attributions, costs."""
    from moa.reporting.report import write_report

    where = place.find(output=out_dir)
    on_stop("nothing was written; run the same command again")
    path = write_report(where.data, where.weights, where.predictions, where.output, blends=blend or ())
    out.print(f"wrote {path}")
