"""What the commands share: their options, default folders and the console."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.table import Table

from moa.progress import second_voice

out = Console(quiet=second_voice())

DataDir = Annotated[Path, typer.Option("--data", help="Folder of the competition files.", show_default=True)]
Weights = Annotated[Path, typer.Option("--weights", help="Folder of trained weights.", show_default=True)]
Out = Annotated[Path, typer.Option("--out", help="Folder for predictions and submissions.", show_default=True)]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.", show_default=True)]
Profile = Annotated[str, typer.Option(help="kaggle: published settings; demo: minutes on two CPU cores.")]
Seeds = Annotated[Optional[int], typer.Option(help="Train the first so many seeds.", min=1)]  # noqa: UP045
Folds = Annotated[Optional[int], typer.Option(help="Train the first so many folds.", min=1)]  # noqa: UP045
MODELS_HELP = "Models by name, a blend by name (best-lb, best-cv), or 'all'."
Models = Annotated[list[str], typer.Argument(help=MODELS_HELP)]

DATA, WEIGHTS, OUT = Path("data"), Path("output/weights"), Path("output/predictions")


def group(text: str) -> typer.Typer:
    """A group of commands that shows its help when called bare."""
    return typer.Typer(help=text, no_args_is_help=True)


def score_table(scores: list[dict[str, str]]) -> Table:
    """Rows of ``moa.jobs.train.score_row`` as a table."""
    table = Table(title="OOF log loss")
    for column in scores[0]:
        table.add_column(column)
    for row in scores:
        table.add_row(*row.values())
    return table
