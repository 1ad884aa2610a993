"""``moa blend``: mix the models' predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from moa.cli.options import DATA, OUT, DataDir, group, out

app = group("Mix the models' predictions into a submission.")


@app.command("apply")
def blend_apply(
    blends: Annotated[list[str], typer.Argument(help="best-lb, best-cv, or the path of a YAML file.")],
    data: DataDir = DATA,
    predictions: Annotated[Path, typer.Option(help="Folder written by `moa predict`.")] = OUT,
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for the submission.")] = Path("output"),
) -> None:
    """Mix predictions by a blend's weights into a checked submission."""
    from moa.workflow import blend_submission

    for blend in blends:
        path, note = blend_submission(blend, data, predictions, out_dir)
        if note:
            out.print(f"[yellow]{note}[/yellow]")
        out.print(f"{blend}: wrote {path}")
