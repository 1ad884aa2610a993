"""Executed notebooks: as HTML pages, or with their outputs in the repository: ``moa notebooks``."""

from __future__ import annotations

import base64
import html
import json
import re
import tempfile
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
from moa.notebook.outputs import KEY, digest, keep_outputs
from moa.progress import progress
from moa.weights.layout import WeightsFolder
from moa.words import shown, unknown

#: Scripts that nbconvert would load from the network; the pages need none of them.
_NO_SCRIPTS = {name: "" for name in ("mathjax_url", "require_js_url", "jquery_url", "mermaid_js_url")}
#: Arguments of a kernel. It would print a warning that its connections on this machine are not encrypted, and now and
#: then, when it has finished, an error that it was interrupted. What goes wrong in a cell is not said there.
_QUIET = ["--IPKernelApp.log_level=CRITICAL"]
#: On a narrow screen lines are cut between words.
_STYLE = "<style>.jp-OutputArea-output pre { word-break: normal; overflow-wrap: anywhere; }</style>"
#: The beginning of a picture in a page: 24 bytes of PNG, which end with width and height.
_PICTURE = re.compile(r"""(<img )([^>]*?src="data:image/png;base64,([A-Za-z0-9+/]{32}))""")
#: Smaller than this part of its width a picture's text could not be read: on a phone it is scrolled then.
_LEAST_SHARE = 0.6
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
    known, chosen, ready = notebooks(), _chosen(names), WeightsFolder(where.weights)
    absent = [
        name for name, path in chosen.items() if path.parent.name == "Training" and not (train or ready.has(name))
    ]
    out.mkdir(parents=True, exist_ok=True)
    values = _values(where, out / "results", device, parameters)
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


def write_outputs(
    where: Folders, names: Sequence[str] = (), device: str = "auto", parameters: dict[str, Any] | None = None
) -> list[Path]:
    """Execute notebooks of the checkout, and keep their outputs in them.

    Args:
        where: profile, data and weights; what is not trained there is trained.
        names: of notebooks; none: those without outputs, or with outputs of other cells.
        device: "auto", "cpu" or "cuda".
        parameters: further parameters of the notebooks that have them.

    Returns:
        the notebooks that were written.

    Raises:
        UserError: a notebook is unknown, a cell of one fails, or its outputs are too large.
    """
    known = _chosen(names)
    stale = {name: path for name, path in known.items() if names or not _is_current(path)}
    places = {
        str(where.data.resolve()): "output/demo/data",
        str(where.weights.resolve()): "output/demo/weights",
        f"{FINAL.parent}/": "",
    }
    written: list[Path] = []
    with tempfile.TemporaryDirectory() as folder, progress("notebooks", len(stale), even=False) as bar:
        values = _values(where, Path(folder) / "results", device, parameters)
        places[str(Path(folder).resolve() / "results")] = "output/demo"
        for name, path in stale.items():
            bar.update(len(written), name)
            executed = Path(folder) / f"{name}.ipynb"
            _execute(path, executed, values)
            keep_outputs(path, json.loads(executed.read_text(encoding="utf-8")), places)
            written.append(path)
        bar.update(len(written))
    return written


def _is_current(path: Path) -> bool:
    """Whether a notebook has outputs of its present cells."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return bool(notebook["metadata"].get(KEY) == digest(notebook["cells"]))


def _chosen(names: Sequence[str]) -> dict[str, Path]:
    """The notebooks of these names; of none, all."""
    known = notebooks()
    strange = [name for name in names if name not in known]
    if strange:
        raise UserError(f"notebook {unknown(strange[0], known)}; choose of: {', '.join(known)}")
    return {name: path for name, path in known.items() if not names or name in names}


def _values(where: Folders, out: Path, device: str, parameters: dict[str, Any] | None) -> dict[str, Any]:
    """The parameters that notebooks are executed with."""
    return {
        "profile": where.profile,
        "data": str(where.data.resolve()),
        "weights": str(where.weights.resolve()),
        "out": str(out.resolve()),
        "device": device,
    } | (parameters or {})


def _execute(path: Path, executed: Path, values: dict[str, Any]) -> None:
    """Execute a notebook with those of the values that it has parameters for."""
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


def as_html(path: Path) -> str:
    """A notebook with its outputs as a page, which loads nothing from the network."""
    exporter = HTMLExporter(**_NO_SCRIPTS)
    # The checkout's own code, which pygments has escaped: to clean it again takes a quarter of the time.
    exporter.register_filter("clean_html", lambda text: text)
    page, _ = exporter.from_notebook_node(nbformat.read(path, 4))
    head, end, body = str(page).partition("</head>")
    return head + _STYLE + end + _PICTURE.sub(_not_too_small, body)


def _not_too_small(picture: re.Match[str]) -> str:
    """The beginning of a picture with the width that it has at least."""
    width = int.from_bytes(base64.b64decode(picture[3])[16:20], "big")
    return f'{picture[1]}style="min-width:{_LEAST_SHARE * width:.0f}px" {picture[2]}'


def _write_page(path: Path, executed: Path, values: dict[str, Any]) -> Path:
    """Execute a notebook; returns its page."""
    _execute(path, executed, values)
    page = as_html(executed)
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
