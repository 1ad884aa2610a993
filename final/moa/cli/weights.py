"""``moa weights``: merge weights folders, and fetch ImageNet weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from moa.cli.console import group, number_table, out
from moa.cli.expansion import expanded
from moa.cli.options import Own
from moa.cli.stopping import on_stop

app = group("Merge weights that were trained in several places, or fetch the ImageNet weights of the CNNs.")


@app.command("merge")
@expanded
def weights_merge(
    target: Annotated[Path, typer.Argument(help="Weights folder to fill; it is created if needed.")],
    sources: Annotated[
        list[Path], typer.Argument(help="Weights folders, or outputs of Kaggle kernels, each with some of the units.")
    ],
    _own: Own,
) -> None:
    """Merge the outputs of several Kaggle sessions, array jobs or machines into one weights folder."""
    from moa.models.registry import known_recipes
    from moa.weights.merge import merge_weights
    from moa.weights.trained import open_trained

    on_stop(f"what was merged is kept in {target}; run the same command again to continue")
    table = number_table(escape(f"{target}"), "model", "units taken", "there before", "still to train")
    merged = merge_weights(sources, target)
    for model in merged:
        known = model.model in known_recipes()
        missing = f"{open_trained(model.model, target, whole=False).missing_units()}" if known else "?"
        table.add_row(escape(model.model), f"{model.taken}", f"{model.there}", missing)
    out.print(table)
    for model in merged:
        if model.versions:
            out.print(f"[yellow]{escape(model.model)}: parts were trained by other versions: {model.versions}[/yellow]")


@app.command("pretrained")
def weights_pretrained(
    folder: Annotated[Path, typer.Argument(help="Folder to fill; MOA_PRETRAINED names it to training.")],
) -> None:
    """Fetch the ImageNet weights that the CNNs start from. A download that was cut short goes on where it stopped."""
    from moa.jobs.pretrained import fetch_all_pretrained

    on_stop("what has come is kept; run the same command again to continue")
    table = number_table("", "file", "MiB", "sha256", "state")
    for file in fetch_all_pretrained(folder):
        state = "fetched" if file.address else "there before"
        table.add_row(file.path.name, f"{file.size / 2**20:,.1f}", file.sha256[:16], state)
    out.print(table)
    out.print(f"Training finds them with: export MOA_PRETRAINED={escape(str(folder.absolute()))}")
