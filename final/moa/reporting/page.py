"""The building blocks of a report page, and rendering them as one self-contained HTML file."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
import matplotlib
import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from moa.plots.charts import GRID, INK, SERIES

#: Format of log losses: five digits, as on the leaderboard.
LOSS = ".5f"
TEMPLATE = Path(__file__).with_name("page.html")
#: Colours of the figures and the page's CSS variables that replace them, for light and dark mode.
_COLOURS = {INK: "var(--ink)", GRID: "var(--line)", **{c: f"var(--series-{i})" for i, c in enumerate(SERIES, 1)}}
#: Keep text as text, in the page's font; make ids inside a figure depend only on its content.
_SVG = {"svg.fonttype": "none", "svg.hashsalt": "moa"}

Format = str | Callable[[object], str]


@dataclass(frozen=True)
class Text:
    """A paragraph.

    Attributes:
        text: escaped, unless it is ``markupsafe.Markup``.
        tone: "warn" highlights it.
        kind: type of the block, for the template.
    """

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
        """Make a table from a frame whose columns are the headings.

        Args:
            frame: cells; NaN and None are shown as a dash.
            formats: by column, a format specification such as ".5f", or a function; other columns use ``str``.
            lowest, highest: columns whose lowest or highest value is set in bold.
            quiet: positions of rows in grey italics; they are never set in bold.
            caption: text above the table.
        """
        formats = formats or {}
        columns = list(frame.columns)
        numbers = frozenset(i for i, name in enumerate(columns) if name in formats)
        rows = [
            [_cell(value, formats.get(name)) for name, value in zip(columns, row, strict=True)]
            for row in frame.itertuples(index=False, name=None)
        ]
        best = set()
        compared = [i for i in range(len(rows)) if i not in set(quiet)]
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


Block = Text | Table | Figures | Details


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading and an entry in the table of contents.

    Attributes:
        anchor: its id in the page.
        title: its heading.
        lead: introduction of a few sentences.
        blocks: its content.
        short: its name in the table of contents, if the heading is too long.
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


def render(title: str, banner: Text, facts: Sequence[str], cards: Sequence[Card], sections: Sequence[Section]) -> str:
    """The page as HTML, without external files, fonts or scripts."""
    count = iter(range(10**6))
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["svg"] = lambda figure: Markup(svg(figure, f"f{next(count)}"))
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(title=title, banner=banner, facts=facts, cards=cards, sections=sections)


def svg(figure: Figure, prefix: str) -> str:
    """A figure as an inline SVG element that uses the colours of the page.

    Args:
        figure: drawn with the colours of `moa.plots.charts`.
        prefix: added to the ids inside the figure to make them unique on the page.
    """
    stream = io.StringIO()
    no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context(_SVG):
        figure.savefig(stream, format="svg", transparent=True, metadata=no_metadata)
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'\s(xmlns(:xlink)?|version)="[^"]*"', "", text)
    text = re.sub(r'<svg ([^>]*?)width="([\d.]+)pt" height="[\d.]+pt"', r'<svg \1style="max-width:\2pt"', text, count=1)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", text)
    for colour, variable in _COLOURS.items():
        text = text.replace(colour, variable)
    return text.strip()


def _cell(value: object, form: Format | None) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if callable(form):
        return form(value)
    return format(value, form) if form else str(value)
