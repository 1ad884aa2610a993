"""``moa kaggle``: run all of it on Kaggle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from moa.cli.options import group, out

app = group("Run training and both submissions on Kaggle, without internet, as a code competition wants.")


@app.command("package")
def kaggle_package(
    folder: Annotated[Path, typer.Argument(help="Folder to write; what an earlier call wrote there is replaced.")],
    user: Annotated[str, typer.Option(help="Your Kaggle user name.")],
    weights: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Trained weights to attach; without, the submissions read the training kernels' outputs."),
    ] = None,
    pretrained: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Folder of ImageNet weights, which the CNNs' training kernels need."),
    ] = None,
    wheels: Annotated[bool, typer.Option(help="Download the wheels that Kaggle's image lacks.")] = True,
    python: Annotated[str, typer.Option(help="Python version of Kaggle's image, for the wheels.")] = "3.12",
    profile: Annotated[str, typer.Option(help="Settings of the training kernels: kaggle or demo.")] = "kaggle",
) -> None:
    """Write data sets to attach and a folder a notebook, with all metadata, and list the commands that push them."""
    from moa.kaggle.package import package

    with out.status(f"writing {folder}"):
        commands = package(folder, user, weights, pretrained, wheels, python, profile)
    for command in commands:
        typer.echo(command)
    out.print(
        "Run these in order (a data set that is on Kaggle already: `kaggle datasets version -m MESSAGE` with the same "
        "options). Outputs of training kernels, brought home by `kaggle kernels output`, become one weights folder by "
        "`moa weights merge`."
    )
    if not weights and not pretrained:
        out.print("[yellow]The CNNs' training kernels attach moa-pretrained: make it with --pretrained.[/yellow]")
