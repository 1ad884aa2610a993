"""``moa weights``: bring trained weights together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from moa.cli.options import group, out

app = group("Bring together weights that were trained in several places.")


@app.command("merge")
def weights_merge(
    target: Annotated[Path, typer.Argument(help="Weights folder to fill; made where it is not there.")],
    sources: Annotated[list[Path], typer.Argument(help="Weights folders, each with any part of the units.")],
) -> None:
    """Merge the outputs of several Kaggle sessions, array jobs or machines into one weights folder."""
    from moa.models.registry import recipe
    from moa.training.merge import merge_weights
    from moa.training.runner import Runner

    table = Table(title=f"{target}")
    for column in ("model", "units taken", "there before", "still to train"):
        table.add_column(column, justify="left" if column == "model" else "right")
    merged = merge_weights(sources, target)
    for model in merged:
        missing = Runner(recipe(model.model), target).missing_units()
        table.add_row(model.model, f"{model.taken}", f"{model.there}", f"{missing}")
    out.print(table)
    for model in merged:
        if model.versions:
            out.print(f"[yellow]{model.model}: parts were trained by other versions: {model.versions}[/yellow]")
