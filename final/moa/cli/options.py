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
Seeds = Annotated[int | None, typer.Option(help="Train only the first N seeds.", min=1)]
Folds = Annotated[int | None, typer.Option(help="Train only the first N folds.", min=1)]
MODELS_HELP = "Names of models or blends (best-lb, best-cv), or 'all'."
Models = Annotated[list[str], typer.Argument(help=MODELS_HELP)]

DATA, WEIGHTS, OUT = Path("data"), Path("output/weights"), Path("output/predictions")
