"""The command line ``moa``. A command parses its options, calls a function of the package and prints the result.

Here are its entry points. They import the commands when they are run, so that Ctrl-C ends the imports in one line too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for editors and type checkers
    from moa.cli.commands import app

__all__ = ["app", "inference_app", "main"]


def main() -> None:
    """Entry point of ``moa``."""
    with _one_line():
        from moa.cli.commands import app
        from moa.cli.console import run

        run(app)


def inference_app(name: str) -> None:
    """Entry point of the inference script of a model, see ``moa.cli.inference``."""
    with _one_line():
        from moa.cli.inference import run_script

        run_script(name)


@contextmanager
def _one_line() -> Iterator[None]:
    """End by Ctrl-C in one line until ``moa.cli.stopping`` does it: nothing was done yet."""
    try:
        yield
    except KeyboardInterrupt:
        print("stopped by Ctrl-C before anything was done; run the same command again", file=sys.stderr, flush=True)
        os._exit(130)  # native libraries may be half loaded


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from moa.cli.commands import app

    return app
