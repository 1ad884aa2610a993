"""What the steps of a feature pipeline do, in pictures: before and after, for a sample of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from moa.plots.charts import GRID, INK, LEGEND, SERIES, plain_text, style
from moa.plots.data import short

#: Marks the axes whose dots are coloured by mechanism.
_MAP = "map"
#: Ratio of standard deviations above which columns cannot share an axis.
_FAR = 10


class Seen(Protocol):
    """A step of a pipeline: its name, and a sample of rows before and after it.

    Attributes:
        name: of the step.
        before: the step's inputs, shape (rows, columns).
        after: its outputs, same rows.
        kind: "in place" (columns are transformed), "map" (components or coordinates), "clusters" (a 0/1 column each),
            "values" (other new columns).
    """

    name: str
    before: pd.DataFrame
    after: pd.DataFrame
    kind: str


def step_panels(steps: Sequence[Seen], mechanisms: pd.Series | None = None) -> Figure:
    """A row of two panels for each step: its inputs at the left, its outputs at the right.

    ``mechanisms`` names each row's mechanism, which colours maps; rows without one are grey. Indexed by sig_id.
    """
    figure = Figure(figsize=(8.8, 2.3 * len(steps)), layout="constrained")
    grid = figure.subplots(len(steps), 2, squeeze=False)
    for (left, right), step in zip(grid, steps, strict=True):
        if step.kind == "map":
            _scatter(left, step.before, mechanisms)
            _scatter(right, step.after, mechanisms)
        elif step.kind == "clusters":
            _scatter(left, step.before, mechanisms)
            _clusters(right, step.after)
        else:
            _densities(left, step.before)
            _densities(right, step.after)
        left.set_title(plain_text(f"{step.name}: before, {step.before.shape[1]:,} columns"), fontsize=9, color=INK)
        right.set_title(plain_text(f"after, {step.after.shape[1]:,} columns"), fontsize=9, color=INK)
    named: dict[str, Artist] = {}
    for axes in (axes for axes in grid.ravel() if axes.get_gid() == _MAP):
        named |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    if named:
        figure.legend(named.values(), named.keys(), loc="outside upper center", ncols=3, fontsize=8, **LEGEND)
    return figure


def _scatter(axes: Axes, values: pd.DataFrame, mechanisms: pd.Series | None) -> None:
    """The first two columns against each other, coloured by mechanism."""
    axes.set_gid(_MAP)
    x = values.iloc[:, 0]
    y = values.iloc[:, 1] if values.shape[1] > 1 else pd.Series(0.0, values.index)
    axes.scatter(x, y, s=4, color=GRID, linewidth=0)
    if mechanisms is not None:
        known = mechanisms.reindex(values.index).dropna()
        for name, colour in zip(known.value_counts().index, SERIES, strict=False):
            rows = known.index[known == name]
            axes.scatter(x.loc[rows], y.loc[rows], s=12, color=colour, linewidth=0, label=short(name))
    second = values.columns[1] if values.shape[1] > 1 else ""
    axes.set(xlabel=plain_text(values.columns[0]), ylabel=plain_text(second))
    _window(axes, x, y)
    style(axes)


def _window(axes: Axes, x: pd.Series, y: pd.Series) -> None:
    """Leave out the furthest of the rows, which would press the others together."""
    for values, limits in ((x, axes.set_xlim), (y, axes.set_ylim)):
        low, high = np.quantile(values, [0.01, 0.99])
        margin = 0.15 * (high - low) or 1.0
        limits(low - margin, high + margin)


def _densities(axes: Axes, values: pd.DataFrame) -> None:
    """Densities of four columns, spread over all of them; standardised where their scales are far apart."""
    places = np.unique(np.linspace(0, values.shape[1] - 1, 4).round().astype(int))
    spread = values.iloc[:, places].std().replace(0, np.nan)
    if spread.max() > _FAR * spread.min():
        values = (values - values.mean()) / values.std().replace(0, 1)
        axes.set_xlabel("standard deviations from the mean", fontsize=8)
    for place, colour in zip(places, SERIES, strict=False):
        column = values.iloc[:, place].to_numpy(dtype=float)
        low, high = np.quantile(column, [0.002, 0.998])
        edges = np.linspace(low, high if high > low else low + 1, 41).tolist()
        shown, label = column.clip(edges[0], edges[-1]), short(values.columns[place], 16)
        axes.hist(shown, edges, density=True, histtype="step", color=colour, label=label)
    axes.set(yticks=[])
    style(axes, grid="x")
    axes.legend(fontsize=7, **LEGEND)


def _clusters(axes: Axes, values: pd.DataFrame) -> None:
    """Rows of each cluster, the largest first."""
    counts = np.sort(values.to_numpy(dtype=float).sum(axis=0))[::-1]
    axes.bar(np.arange(1, len(counts) + 1), counts, color=SERIES[0])
    axes.set(xlabel="clusters, the largest first", ylabel="rows")
    style(axes, grid="y")
