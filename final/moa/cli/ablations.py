"""``moa ablate``: measure the contribution of each part of the solution."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from moa.cli.console import out, text_table
from moa.cli.expansion import expanded
from moa.cli.options import DataDir, Profile, completing, folders
from moa.cli.stopping import on_stop
from moa.jobs.options import UnitOptions

app = typer.Typer()


def _names() -> Iterator[str]:
    from moa.jobs.writeup_claims import ABLATIONS

    return iter(ABLATIONS)


@app.command()
@expanded
def ablate(
    options: UnitOptions,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Names of ablations (see --list); default: all.",
            show_default=False,
            autocompletion=completing(_names),
        ),
    ] = None,
    data: DataDir = None,
    out_dir: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder for the table and for the weights of changed models.  [default: ablations in output/PROFILE]",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="Weights folder with the unchanged models; without it they are trained here too."),
    ] = None,
    profile: Profile = None,
    listing: Annotated[bool, typer.Option("--list", help="List the ablations and train nothing.")] = False,
) -> None:
    """Train without parts of the solution, and show in one table how the score changes.

    A run that was stopped continues when the same command is run again.
    """
    from moa.jobs.writeup_claims import ABLATIONS, ablation

    chosen = [ablation(name) for name in dict.fromkeys(names or ABLATIONS)]
    if listing:
        out.print(_list_table(chosen))
        return
    from moa.jobs.ablation import in_words, run_ablations

    where = folders(profile, data)
    out_dir = out_dir or where.output / "ablations"
    on_stop(f"finished units are kept in {weights or out_dir / 'weights'}; run the same command again to continue")
    words = in_words(run_ablations(chosen, where, out_dir, weights, options))
    table = text_table("Ablations: a difference above 0 is a loss", "variant")
    shown = ("OOF log loss", "difference", "95 % interval", "unit time, s")  # the files hold the rest
    for column in shown:
        table.add_column(column.replace("unit time", "unit\ntime"), justify="right", no_wrap=True)
    for (name, model), rows in words.groupby(["ablation", "model"], sort=False):
        table.add_row(f"[bold]{name}: {model}[/bold]")
        for _, row in rows.iterrows():
            table.add_row(row["variant"], *row[list(shown)])
        table.add_section()
    out.print(table)
    out.print("Unit time: of each trained unit, added up; units trained side by side take less by the clock.")
    out.print(f"wrote {out_dir / 'ablations.md'} and {out_dir / 'ablations.csv'}")


def _list_table(chosen: list) -> Table:
    table = text_table("Ablations", "name", "claim", "arms")
    table.columns[0].no_wrap = True
    for each in chosen:
        arms = (f"{arm.label}: {arm.name}" for comparison in each.comparisons for arm in comparison)
        table.add_row(each.name, each.claim, "\n".join(arms))
        table.add_section()
    return table
