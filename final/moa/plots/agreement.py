"""Charts of how alike models are, and of what a blend makes of that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

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
    low, high = members["correlation"].min(), members["correlation"].max()
    margin, top = 0.25 * ((high - low) or 0.1), members["weight"].max() or 1.0
    axes.set(
        xlim=(low - margin, high + margin), ylim=(-0.15 * top, 1.2 * top),
        xlabel="mean correlation with the other members (left: less alike)", ylabel="weight",
    )  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(5))
    style(axes)
    _name_dots(axes, members[["correlation", "weight"]], np.sqrt(size) / 2)
    return figure


def _name_dots(axes: Axes, places: pd.DataFrame, radii: pd.Series) -> None:
    """Write the name of each dot beside it, where it covers no other names and dots, and lies next to no other dot.

    Args:
        axes: with their final limits.
        places: the dots' coordinates by name, two columns.
        radii: of the dots in points, by name.
    """
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()  # the layout is known after that
    middles, reach = axes.transData.transform(places.to_numpy(float)), radii.to_numpy() * figure.dpi / 72
    dots = [Bbox(((x - r, y - r), (x + r, y + r))) for (x, y), r in zip(middles, reach, strict=True)]
    texts = [
        axes.annotate(plain_text(name), tuple(place), (0, 0), textcoords="offset points", fontsize=8, color=INK)
        for name, place in zip(places.index, places.to_numpy(float), strict=True)
    ]
    found: dict[int, Bbox] = {}
    for number in [*range(len(texts))] * 3:  # the first ones again, when the others have their places
        others = [box for other, box in found.items() if other != number]
        costs: list[float] = []
        boxes: list[Bbox] = []
        for side in _SIDES:
            boxes.append(_beside(texts[number], side, radii.iloc[number]))
            box = boxes[-1].padded(3)  # names that touch read as one
            outside = box.width * box.height - _shared(box, axes.bbox)
            gaps = np.hypot(*(middles - np.clip(middles, box.min, box.max)).T) - reach
            mistaken = (np.delete(gaps, number) < gaps[number] + 10).any()  # as another dot's name
            costs.append(outside + sum(_shared(box, each) for each in (*dots, *others)) + 200 * mistaken)
        best = int(np.argmin(costs))
        _beside(texts[number], _SIDES[best], radii.iloc[number])
        found[number] = boxes[best]


#: Where a name may stand, as seen from its dot: right and up. Of equals the first is taken.
_SIDES = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1))
_ACROSS: dict[int, Literal["left", "center", "right"]] = {1: "left", 0: "center", -1: "right"}
_UP: dict[int, Literal["bottom", "center", "top"]] = {1: "bottom", 0: "center", -1: "top"}


def _beside(text: Annotation, side: tuple[int, int], radius: float) -> Bbox:
    """Move a name to a side of its dot; returns its place in pixels."""
    right, up = side
    far = (radius + 3) * (0.7 if right and up else 1.0)
    text.xyann = (far * right, far * up)
    text.set_horizontalalignment(_ACROSS[right])
    text.set_verticalalignment(_UP[up])
    return text.get_window_extent()


def _shared(one: Bbox, other: Bbox) -> float:
    """The area that two rectangles share."""
    both = Bbox.intersection(one, other)
    return 0.0 if both is None else float(both.width * both.height)


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
