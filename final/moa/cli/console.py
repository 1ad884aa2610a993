"""Printing to the terminal, and running a command line."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from io import TextIOWrapper
from typing import TYPE_CHECKING, NoReturn

import typer
from rich import box
from rich.table import Table

from moa.cli.stopping import Stopped, stoppable
from moa.errors import UserError
from moa.progress import PlainConsole, is_secondary_process

if TYPE_CHECKING:
    from moa.jobs.model_scores import ModelScores

out = PlainConsole(quiet=is_secondary_process())


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
        from moa.files import write_problem  # it imports numpy, which help does without

        if error.filename is None and write_problem(error) is None:
            raise
        _report(f"error: {error.filename or 'cannot write'}: {error.strerror or error}")
        sys.exit(UserError.exit_code)
    except MemoryError as error:
        reason = error or "the system gave none"
        _report(f"error: not enough memory ({reason}); give less at once, or use a machine with more")
        sys.exit(UserError.exit_code)
    except Stopped as stopped:
        _report(str(stopped), "yellow")
        _leave(stopped.status)


def _leave(status: int) -> NoReturn:
    """End a process that was stopped, without the destructors of native libraries.

    Threads of torch may be in the middle of their work. Where they are, its destructors abort the process now and then,
    with a message of C++ and another status.
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # it is closed already
            stream.flush()
    os._exit(status)


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


def plain_table(title: str, columns: Sequence[tuple[str, bool]]) -> Table:
    """A table without vertical lines; columns are (heading, whether it holds numbers)."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for heading, number in columns:
        if number:
            table.add_column(heading, justify="right", no_wrap=True)
        else:
            table.add_column(heading, overflow="fold")
    return table


#: Columns that the first of two tables of scores shows. "OOF, same rows" is left out: it repeats the column of the rows
#: that the published CV names; "OOF, as published" is a row of its own.
_LOSSES = ("model", "treated rows", "all rows", "prevalence", "rows covered", "published CV")
_BESIDE = ("OOF, same rows", "OOF, as published")
#: Columns of a terminal, and of the longest name that is printed on one line.
_SCREEN, _NAME = 80, 44


def score_tables(scores: Sequence[ModelScores]) -> list[Table]:
    """Scores as tables of at most 80 columns with each name on one line: log loss, then other measures.

    Columns that do not fit go into a further table. The rows covered are left out where they are all.
    """
    rows = [each.words() for each in scores]
    others = [name for name in rows[0] if name not in (*_LOSSES, *_BESIDE)]
    partly = any(each.covered < 1 for each in scores)
    losses = [name for name in _LOSSES if name in rows[0] and (partly or name != "rows covered")]
    first: list[dict[str, str]] = []
    for each, row in zip(scores, rows, strict=True):
        first.append(row)
        if label := each.as_published_label:
            place = f"{each.model.cv_rows} rows"
            first.append(dict.fromkeys(losses, "") | {"model": f"↳ {label}", place: row["OOF, as published"]})
    tables = {"OOF log loss": (losses, first), "OOF, treated rows; AP: average precision": (["model", *others], rows)}
    return [
        table for title, (names, lines) in tables.items() if len(names) > 1 for table in _narrow(title, names, lines)
    ]


def _narrow(title: str, names: Sequence[str], rows: list[dict[str, str]]) -> list[Table]:
    """Tables of at most 80 columns. The first column holds names; the others are as wide as their longest word."""
    first, *others = names
    widths = {first: min(max(len(row[first]) for row in rows), _NAME)}
    widths |= {name: max(len(word) for row in [{name: name}, *rows] for word in row[name].split()) for name in others}
    parts: list[list[str]] = [[first]]
    for name in others:
        if sum(widths[each] + 3 for each in (*parts[-1], name)) + 1 > _SCREEN and len(parts[-1]) > 1:
            parts.append([first])
        parts[-1].append(name)
    tables = []
    for part in parts:
        table = Table(title=title, title_justify="left")
        for name in part:
            table.add_column(name, width=widths[name], overflow="fold")
        for row in rows:
            if any(row[name] for name in part[1:]):
                table.add_row(*(row[name] for name in part))
        tables.append(table)
    return tables


def _report(message: str, style: str = "red") -> None:
    console = PlainConsole(stderr=True, quiet=is_secondary_process())
    console.print(message, style=style, markup=False, highlight=False, soft_wrap=True)
