"""The figure of the benchmarks: times and ratios as panels."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from moa.plots.charts import GRID, INK, SERIES
from tests.benchmarks.measure import NOTEBOOK


def draw(tables: dict[str, pd.DataFrame], title: str) -> Figure:
    """Ratios, times by what grows (one panel per part), and rates compared with those of the products alone.

    Args:
        tables: as ``tests.benchmarks.command.main`` returns them.
        title: title of the figure.
    """
    panels: list[tuple[str, Callable[[Axes], None]]] = []
    if "benchmarks" in tables:
        panels.append(("times faster, by the fastest runs", partial(_ratios, tables["benchmarks"])))
        grown = tables["benchmarks"].query("growth != ''")
        for (part, growth), rows in grown.groupby(["part", "growth"], sort=False):
            panels.append((f"{part} by {growth}", partial(_growth, rows, growth)))
    if "roofline" in tables:
        panels.append(("rates of the products", partial(_rates, tables["roofline"])))
    columns = min(3, max(len(panels), 1))
    lines = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(5 * columns, 4 * max(lines, 1)), layout="constrained")
    figure.suptitle(title, color=INK)
    for number, (heading, fill) in enumerate(panels, 1):
        axes = figure.add_subplot(lines, columns, number)
        fill(axes)
        axes.set_title(heading, color=INK)
        axes.grid(color=GRID, linewidth=0.5)
        axes.set_axisbelow(True)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, labelcolor=INK)
    return figure


def _ratios(table: pd.DataFrame, axes: Axes) -> None:
    rows = table[(table["growth"] == "") & table["way"].str.startswith("moa") & table["ratio"].notna()]
    names = [f"{row.part}\n{row.way}" for row in rows.itertuples()]
    axes.barh(range(len(rows)), rows["ratio"], 0.6, color=SERIES[0])
    axes.axvline(1, color=INK, linewidth=0.8)
    axes.set_yticks(range(len(rows)), names, fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel("seconds of the notebook / seconds of moa")


def _growth(rows: pd.DataFrame, by: str, axes: Axes) -> None:
    ways = [NOTEBOOK, *(way for way in rows["way"].unique() if way != NOTEBOOK)]
    for way, colour in zip(ways, SERIES, strict=False):
        line = rows[rows["way"] == way].sort_values(by)
        axes.plot(line[by], line["seconds_min"], marker="o", label=way, color=colour)
    axes.set(xscale="log", yscale="log", xlabel=by, ylabel="seconds, fastest run")


def _rates(table: pd.DataFrame, axes: Axes) -> None:
    places = range(len(table))
    axes.barh([p - 0.2 for p in places], table["plain_gflops"], 0.4, label="torch's matmul", color=SERIES[0])
    axes.barh([p + 0.2 for p in places], table["moa_gflops"], 0.4, label="moa", color=SERIES[1])
    axes.set_yticks(list(places), table["what"])
    axes.invert_yaxis()
    axes.set_xlabel("GFLOP/s")
