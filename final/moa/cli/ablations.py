"""``moa ablate``: what each part of the solution is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.table import Table

from moa.cli.options import DATA, DataDir, Device, Folds, Profile, Seeds, out

app = typer.Typer()


@app.command()
def ablate(
    names: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(help="Ablations by name (see --list); none: all.", show_default=False),
    ] = None,
    data: DataDir = DATA,
    out_dir: Annotated[
        Path, typer.Option("--out", help="Folder for the table, and for weights of changed models.")
    ] = Path("output/ablations"),
    weights: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Weights folder of `moa train` for the unchanged models; else they are trained here too."),
    ] = None,
    device: Device = "auto",
    profile: Profile = "kaggle",
    seeds: Seeds = None,
    folds: Folds = None,
    listing: Annotated[bool, typer.Option("--list", help="Say what there is, and train nothing.")] = False,
) -> None:
    """Leave parts of the solution out, train, and tell in one table what each is worth; goes on where it stopped."""
    from moa.jobs.ablation import ABLATIONS, ablation, in_words, run_ablations
    from moa.training.runner import Selection

    chosen = [ablation(name) for name in dict.fromkeys(names or ABLATIONS)]
    if listing:
        table = Table("name", "claim", "arms", title="Ablations")
        for each in chosen:
            arms = (f"{arm.label}: {arm.name}" for comparison in each.comparisons for arm in comparison)
            table.add_row(each.name, each.claim, "\n".join(arms))
    else:
        selection = Selection(seeds=seeds, folds=folds)
        words = in_words(run_ablations(chosen, data, out_dir, weights, profile, device, selection))
        table = Table("variant", title="Ablations: a difference above 0 is what is lost")
        shown = ("OOF log loss", "difference", "95 % interval", "seconds")  # the rest is in the files
        for column in shown:
            table.add_column(column, justify="right", no_wrap=True)
        for (name, model), rows in words.groupby(["ablation", "model"], sort=False):
            table.add_row(f"[bold]{name}: {model}[/bold]")
            for _, row in rows.iterrows():
                table.add_row(row["variant"], *row[list(shown)])
            table.add_section()
    out.print(table)
    if not listing:
        out.print(f"wrote {out_dir / 'ablations.md'} and {out_dir / 'ablations.csv'}")
