"""Executed copies of the notebooks as HTML pages, with their pictures: ``moa notebooks``."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbconvert import HTMLExporter
from papermill.exceptions import PapermillExecutionError

from moa.environment import FINAL, Folders
from moa.errors import UserError
from moa.files import replacing
from moa.progress import progress
from moa.weights.layout import WeightsFolder
from moa.words import shown, unknown

#: Scripts that nbconvert would load from the network; the pages need none of them.
_NO_SCRIPTS = {name: "" for name in ("mathjax_url", "require_js_url", "jquery_url", "mermaid_js_url")}
#: Arguments of a kernel. It would print a warning that its connections on this machine are not encrypted.
_QUIET = ["--IPKernelApp.log_level=ERROR"]
_INDEX = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Notebooks</title>
<style>body {{ font: 16px/1.5 sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem }}</style></head>
<body><h1>Notebooks, executed</h1><ul>
{}
</ul></body></html>
"""


def notebooks() -> dict[str, Path]:
    """The notebooks of the checkout by name, in the order in which to read them.

    Raises:
        UserError: there are none, as in an installed package.
    """
    training = [*(FINAL / "Best LB" / "Training").glob("*.ipynb"), *(FINAL / "Best CV" / "Training").glob("*.ipynb")]
    first = "simple-nn-old-cv"
    training.sort(key=lambda path: (path.stem != first, path.stem))
    blends = [FINAL / "Best LB" / "final-best-lb.ipynb", *sorted((FINAL / "Best CV").glob("*.ipynb"), reverse=True)]
    last = FINAL / "Your assay" / "your-assay.ipynb"
    found = {path.stem: path for path in (FINAL / "eda.ipynb", *training, *blends, last) if path.exists()}
    if not found:
        raise UserError(f"{FINAL}: holds no notebooks; run this from a checkout of the repository")
    return found


def write_pages(
    out: Path,
    where: Folders,
    names: Sequence[str] = (),
    device: str = "auto",
    train: bool = False,
    parameters: dict[str, Any] | None = None,
) -> tuple[list[Path], list[str]]:
    """Execute notebooks and write an HTML page of each, and ``index.html``.

    Args:
        out: folder for the pages, and for the executed notebooks beside them.
        where: profile, data and weights.
        names: of notebooks; none: all.
        device: "auto", "cpu" or "cuda".
        train: also execute the notebooks of models that are not trained yet, which trains them.
        parameters: further parameters of the notebooks that have them.

    Returns:
        the pages, and the models that were left out because they are not trained.

    Raises:
        UserError: a notebook is unknown, or a cell of one fails.
    """
    known = notebooks()
    strange = [name for name in names if name not in known]
    if strange:
        raise UserError(f"notebook {unknown(strange[0], known)}; choose of: {', '.join(known)}")
    ready = WeightsFolder(where.weights)
    chosen = {name: path for name, path in known.items() if not names or name in names}
    absent = [
        name for name, path in chosen.items() if path.parent.name == "Training" and not (train or ready.has(name))
    ]
    out.mkdir(parents=True, exist_ok=True)
    values = {
        "profile": where.profile,
        "data": str(where.data.resolve()),
        "weights": str(where.weights.resolve()),
        "out": str(out.resolve() / "results"),
        "device": device,
    } | (parameters or {})
    pages: list[Path] = []
    with progress("notebooks", len(chosen) - len(absent), even=False) as bar:
        for name, path in chosen.items():
            if name in absent:
                continue
            bar.update(len(pages), name)
            pages.append(_write_page(path, out / f"{name}.ipynb", values))
        bar.update(len(pages))
    with replacing(out / "index.html") as temporary:
        temporary.write_text(_INDEX.format("\n".join(_items(out, known))), encoding="utf-8")
    return pages, absent


def _write_page(path: Path, executed: Path, values: dict[str, Any]) -> Path:
    """Execute a notebook with those of the values that it has parameters for; returns its page."""
    known = papermill.inspect_notebook(str(path))
    taken = {name: value for name, value in values.items() if name in known}
    try:
        papermill.execute_notebook(
            str(path), str(executed), taken, cwd=str(path.parent), progress_bar=False, kernel_name="python3",
            extra_arguments=_QUIET,
        )  # fmt: skip
    except PapermillExecutionError as error:
        raise UserError(
            f"{path}: cell {error.exec_count} fails: {error.ename}: {shown(error.evalue, 200)}; see {executed}"
        ) from None
    page, _ = HTMLExporter(**_NO_SCRIPTS).from_notebook_node(nbformat.read(executed, 4))
    target = executed.with_suffix(".html")
    with replacing(target) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return target


def _items(out: Path, known: dict[str, Path]) -> Iterator[str]:
    """A link to each page that is there, with the title of its notebook."""
    for name, path in known.items():
        if (out / f"{name}.html").exists():
            title = str(nbformat.read(path, 4).cells[0].source).partition("\n")[0].lstrip("# ")
            yield f'<li><a href="{name}.html">{html.escape(title)}</a></li>'
