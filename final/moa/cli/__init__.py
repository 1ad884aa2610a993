"""The command line: ``moa data | train | predict | blend | report | bench``. A command is a few calls into the package.

Each module here holds an ``app``: a named group of commands, or single ones that join the top level.
"""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from moa.cli import ablations, bench, blends, data, kaggle, models, report, weights
from moa.cli.models import inference_app
from moa.errors import UserError

__all__ = ["app", "inference_app", "main", "run"]

app = typer.Typer(
    help="Mechanisms of Action prediction: the winning Kaggle solution, from data to submission.csv.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.add_typer(data.app, name="data")
app.add_typer(models.app)
app.add_typer(blends.app, name="blend")
app.add_typer(report.app)
app.add_typer(weights.app, name="weights")
app.add_typer(kaggle.app, name="kaggle")
app.add_typer(bench.app)
app.add_typer(ablations.app)


def run(command: typer.Typer) -> None:
    """Run a command line: mistakes of the user are told in a line, without a traceback."""

    def tell(message: str) -> None:
        Console(stderr=True).print(f"error: {message}", style="red", markup=False, highlight=False, soft_wrap=True)

    try:
        command()
    except UserError as error:
        tell(str(error))
        sys.exit(error.exit_code)
    except OSError as error:  # a folder that cannot be read or written, a full disk
        if error.filename is None:
            raise
        tell(f"{error.filename}: {error.strerror}")
        sys.exit(UserError.exit_code)
    except KeyboardInterrupt:
        Console(stderr=True).print("stopped; finished units are kept, run the same command to go on")
        sys.exit(130)


def main() -> None:
    """Entry point of ``moa``."""
    run(app)
