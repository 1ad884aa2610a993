"""``moa notebooks``: executed copies of the notebooks as pages to read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from moa.cli.console import out
from moa.cli.options import DataDir, Device, Profile, Weights, folders
from moa.cli.stopping import on_stop

app = typer.Typer()


def _names(incomplete: str) -> Iterator[str]:
    from moa.environment import FINAL

    return (path.stem for path in sorted(FINAL.rglob("*.ipynb")) if path.stem.startswith(incomplete))


@app.command()
def notebooks(
    out_dir: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the pages.", show_default=False)],
    only: Annotated[
        list[str] | None,
        typer.Option(help="Only this notebook, such as eda; can be repeated.", autocompletion=_names),
    ] = None,
    data: DataDir = None,
    weights: Weights = None,
    device: Device = "auto",
    profile: Profile = None,
    train: Annotated[
        bool, typer.Option("--train", help="Also those of models that are not trained yet, which trains them.")
    ] = False,
) -> None:
    """Execute the notebooks on what is trained here, and write each as an HTML page with its pictures."""
    from moa.environment import needs

    where = folders(profile, data)
    on_stop("pages that are written are kept; run the same command again")
    with needs("notebooks"):
        from moa.notebook.pages import write_pages
    pages, absent = write_pages(out_dir, where, only or (), weights, device, train)
    if absent:
        out.print(f"not trained, and so left out: {', '.join(absent)} (`--train` trains them)")
    out.print(f"wrote {len(pages)} pages and {out_dir / 'index.html'}")
