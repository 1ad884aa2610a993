"""The building blocks of a report page, and how they become one self-contained HTML file."""

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

#: Log losses are told to five digits, as on the leaderboard.
LOSS = ".5f"
TEMPLATE = Path(__file__).with_name("page.html")
#: Colours of the drawings and the page's variables that take their place, for light and dark.
_COLOURS = {INK: "var(--ink)", GRID: "var(--line)", **{c: f"var(--series-{i})" for i, c in enumerate(SERIES, 1)}}
#: Text stays text, in the page's font; names inside a drawing depend on its content alone.
_SVG = {"svg.fonttype": "none", "svg.hashsalt": "moa"}

Format = str | Callable[[object], str]


@dataclass(frozen=True)
class Text:
    """A paragraph.

    Attributes:
        text: escaped, unless it is ``markupsafe.Markup``.
        tone: "warn" sets it off.
        kind: tells the template what it is, in every block.
    """

    text: str
    tone: str = ""
    kind: str = "text"


@dataclass(frozen=True)
class Table:
    """A table of finished cells.

    Attributes:
        columns: headings.
        rows: cells as text.
        numbers: positions of the columns that are set flush right.
        best: cells (row, column) that are set bold.
        quiet: rows that are set back.
        caption: said above it.
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
        """From a frame whose columns are the headings.

        Args:
            frame: cells; NaN and None are shown as a dash.
            formats: by column, a format specification such as ".5f", or a function; others are shown as they are.
            lowest, highest: columns whose best figure is set bold.
            quiet: positions of rows that are set back; they take no part in the best.
            caption: said above it.
        """
        formats = formats or {}
        columns = list(frame.columns)
        numbers = frozenset(i for i, name in enumerate(columns) if name in formats)
        rows = [
            [_cell(value, formats.get(name)) for name, value in zip(columns, row, strict=True)]
            for row in frame.itertuples(index=False, name=None)
        ]
        best = set()
        loud = [i for i in range(len(rows)) if i not in set(quiet)]
        for name in [*lowest, *highest]:
            values = frame[name].to_numpy(dtype=float)[loud]
            if np.isfinite(values).sum() > 1:
                place = np.nanargmin(values) if name in lowest else np.nanargmax(values)
                best.add((loud[int(place)], columns.index(name)))
        return cls(columns, rows, numbers, frozenset(best), frozenset(quiet), caption)


@dataclass(frozen=True)
class Figures:
    """Drawings side by side, as many as fit.

    Attributes:
        figures: drawings with their captions, which also tell a screen reader what is drawn.
        column: width of a column of drawings, pixels; a narrower screen gets one column.
        least: least width of a drawing, pixels; a narrower screen scrolls it.
    """

    figures: list[tuple[Figure, str]]
    column: int = 300
    least: int = 0
    kind: str = "figures"


@dataclass(frozen=True)
class Details:
    """Blocks that are folded away behind a line."""

    summary: str
    blocks: list[Block]
    kind: str = "details"


Block = Text | Table | Figures | Details


@dataclass(frozen=True)
class Section:
    """A part of the page with its own heading and place in the contents.

    Attributes:
        anchor: its address in the page.
        title: its heading.
        lead: what to look for, in a sentence or two.
        blocks: what it shows.
        short: its name in the contents, where the heading is too long for it.
    """

    anchor: str
    title: str
    lead: str
    blocks: list[Block] = field(default_factory=list)
    short: str = ""


@dataclass(frozen=True)
class Card:
    """A figure at the top of the page."""

    label: str
    value: str
    note: str = ""


def render(title: str, banner: Text, facts: Sequence[str], cards: Sequence[Card], sections: Sequence[Section]) -> str:
    """The page as HTML: no file, font or script from elsewhere."""
    count = iter(range(10**6))
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["svg"] = lambda figure: Markup(svg(figure, f"f{next(count)}"))
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(title=title, banner=banner, facts=facts, cards=cards, sections=sections)


def svg(figure: Figure, prefix: str) -> str:
    """A figure as an inline SVG element that takes its colours from the page.

    Args:
        figure: drawn with the colours of `moa.plots.charts`.
        prefix: makes the names inside it unique on the page.
    """
    stream = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context(_SVG):
        figure.savefig(stream, format="svg", transparent=True, metadata=nothing)
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
