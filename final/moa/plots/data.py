"""Charts of a data set: how often targets are, which conditions there are, and what a treatment changes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from moa.plots.charts import GRID, GUIDE, INK, LEGEND, SERIES, canvas, panels, plain_text, style


def short(name: object, letters: int = 34) -> str:
    """A name that fits beside a chart."""
    text = plain_text(str(name).replace("_", " "))
    return text if len(text) <= letters else f"{text[: letters - 1]}…"


def class_counts(labels: pd.DataFrame, most: int = 12) -> Figure:
    """Positive rows of each target: all of them in order, and the ``most`` frequent by name.

    ``labels`` are 0/1, shape (rows, targets).
    """
    counts = labels.sum().sort_values(ascending=False)
    present = counts[counts > 0]
    figure, (left, right) = panels(2, 4.75, 0.8 + 0.22 * most)
    left.plot(np.arange(1, len(present) + 1), present, color=SERIES[0])
    left.set(xlabel=f"the {len(present)} of {len(counts)} targets with a positive", ylabel="positive rows")
    left.set(yscale="log", ylim=(0.8, None))
    left.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    style(left)
    named = counts.head(most)[::-1]
    right.barh([short(name) for name in named.index], named, color=SERIES[0], height=0.7)
    right.set(xlabel="positive rows")
    style(right, grid="x")
    return figure


def bars(groups: dict[str, pd.Series], unit: str) -> Figure:
    """Counts of ``unit`` side by side, such as of rows by condition: a panel for each of ``groups``, by its title."""
    figure, row = panels(len(groups), 2.6, 2.6)
    for axes, (title, counts) in zip(row, groups.items(), strict=True):
        axes.bar([short(name, 14) for name in counts.index], counts, color=SERIES[0], width=0.65)
        axes.set(title=plain_text(title), ylabel=unit)
        style(axes, grid="y")
    return figure


def distributions(features: pd.DataFrame, treated: pd.Series, columns: Sequence[str]) -> Figure:
    """Densities of some columns, treated rows (True in ``treated``) against controls, a panel for each.

    ``features`` has shape (rows, features), and ``treated`` the same index.
    """
    figure, row = panels(len(columns), 2.6, 2.6)
    mask = treated.to_numpy(dtype=bool)
    for axes, column in zip(row, columns, strict=True):
        values = features[column].to_numpy(dtype=float)
        low, high = np.quantile(values, [0.001, 0.999])
        edges = np.linspace(low, high, 51).tolist()
        for rows, label, colour in ((mask, "treated", SERIES[0]), (~mask, "control", SERIES[1])):
            if rows.any():
                axes.hist(values[rows].clip(low, high), edges, density=True, alpha=0.55, color=colour, label=label)
        axes.set(title=plain_text(column), yticks=[])
        axes.xaxis.set_major_locator(MaxNLocator(5, prune="both"))
        style(axes, grid="x")
    figure.axes[0].legend(fontsize=8, **LEGEND)
    return figure


def shift(features: pd.DataFrame, treated: pd.Series, groups: dict[str, Sequence[str]]) -> Figure:
    """How far treatment moves and spreads each feature: standard deviation of treated rows by that of controls.

    ``features`` and ``treated`` are as for `distributions`; ``groups`` has the columns of each group by its name.
    """
    figure, axes = canvas(5, 3.6)
    mask = treated.to_numpy(dtype=bool)
    ends = []
    for (name, columns), colour in zip(groups.items(), SERIES, strict=False):
        spread = [features.loc[rows, list(columns)].std() for rows in (~mask, mask)]
        axes.scatter(spread[0], spread[1], s=9, alpha=0.6, color=colour, linewidth=0, label=plain_text(name))
        ends += [np.nanmin(spread), np.nanmax(spread)]
    line = [min(ends), max(ends)]
    axes.plot(line, line, **GUIDE)
    axes.set(xlabel="standard deviation of controls", ylabel="of treated rows")
    style(axes)
    axes.legend(**LEGEND)
    return figure


def correlation_blocks(features: pd.DataFrame, groups: dict[str, Sequence[str]], most: int = 90) -> Figure:
    """Correlations between features of shape (rows, features), groups side by side, at most ``most`` columns of each.

    ``groups`` has the columns of each group by its name. Of large ones columns at even distances are drawn.
    """
    chosen, ends = [], [0]
    for columns in groups.values():
        step = max(1, len(columns) // most)
        chosen += list(columns)[::step][:most]
        ends.append(len(chosen))
    values = np.corrcoef(features[chosen].to_numpy(dtype=float), rowvar=False)
    figure, axes = canvas(5.6, 4.8)
    image = axes.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="none")
    for end in ends[1:-1]:
        axes.axhline(end - 0.5, color=INK, linewidth=0.8)
        axes.axvline(end - 0.5, color=INK, linewidth=0.8)
    middles = [(a + b) / 2 for a, b in zip(ends, ends[1:], strict=False)]
    axes.set_xticks(middles, [plain_text(name) for name in groups])
    axes.set_yticks(middles, [plain_text(name) for name in groups], rotation=90, va="center")
    axes.tick_params(length=0, labelcolor=INK)
    axes.spines[:].set_color(GRID)
    figure.colorbar(image, ax=axes, shrink=0.8, label="correlation")
    return figure
