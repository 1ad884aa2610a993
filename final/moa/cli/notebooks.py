"""``moa notebooks``: executed copies of the notebooks as pages to read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from moa.cli.console import out
from moa.cli.expansion import expanded
from moa.cli.options import Place, completing
from moa.cli.stopping import on_stop
from moa.errors import UserError
from moa.jobs.options import DeviceOptions
from moa.words import counted

app = typer.Typer()


def _names() -> Iterator[str]:
    from moa.environment import FINAL

    return (path.stem for path in sorted(FINAL.rglob("*.ipynb")))


@app.command()
@expanded
def notebooks(
    place: Place,
    options: DeviceOptions,
    out_dir: Annotated[
        Path | None, typer.Argument(metavar="OUT", help="Folder for the pages.", show_default=False)
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Only this notebook, such as eda; can be repeated.", autocompletion=completing(_names)),
    ] = None,
    train: Annotated[
        bool, typer.Option("--train", help="Also those of models that are not trained yet, which trains them.")
    ] = False,
    write: Annotated[
        bool,
        typer.Option(
            "--write",
            help="Write no pages: execute those of the repository whose cells have changed, and keep outputs in them.",
        ),
    ] = False,
) -> None:
    """Execute the notebooks on what is trained here, and write each as an HTML page with its pictures."""
    from moa.environment import needs

    where = place.find()
    if (out_dir is None) != write:
        raise UserError("give a folder OUT for the pages, or --write for outputs in the notebooks themselves")
    on_stop("pages that are written are kept; run the same command again")
    with needs("notebooks"):
        from moa.notebook.pages import write_outputs, write_pages
    if out_dir is None:
        for path in write_outputs(where, only or (), options.device):
            out.print(f"wrote {path}")
        return
    pages, absent = write_pages(out_dir, where, only or (), options.device, train)
    if absent:
        out.print(f"not trained, and so left out: {', '.join(absent)} (`--train` trains them)")
    out.print(f"wrote {counted(len(pages), 'page')} and {out_dir / 'index.html'}")
