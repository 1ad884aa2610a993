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
from moa.jobs.options import DeviceOptions

app = typer.Typer()


def _names() -> Iterator[str]:
    from moa.environment import FINAL

    return (path.stem for path in sorted(FINAL.rglob("*.ipynb")))


@app.command()
@expanded
def notebooks(
    out_dir: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the pages.", show_default=False)],
    place: Place,
    options: DeviceOptions,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Only this notebook, such as eda; can be repeated.", autocompletion=completing(_names)),
    ] = None,
    train: Annotated[
        bool, typer.Option("--train", help="Also those of models that are not trained yet, which trains them.")
    ] = False,
) -> None:
    """Execute the notebooks on what is trained here, and write each as an HTML page with its pictures."""
    from moa.environment import needs

    where = place.find()
    on_stop("pages that are written are kept; run the same command again")
    with needs("notebooks"):
        from moa.notebook.pages import write_pages
    pages, absent = write_pages(out_dir, where, only or (), options.device, train)
    if absent:
        out.print(f"not trained, and so left out: {', '.join(absent)} (`--train` trains them)")
    out.print(f"wrote {len(pages)} pages and {out_dir / 'index.html'}")
