"""Options that several commands share, their default folders, and the names that a shell completes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import typer

from moa.environment import Folders
from moa.errors import UserError
from moa.progress import console


def complete_models(incomplete: str) -> Iterator[str]:
    """Models, blends and "all", for a shell to complete."""
    from moa.blending.catalogue import BLENDS
    from moa.models.registry import recipes

    return (name for name in (*recipes(), *BLENDS, "all") if name.startswith(incomplete))


def complete_blends(incomplete: str) -> Iterator[str]:
    """Blends, for a shell to complete."""
    from moa.blending.catalogue import BLENDS

    return (name for name in BLENDS if name.startswith(incomplete))


def complete_profiles(incomplete: str) -> Iterator[str]:
    """Profiles, for a shell to complete."""
    from moa.environment import PROFILES

    return (name for name in PROFILES if name.startswith(incomplete))


DataDir = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of the data set.  [default: data; without data there, output/demo/data]"),
]
Weights = Annotated[
    Path | None, typer.Option("--weights", help="Folder of trained weights.  [default: weights in output/PROFILE]")
]
Out = Annotated[
    Path | None,
    typer.Option("--out", help="Folder for predictions and submissions.  [default: predictions in output/PROFILE]"),
]
Predictions = Annotated[
    Path | None,
    typer.Option("--predictions", help="Folder written by `moa predict`.  [default: predictions in output/PROFILE]"),
]
Profile = Annotated[
    str | None,
    typer.Option(
        help="kaggle: published settings; demo: minutes on two CPU cores.  [default: kaggle; without data in "
        "data, demo]",
        autocompletion=complete_profiles,
    ),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.", show_default=True)]
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
        help="With --hold-out: the number of parts that compounds are spread over, anew for each seed; or each.  "
        "[default: as the model]"
    ),
]
MODELS = typer.Argument(help="Names of models or blends (best-lb, best-cv), or 'all'.", autocompletion=complete_models)
Models = Annotated[list[str], MODELS]


def _own_models(ctx: typer.Context, files: list[Path] | None) -> list[Path]:
    """Read the files of one's own models as soon as they are named, so that every command knows their names."""
    if files and not ctx.resilient_parsing:
        from moa.models.own import load_recipes

        for file in files:
            load_recipes(file)
    return files or []


OwnModels = Annotated[
    list[Path] | None,
    typer.Option(
        "--recipe",
        help="Python file of models of your own, see `moa models new`; can be repeated. Or set MOA_RECIPE.",
        metavar="FILE",
        envvar="MOA_RECIPE",
        show_envvar=False,
        callback=_own_models,
        show_default=False,
    ),
]
Blends = Annotated[
    list[str], typer.Argument(help="best-lb, best-cv, or the path of a YAML file.", autocompletion=complete_blends)
]
On = Annotated[
    str | None,
    typer.Option(
        help="Where to run: local or local:8 (worker processes of this machine), the address of a Dask scheduler "
        "(tcp://HOST:8786), or a YAML file that describes a cluster.  [default: this process and its threads]"
    ),
]


def folders(profile: str | None = None, data: Path | None = None, reads_data: bool = True) -> Folders:
    """The default folders of a command; says so where its data are the demo's because there are no others."""
    found = Folders.find(profile, data)
    if reads_data and (profile, data, found.profile) == (None, None, "demo"):
        console.print("no data in data/: this is the demo, with synthetic data", style="yellow", highlight=False)
    return found


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
