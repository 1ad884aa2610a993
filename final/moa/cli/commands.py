"""All commands of ``moa``. Each module holds an ``app``: a named group, or single commands that join the top level."""

from __future__ import annotations

from typing import Annotated

import typer

from moa.cli import ablations, blends, compare, data, kaggle, models, notebooks, plan, report, score, weights
from moa.version import __version__

app = typer.Typer(
    help="Mechanisms of Action prediction: the winning Kaggle solution, from data to submission.csv.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.add_typer(data.app, name="data")
app.add_typer(models.app)
app.add_typer(blends.app, name="blend")
app.add_typer(compare.app)
app.add_typer(score.app)
app.add_typer(report.app)
app.add_typer(weights.app, name="weights")
app.add_typer(kaggle.app, name="kaggle")
app.add_typer(ablations.app)
app.add_typer(plan.app)
app.add_typer(notebooks.app)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"moa {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Options of ``moa`` itself."""
