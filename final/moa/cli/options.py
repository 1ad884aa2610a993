"""Options that several commands share, their default folders, and the names that a shell completes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from moa.environment import PROFILES, Folders
from moa.progress import console


def _models() -> Iterator[str]:
    from moa.blending.catalogue import BLENDS
    from moa.models.registry import known_recipes

    return iter((*known_recipes(), *BLENDS, "all"))


def _blends() -> Iterator[str]:
    from moa.blending.catalogue import BLENDS

    return iter(BLENDS)


def completing(names: Callable[[], Iterator[str]]) -> Callable[[str], Iterator[str]]:
    """What a shell asks for the names that begin with what is typed."""

    def complete(incomplete: str) -> Iterator[str]:
        return (name for name in names() if name.startswith(incomplete))

    return complete


complete_models = completing(_models)
complete_blends = completing(_blends)
complete_profiles = completing(lambda: iter(PROFILES))

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
MODELS = typer.Argument(help="Names of models or blends (best-lb, best-cv), or 'all'.", autocompletion=complete_models)
Models = Annotated[list[str], MODELS]
Blends = Annotated[
    list[str], typer.Argument(help="best-lb, best-cv, or the path of a YAML file.", autocompletion=complete_blends)
]


def _own_models(ctx: typer.Context, files: list[Path] | None) -> list[Path]:
    """Read the files of one's own models as soon as they are named, so that every command knows their names."""
    if files and not ctx.resilient_parsing:
        from moa.models.own import load_recipes

        for file in files:
            load_recipes(file)
    return files or []


@dataclass(frozen=True)
class Own:
    """Models of one's own: the option works by its callback."""

    recipe: Annotated[
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
    ] = None


@dataclass(frozen=True)
class Place:
    """Where a command reads data and weights."""

    data: DataDir = None
    weights: Weights = None
    profile: Profile = None

    def find(self, reads_data: bool = True, output: Path | None = None) -> Folders:
        """The folders, see ``folders``."""
        predictions = getattr(self, "predictions", None)
        return folders(
            self.profile, self.data, reads_data, weights=self.weights, predictions=predictions, output=output
        )


@dataclass(frozen=True)
class OwnPlace(Own, Place):
    """Where a command reads data and weights, and models of one's own."""


@dataclass(frozen=True)
class PredictedPlace(OwnPlace):
    """The same, and where the predictions of single models are."""

    predictions: Predictions = None


def folders(
    profile: str | None = None,
    data: Path | None = None,
    reads_data: bool = True,
    *,
    weights: Path | None = None,
    predictions: Path | None = None,
    output: Path | None = None,
) -> Folders:
    """The folders of a command; says so where its data are the demo's because there are no others.

    Raises:
        UserError: the command reads data, and the folder that was given is not there.
    """
    if reads_data and data is not None:
        from moa.data.folders import check_data_folder

        check_data_folder(data)
    found = Folders.find(profile, data, weights=weights, predictions=predictions, output=output)
    if reads_data and (profile, data, found.profile) == (None, None, "demo"):
        console.print("no data in data/: this is the demo, with synthetic data", style="yellow", highlight=False)
    return found
