"""Charts of how alike models are, and of what a blend makes of that."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from moa.plots.charts import GRID, GUIDE, INK, LEGEND, SERIES, canvas, grouped_bars, name_rows, plain_text, style


def correlation_bars(correlations: pd.DataFrame) -> Figure:
    """Correlations of one model with others: one row per other model, a column for each kind of correlation."""
    label, least = "correlation of OOF predictions, mean over targets", min(0.0, correlations.min().min())
    return grouped_bars(correlations, 0.9 + 0.36 * len(correlations), xlabel=label, xlim=(least, 1))


def target_correlations(correlations: Mapping[str, pd.Series], most: int = 30) -> Figure:
    """How the correlation between two models differs between targets, for each pair of models, by its name.

    A line reaches from the 10 % to the 90 % quantile over targets, with a dot at the median. The ``most`` pairs with
    the lowest medians are drawn; without pairs the figure is empty.
    """
    marks = [0.1, 0.5, 0.9]
    table = pd.DataFrame({name: each.quantile(marks) for name, each in correlations.items()}, index=marks).T
    table = table.sort_values(0.5).head(most)
    figure, axes = canvas(7.5, 0.9 + 0.26 * len(table))
    position = name_rows(axes, table.index, fontsize=8)
    axes.hlines(position, table[0.1], table[0.9], color=SERIES[0], linewidth=3, alpha=0.35)
    axes.scatter(table[0.5], position, s=32, color=SERIES[0], zorder=2)
    axes.set(xlabel="correlation by target: median, and the middle 80 % of targets")
    style(axes, grid="x")
    return figure


def weight_and_diversity(members: pd.DataFrame) -> Figure:
    """The weight of each member by how unlike the others it is; dots are larger the lower its log loss.

    One row per member, indexed by title: columns "weight", "correlation" (mean with the others) and "log loss".
    """
    figure, axes = canvas(6, 3.8)
    loss = members["log loss"]
    size = 40 + 200 * (loss.max() - loss) / ((loss.max() - loss.min()) or 1)
    axes.scatter(members["correlation"], members["weight"], s=size, color=SERIES[0], alpha=0.65, linewidth=0)
    for number, (name, row) in enumerate(members.sort_values("correlation").iterrows()):
        place, shift = (row["correlation"], row["weight"]), (0, 10 if number % 2 else -16)  # neighbours keep apart
        axes.annotate(plain_text(name), place, shift, textcoords="offset points", ha="center", fontsize=8, color=INK)
    low, high = members["correlation"].min(), members["correlation"].max()
    margin, top = 0.25 * ((high - low) or 0.1), members["weight"].max() or 1.0
    axes.set(
        xlim=(low - margin, high + margin), ylim=(-0.15 * top, 1.2 * top),
        xlabel="mean correlation with the other members (left: less alike)", ylabel="weight",
    )  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(5))
    style(axes)
    return figure


def search_history(losses: pd.DataFrame) -> Figure:
    """The loss of each trial of a search, the best until then, and what other methods reach.

    One row per trial, in order: column "loss", and a column for each other method, constant, by its name.
    """
    figure, axes = canvas(7, 3.2)
    trials = np.arange(1, len(losses) + 1)
    axes.scatter(trials, losses["loss"], s=6, color=GRID, label="trial")
    axes.plot(trials, losses["loss"].cummin(), color=SERIES[0], drawstyle="steps-post", label="best so far")
    for name, colour in zip(losses.columns.drop("loss"), SERIES[1:], strict=False):
        axes.axhline(losses[name].iloc[0], **GUIDE | {"color": colour}, label=plain_text(name))
    low = losses.min().min()
    top = float(losses["loss"].quantile(0.9))
    axes.set_ylim(low - 0.08 * (top - low), top + 0.05 * (top - low) if top > low else low + 1e-6)
    axes.set(xlabel="trial", ylabel="log loss of the blend")
    style(axes)
    axes.legend(fontsize=8, **LEGEND)
    return figure
