"""Options and default folders that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[Path, typer.Option("--data", help="Folder of the competition's files.", show_default=True)]
Weights = Annotated[Path, typer.Option("--weights", help="Folder of trained weights.", show_default=True)]
Out = Annotated[Path, typer.Option("--out", help="Folder for predictions and submissions.", show_default=True)]
Predictions = Annotated[Path, typer.Option("--predictions", help="Folder written by `moa predict`.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.", show_default=True)]
Profile = Annotated[str, typer.Option(help="kaggle: published settings; demo: minutes on two CPU cores.")]
_SEEDS = "only the first N seeds, or only those listed: 3,4 (one alone: 3,)."
Seeds = Annotated[str | None, typer.Option(help=f"Train {_SEEDS}")]
SeedsCompared = Annotated[str | None, typer.Option("--seeds", help=f"Compare {_SEEDS}")]
Folds = Annotated[int | None, typer.Option(help="Train only the first N folds.", min=1)]
Units = Annotated[
    list[str] | None,
    typer.Option(
        "--unit", help="Only these units: STAGE:seed=3:fold=1, or fewer parts for more units; can be repeated."
    ),
]
MODELS_HELP = "Names of models or blends (best-lb, best-cv), or 'all'."
Models = Annotated[list[str], typer.Argument(help=MODELS_HELP)]

On = Annotated[
    str | None,
    typer.Option(
        help="Where to run: local or local:8 (worker processes of this machine), the address of a Dask scheduler "
        "(tcp://HOST:8786), or a YAML file that describes a cluster.  [default: this process and its threads]"
    ),
]

DATA, WEIGHTS, OUT = Path("data"), Path("output/weights"), Path("output/predictions")
