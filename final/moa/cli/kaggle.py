"""``moa kaggle``: run training and the submissions on Kaggle."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from moa.cli.console import group, out, text_table
from moa.cli.expansion import expanded
from moa.cli.stopping import on_stop
from moa.environment import needs
from moa.kaggle.options import PackageOptions

app = group("Run training and both submissions on Kaggle, without internet, as its code competitions require.")


@app.command("package")
@expanded
def kaggle_package(
    folder: Annotated[Path, typer.Argument(help="Folder to write; the results of an earlier call are replaced.")],
    options: PackageOptions,
) -> None:
    """Write data sets to attach and one folder per notebook, with all metadata, and list the commands to push them."""
    from moa.files import writing

    with needs("kaggle"):
        from moa.kaggle.package import package

    on_stop(f"{folder} is incomplete; run the same command again")
    with out.status(f"writing {folder}"), writing(folder, kept="the folder is incomplete"):
        packed = package(folder, options)
    for command in packed.commands:
        typer.echo(command)
    out.print(f"Run these in order, or let `moa kaggle push {folder} --wait` do it, which knows what is there already.")
    if packed.untrained:
        out.print(
            f"[yellow]Without --pretrained these CNNs are not pushed, and the blends are made without them: "
            f"{', '.join(packed.untrained)}[/yellow]"
        )


@app.command("push")
def kaggle_push(
    folder: Annotated[Path, typer.Argument(help="Folder that `moa kaggle package` wrote.")],
    wait: Annotated[
        bool, typer.Option("--wait", help="Push each kernel when those it needs have ended, until all have.")
    ] = False,
    at_once: Annotated[int, typer.Option(min=1, help="Kernels with a GPU that Kaggle runs at a time.")] = 2,
    submit: Annotated[
        bool, typer.Option("--submit", help="Submit to the competition what the final notebooks have written.")
    ] = False,
) -> None:
    """Push data sets and kernels in order. What is on Kaggle already, with the same content, is not pushed again.

    What is pushed is what is needed: with weights attached no training kernel is. Without --wait it pushes the kernels
    that need no other, and ends; the same command later pushes the next ones. With --submit each version of a final
    notebook is submitted once, when it has ended.
    """
    with needs("kaggle"):
        from moa.data.kaggle_client import KaggleClient
        from moa.kaggle.push import HOURS, find, push, quota, submit_command

    on_stop(f"kernels that were pushed go on running on Kaggle; moa kaggle push {folder} --wait goes on waiting")
    on_gpu = sum(kernel.gpu for kernel in find(folder).kernels)
    client = KaggleClient()
    out.print(f"{on_gpu} kernels with a GPU, of at most {HOURS} hours each, {at_once} at a time. {quota(client)}")
    pushed = push(folder, wait, at_once, client, tell=lambda text: out.print(escape(text)), submit=submit)
    table = text_table("", "kernel", "state", "reason")
    for kernel in pushed.kernels:
        waits = f"for {', '.join(kernel.needs)}" if kernel.state in ("waits", "to push") and kernel.needs else ""
        table.add_row(escape(kernel.name), kernel.state, escape(kernel.why or waits))
    out.print(table)
    failed = [kernel for kernel in pushed.kernels if kernel.state == "failed"]
    if failed:
        out.print(f"[red]{len(failed)} failed; mend the reason, and run the same command again.[/red]")
        raise typer.Exit(1)
    if not pushed.finished:
        out.print("Not all have ended: run the same command again, or with --wait.")
    elif not submit:
        typer.echo("Submit them with --submit, or one by one:")
        for kernel in pushed.submissions:
            typer.echo(shlex.join(submit_command(kernel)))
