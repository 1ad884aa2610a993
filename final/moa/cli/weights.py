"""``moa weights``: merge weights folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from moa.cli.console import group, number_table, out
from moa.cli.options import OwnModels
from moa.cli.stopping import on_stop

app = group("Merge weights that were trained in several places.")


@app.command("merge")
def weights_merge(
    target: Annotated[Path, typer.Argument(help="Weights folder to fill; it is created if needed.")],
    sources: Annotated[list[Path], typer.Argument(help="Weights folders, each with some of the units.")],
    recipe: OwnModels = None,
) -> None:
    """Merge the outputs of several Kaggle sessions, array jobs or machines into one weights folder."""
    from moa.models.registry import recipes
    from moa.training.merge import merge_weights
    from moa.training.trained import open_trained

    on_stop(f"what was merged is kept in {target}; run the same command again to continue")
    table = number_table(escape(f"{target}"), "model", "units taken", "there before", "still to train")
    merged = merge_weights(sources, target)
    for model in merged:
        known = model.model in recipes()
        missing = f"{open_trained(model.model, target, whole=False).missing_units()}" if known else "?"
        table.add_row(escape(model.model), f"{model.taken}", f"{model.there}", missing)
    out.print(table)
    for model in merged:
        if model.versions:
            out.print(f"[yellow]{escape(model.model)}: parts were trained by other versions: {model.versions}[/yellow]")
