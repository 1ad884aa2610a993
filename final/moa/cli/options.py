"""Options and default folders that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from moa.errors import UserError

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
Groups = Annotated[
    str | None,
    typer.Option(
        help="Train on these feature groups alone, such as genes, for plates that lack the others.  [default: all]"
    ),
]
HoldOut = Annotated[
    str | None,
    typer.Option(
        help="What folds hold out: compound; columns, such as compound,week; or rows, each model's own folds.  "
        "[default: rows for the competition, else compound]"
    ),
]
Parts = Annotated[
    str | None,
    typer.Option(
        help="With --hold-out: the number of parts that compounds are spread over, or each.  [default: as the model]"
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


def number_or_each(parts: str | None) -> int | Literal["each"] | None:
    """The value of ``--parts``.

    Raises:
        UserError: it is neither a number of at least 2 nor "each".
    """
    if parts in (None, "each"):
        return parts
    if not parts.isdecimal() or int(parts) < 2:
        raise UserError(f"--parts {parts}: expected a number of at least 2, or each")
    return int(parts)
