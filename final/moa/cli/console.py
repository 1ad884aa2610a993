"""Printing to the terminal, and running a command line."""

from __future__ import annotations

import sys
from io import TextIOWrapper

import typer
from rich.console import Console
from rich.table import Table

from moa.cli.stopping import Stopped, stoppable
from moa.errors import UserError
from moa.progress import is_secondary_process

out = Console(quiet=is_secondary_process())


def run(command: typer.Typer) -> None:
    """Run a command line; mistakes of the user are reported in one line, without a traceback."""
    for stream in (sys.stdout, sys.stderr):  # a terminal or log that is not UTF-8 gets "?" for what it cannot show
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        with stoppable():
            command()
    except UserError as error:
        _report(f"error: {error}")
        sys.exit(error.exit_code)
    except OSError as error:  # such as a folder that cannot be read or written, or a full disk
        if error.filename is None:
            raise
        _report(f"error: {error.filename}: {error.strerror}")
        sys.exit(UserError.exit_code)
    except Stopped as stopped:
        _report(str(stopped), "yellow")
        sys.exit(stopped.status)


def group(text: str) -> typer.Typer:
    """A group of commands that shows its help if no command is given."""
    return typer.Typer(help=text, no_args_is_help=True)


def text_table(title: str, *columns: str) -> Table:
    """A table of text, which breaks over lines and is never cut; without names it has two columns and no head."""
    table = Table(title=title, title_justify="left", show_header=bool(columns))
    for column in columns or ("", ""):
        table.add_column(column, overflow="fold")
    return table


def number_table(title: str, first: str, *numbers: str) -> Table:
    """A table whose first column holds names, printed whole, and whose other columns are numbers, aligned right."""
    table = Table(title=title, title_justify="left")
    table.add_column(first, no_wrap=True)
    for column in numbers:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def score_table(rows: list[dict[str, str]]) -> Table:
    """Rows of ``moa.jobs.train.score_row`` as a table of at most 80 columns that cuts no name.

    "OOF, same rows" is left out: it repeats the column of the rows that the published CV names.
    """
    rows = [{name: value for name, value in row.items() if name != "OOF, same rows"} for row in rows]
    table = Table(title="OOF log loss", title_justify="left")
    for name in rows[0]:
        cells = [name, *(row[name] for row in rows)]
        table.add_column(name, width=max(len(word) for cell in cells for word in cell.split()))
    for row in rows:
        table.add_row(*row.values())
    return table


def _report(message: str, style: str = "red") -> None:
    console = Console(stderr=True, quiet=is_secondary_process())
    console.print(message, style=style, markup=False, highlight=False, soft_wrap=True)
