"""``moa compare``: our training runs beside those of the winners."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from moa.cli.console import number_table, out
from moa.cli.expansion import expanded
from moa.cli.options import Models, OwnPlace

if TYPE_CHECKING:
    from moa.jobs.compare import Comparison

app = typer.Typer()


@app.command()
@expanded
def compare(
    models: Models,
    place: OwnPlace,
    seeds: Annotated[
        str | None,
        typer.Option(help="Compare only the first N seeds, or only those listed: 3,4 (one alone: 3,)."),
    ] = None,
    folds: Annotated[int | None, typer.Option(help="Compare only the first N folds.", min=1)] = None,
    fold: Annotated[int | None, typer.Option(help="Compare only this fold.", min=0)] = None,
    stage: Annotated[str | None, typer.Option(help="Compare only this stage.")] = None,
    units: Annotated[
        list[str] | None,
        typer.Option(
            "--unit", help="Only these units: STAGE:seed=3:fold=1, or fewer parts for more units; can be repeated."
        ),
    ] = None,
) -> None:
    """Compare trained models with what the winners' own runs logged; exit with status 1 if one differs too much.

    Needs the competition's data and any finished units, one fold for example. Nothing is trained or predicted. On the
    demo's data, whole models and blends are compared with the demo's figures in the README instead.

    **exact**: the log is of the run behind the published score, with our seeds and folds. Each unit (seed, fold) is
    compared with the mean of the winners' seeds in that fold, and the mean of all units with theirs. What differs by
    more than their own spread between seeds explains is called *beyond*. About 5 of 100 faithful runs are called so.

    **sister**: the log is of the same code with other seeds, or of a slightly earlier version. Means over folds and
    seeds are compared, without a verdict: the seeds differ, and in stages 2 and 3 of the 3-stage NN and in the new CV
    the folds too. (The winners' new-CV folds cannot be reproduced: ties between drugs stood in a hash order.)

    **one seed**: only one seed was logged (CNNs, 2-heads ResNets). Differences are shown, without a verdict.
    """
    from moa.blending.catalogue import expand_models
    from moa.jobs.compare import compare_model
    from moa.jobs.demo import is_demo
    from moa.weights.layout import WeightsFolder
    from moa.weights.selection import Selection, parse_seeds

    where, selection = (
        place.find(),
        Selection.of(None if seeds is None else parse_seeds(seeds), folds, fold, stage, units),
    )
    beyond, names = False, expand_models(models)
    if is_demo(where.data):
        beyond, names = _demo(names, where.data, where.weights), []
    for name in names:
        if len(names) > 1 and not WeightsFolder(where.weights).has(name):
            out.print(f"{name}: not trained in {where.weights}")
            continue
        found = compare_model(name, where.data, where.weights, selection)
        if not found:
            out.print(f"{name}: the winners' runs of this model left no log, so there is nothing to compare with")
        for each in found:
            _print(name, each)
            beyond |= each.beyond
    if beyond:
        raise typer.Exit(1)


def _demo(names: list[str], data: Path, weights: Path) -> bool:
    """Print the comparison with the README's demo; whether a figure is beyond its tolerance."""
    from moa.jobs.demo import compare_demo

    found, absent = compare_demo(names, data, weights)
    table = number_table("The demo's OOF log losses", "model", "ours", "README", "difference", "allowed")
    for each in found:
        cells = (f"{each.ours:.5f}", f"{each.theirs:.5f}", f"{each.difference:+.5f}", f"±{each.tolerance:.5f}")
        table.add_row(each.name, *cells, style="bold red" if each.beyond else None)
    if found:
        out.print(table)
    if absent:
        out.print(f"[yellow]not trained as a whole, so left out: {', '.join(absent)}[/yellow]")
    beyond = [each.name for each in found if each.beyond]
    if beyond:
        out.print(f"[bold red]differs by more than machines do: {', '.join(beyond)}[/bold red]")
    elif found:
        out.print("[green]all within what machines differ by[/green]")
    return bool(beyond)


def _print(name: str, made: Comparison) -> None:
    log = made.log
    out.print(f"[bold]{name}, {log.stage}: {log.run} run[/bold]")
    out.print(_loss(made), highlight=False)
    if len(made.units) and log.run != "sister":
        out.print(_units(made))
    ours, theirs = made.counts
    line = f"mean: ours {made.ours:.6f} ({ours} units), theirs {made.theirs:.6f} ({theirs} units), "
    line += f"difference {made.difference:+.6f}"
    if made.judged:
        line += f", unremarkable up to ±{made.mean_margin:.6f}"
    out.print(line, highlight=False)
    for note in made.notes:
        out.print(f"[yellow]note: {note}[/yellow]", highlight=False)
    out.print(_verdict(made), highlight=False)


def _loss(made: Comparison) -> str:
    from moa.models.winners import KINDS

    text = KINDS[made.log.kind].text
    return f"{text}; differences from their mean in the fold" if made.log.run == "exact" else text


def _units(made: Comparison) -> Table:
    several = made.log.run == "exact"
    columns = ["fold", "ours", "theirs", *(["their mean"] if several else []), "difference"]
    columns += ["unremarkable"] if made.judged else []
    table = number_table("", "seed", *columns)
    for row, beyond in zip(made.units.itertuples(), made.units_beyond, strict=True):
        losses = [row.ours, row.theirs, *([row.fold_mean] if several else [])]
        cells = [f"{row.fold}", *("–" if isnan(loss) else f"{loss:.6f}" for loss in losses), f"{row.difference:+.6f}"]
        cells += [f"±{made.unit_margin:.6f}"] if made.judged else []
        table.add_row(f"{row.seed}", *cells, style="bold red" if beyond else None)
    return table


def _verdict(made: Comparison) -> str:
    if not made.judged:
        return "no verdict\n"
    if not made.beyond:
        return "[green]within the spread of the winners' seeds[/green]\n"
    parts = [f"{made.units_beyond.sum()} of {len(made.units)} units"] if made.units_beyond.any() else []
    parts += ["the mean"] if made.mean_beyond and len(made.units) > 1 else []
    return f"[bold red]beyond the spread of the winners' seeds: {' and '.join(parts)}[/bold red]\n"
