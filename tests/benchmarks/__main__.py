"""Compare the speed of each part with a notebook of 2020: ``python -m tests.benchmarks`` from the repository's root."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from moa.cli.console import run
from moa.cli.expansion import expanded
from moa.cli.stopping import on_stop
from moa.jobs.options import DeviceOptions

app = typer.Typer()


@app.command()
@expanded
def bench(
    options: DeviceOptions,
    part: Annotated[
        list[str] | None,
        typer.Option(help="What to measure, see below; can be repeated. Default: goals and growth."),
    ] = None,
    size: Annotated[str, typer.Option(help="full: the competition's size; quick: tiny, only to see it run.")] = "full",
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for the tables and the figure.")] = Path("benchmarks"),
) -> None:
    """Time each part against a notebook of 2020: seconds, ratio, peak memory; writes csv tables and a figure.

    **goals**, a quarter of an hour or more on two cores: *prediction* (preparing a test set, and the whole process from
    test_features.csv to submission.csv), *stage* (the epochs of 5 × 5 members), *loops* (epochs of each kind of network
    on one core, by processor time), *roofline* (compared with the matrix products alone), *agreement* (both ways give
    the same numbers).

    **growth**, twenty minutes or more: *epoch* (by rows and width), *ensemble* (by members), *rank* and *inference* (by
    rows), *tabnet* (compared with its library as it is).

    **gpu**: *stage* (5 × 10 members at once on a GPU), *roofline*, *three-stage* (the whole published training of the
    3-stage NN, which takes hours on a CPU).

    Measure on a machine that does nothing else.
    """
    from moa.errors import UserError
    from tests.benchmarks.command import main

    if size not in ("full", "quick"):
        raise UserError(f"--size {size}: choose full or quick")
    on_stop("nothing was written; run the same command again")
    main(out_dir, size == "quick", part or (), options.device)


if __name__ == "__main__":
    run(app)
