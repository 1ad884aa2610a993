"""The building blocks of a report page, and rendering them as one self-contained HTML file."""

from __future__ import annotations

import base64
import hashlib
import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup

from moa.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Format of log losses: five digits, as on the leaderboard.
LOSS = ".5f"
_FOLDER = Path(__file__).parent
#: The page's own scripts: what all pages share, then the views by the file that draws them.
_SHARED = "page.js"
_SCRIPTS = {
    "mechanisms": "mechanisms.js",
    **dict.fromkeys(("map", "wells", "compounds", "replicates", "predicted"), "plates.js"),
}
#: Keep text as text, in the page's font; make ids inside a figure depend only on its content.
_SVG: dict[Any, str] = {"svg.fonttype": "none", "svg.hashsalt": "moa"}

Format = str | Callable[[object], str]


@dataclass(frozen=True)
class Text:
    """A paragraph; the tone "warn" highlights it. ``kind`` is the type of a block, for the template."""

    text: str
    tone: str = ""
    kind: str = "text"


@dataclass(frozen=True)
class Table:
    """A table of formatted cells.

    Attributes:
        columns: headings.
        rows: cells as text.
        numbers: positions of the columns that are aligned right.
        best: cells (row, column) in bold.
        quiet: positions of rows in grey italics.
        caption: text above the table.
    """

    columns: list[str]
    rows: list[list[str]]
    numbers: frozenset[int] = frozenset()
    best: frozenset[tuple[int, int]] = frozenset()
    quiet: frozenset[int] = frozenset()
    caption: str = ""
    kind: str = "table"

    @classmethod
    def of(
        cls,
        frame: pd.DataFrame,
        formats: Mapping[str, Format] | None = None,
        lowest: Sequence[str] = (),
        highest: Sequence[str] = (),
        quiet: Sequence[int] = (),
        caption: str = "",
    ) -> Table:
        """Make a table from a frame whose columns are the headings; NaN and None are shown as a dash.

        ``formats`` has a format specification such as ".5f", or a function, for some columns; others use ``str``. The
        lowest value of the columns ``lowest`` and the highest of ``highest`` are set in bold, without the rows at the
        positions ``quiet``.
        """
        formats = formats or {}
        columns = list(frame.columns)
        numbers = frozenset(i for i, name in enumerate(columns) if name in formats)
        rows = [
            [_cell(value, formats.get(name)) for name, value in zip(columns, row, strict=True)]
            for row in frame.itertuples(index=False, name=None)
        ]
        best = set()
        compared = sorted(set(range(len(rows))) - set(quiet))
        for name in [*lowest, *highest]:
            values = frame[name].to_numpy(dtype=float)[compared]
            if np.isfinite(values).sum() > 1:
                position = np.nanargmin(values) if name in lowest else np.nanargmax(values)
                best.add((compared[int(position)], columns.index(name)))
        return cls(columns, rows, numbers, frozenset(best), frozenset(quiet), caption)


@dataclass(frozen=True)
class Figures:
    """Figures in as many columns as fit.

    Attributes:
        figures: figures with their captions, which are also read by screen readers.
        column: width of a column in pixels; a narrower screen shows one column.
        least: minimum width of a figure in pixels; a narrower screen scrolls it.
    """

    figures: list[tuple[Figure, str]]
    column: int = 300
    least: int = 0
    kind: str = "figures"


@dataclass(frozen=True)
class Details:
    """Blocks that are hidden until the reader opens them."""

    summary: str
    blocks: list[Block]
    kind: str = "details"


@dataclass(frozen=True)
class View:
    """A part of the page that its own script draws from data.

    Attributes:
        name: of the function that draws it, see ``_SCRIPTS``.
        data: JSON values; None: those of the first view of the same script.
    """

    name: str
    data: Mapping[str, Any] | None = None
    kind: str = "view"

    @property
    def script(self) -> str:
        """File of the function."""
        return _SCRIPTS[self.name]


Block = Text | Table | Figures | Details | View


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading and an entry in the table of contents; ``short`` if the heading is too long.

    ``anchor`` is its id in the page, ``lead`` an introduction of a few sentences.
    """

    anchor: str
    title: str
    lead: str
    blocks: list[Block] = field(default_factory=list)
    short: str = ""


@dataclass(frozen=True)
class Card:
    """A key number at the top of the page."""

    label: str
    value: str
    note: str = ""


FOOTER = (
    "Log loss: mean over the targets of the binary log loss, probabilities clipped to [1e-15, 1 − 1e-15]; lower is "
    "better. Control rows have no mechanism and are predicted 0."
)


def write_page(
    path: Path,
    title: str,
    banner: Text,
    facts: Sequence[str],
    cards: Sequence[Card],
    sections: Sequence[Section],
    footer: str = FOOTER,
    opened: int | None = None,
) -> Path:
    """Write a page without external files or fonts; it forbids the browser all requests and foreign scripts.

    The first ``opened`` sections are open at first, all of them by default; on a narrow screen it is the first one.
    """
    count = iter(range(10**6))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.filters["svg"] = lambda figure: Markup(svg(figure, f"f{next(count)}"))
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "ensure_ascii": False, "separators": (",", ":")}
    views = [block.script for section in sections for block in section.blocks if isinstance(block, View)]
    files = [(_FOLDER / name).read_text(encoding="utf-8") for name in dict.fromkeys([_SHARED, *views])]
    script = "\n" + "".join(files) + "page.start();\n"
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = environment.get_template("page.html").render(
        title=title,
        banner=banner,
        facts=facts,
        cards=cards,
        sections=sections,
        footer=footer,
        opened=len(sections) if opened is None else opened,
        style=Markup((_FOLDER / "page.css").read_text(encoding="utf-8")),
        script=Markup(script),
        digest=digest,
    )
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def rounded(value: Any, digits: int = 3) -> Any:
    """A number, or several, with so many significant digits, for JSON; None where it is not defined."""
    if np.ndim(value):
        return [rounded(each, digits) for each in value]
    return float(f"{value:.{digits}g}") if np.isfinite(value) else None


def versions(found: Mapping[str, str]) -> list[Block]:
    """The versions of libraries, hidden until the reader opens them; nothing where they are not known."""
    words = ", ".join(f"{name} {number}" for name, number in found.items())
    return [Details("Versions", [Text(words)])] if found else []


def svg(figure: Figure, prefix: str) -> str:
    """A figure that is drawn in the colours of `moa.plots.charts`, as an inline SVG element in those of the page.

    ``prefix`` is added to the ids inside the figure to make them unique on the page.
    """
    import matplotlib

    from moa.plots.charts import GRID, INK, SERIES

    # The page's CSS variables, for light and dark mode.
    colours = {INK: "var(--ink)", GRID: "var(--line)", **{c: f"var(--series-{i})" for i, c in enumerate(SERIES, 1)}}
    stream = io.StringIO()
    no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context(_SVG):
        figure.savefig(stream, format="svg", transparent=True, metadata=no_metadata)
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'\s(xmlns(:xlink)?|version)="[^"]*"', "", text)
    text = re.sub(r'<svg ([^>]*?)width="([\d.]+)pt" height="[\d.]+pt"', r'<svg \1style="max-width:\2pt"', text, count=1)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", text)
    for colour, variable in colours.items():
        text = text.replace(colour, variable)
    return text.strip()


def _cell(value: object, form: Format | None) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if callable(form):
        return form(value)
    return format(value, form) if form else str(value)
