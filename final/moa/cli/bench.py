"""``moa bench``: how fast each part is against the old way."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from moa.cli.options import Device

app = typer.Typer()


@app.command()
def bench(
    part: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="What to measure, by the names below; also several times. Default: goals and growth."),
    ] = None,
    size: Annotated[str, typer.Option(help="full: the competition's; quick: tiny, to see that it runs.")] = "full",
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for the tables and the figure.")] = Path("benchmarks"),
    device: Device = "auto",
) -> None:
    """Time each part against a notebook of 2020: seconds, ratio, peak memory; tables as csv and a figure.

    **goals**, about ten minutes on two cores: *prediction* (a test set made ready, and the whole process from
    test_features.csv to submission.csv), *stage* (the epochs of 5 × 5 members), *roofline* (against the bare matrix
    products), *agreement* (both ways give the same numbers).

    **growth**, about eighteen minutes: *epoch* (by rows and width), *ensemble* (by members), *rank* and *inference* (by
    rows), *tabnet* (beside its library as it is).

    **gpu**: *stage* (5 × 10 members at once on a GPU), *roofline*, *three-stage* (the 3-stage NN's whole published
    training, which takes hours on a CPU).

    Measure on a machine that does nothing else.
    """
    from moa.bench.command import main
    from moa.errors import UserError

    if size not in ("full", "quick"):
        raise UserError(f"--size {size}: choose full or quick")
    main(out_dir, size == "quick", part or (), device)
