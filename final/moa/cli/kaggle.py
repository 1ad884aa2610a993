"""``moa kaggle``: run training and the submissions on Kaggle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from moa.cli.console import group, out
from moa.cli.stopping import on_stop
from moa.environment import needs

app = group("Run training and both submissions on Kaggle, without internet, as its code competitions require.")


@app.command("package")
def kaggle_package(
    folder: Annotated[Path, typer.Argument(help="Folder to write; the results of an earlier call are replaced.")],
    user: Annotated[str, typer.Option(help="Your Kaggle user name.")],
    weights: Annotated[
        Path | None,
        typer.Option(help="Trained weights to attach; default: read the outputs of the training kernels."),
    ] = None,
    pretrained: Annotated[
        Path | None,
        typer.Option(help="Folder of ImageNet weights, which the training kernels of the CNNs need."),
    ] = None,
    wheels: Annotated[bool, typer.Option(help="Download the wheels that Kaggle's image lacks.")] = True,
    python: Annotated[str, typer.Option(help="Python version of Kaggle's image, for the wheels.")] = "3.12",
    profile: Annotated[str, typer.Option(help="Settings of the training kernels: kaggle or demo.")] = "kaggle",
) -> None:
    """Write data sets to attach and one folder per notebook, with all metadata, and list the commands to push them."""
    from moa.files import writing

    with needs("kaggle"):
        from moa.kaggle.package import package

    on_stop(f"{folder} is incomplete; run the same command again")
    with out.status(f"writing {folder}"), writing(folder, kept="the folder is incomplete"):
        commands = package(folder, user, weights, pretrained, wheels, python, profile)
    for command in commands:
        typer.echo(command)
    out.print(
        "Run these in order. For a data set that is already on Kaggle, run `kaggle datasets version -m MESSAGE` with "
        "the same options instead. Download the outputs of training kernels with `kaggle kernels output`, and merge "
        "them into one weights folder with `moa weights merge`."
    )
    if not weights and not pretrained:
        out.print("[yellow]The training kernels of the CNNs attach moa-pretrained: make it with --pretrained.[/yellow]")
