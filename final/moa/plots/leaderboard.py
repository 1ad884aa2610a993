"""The chart of published scores: cross-validation against the leaderboard."""

from __future__ import annotations

from typing import Any, Literal

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from moa.plots.charts import GUIDE, INK, LEGEND, SERIES, canvas, style


def cv_against_leaderboard(scores: pd.DataFrame, board: Literal["public", "private"]) -> Figure:
    """The leaderboard score of models and blends by their CV, each a dot with its number.

    One row per model or blend: columns "number" (text), "cv", ``board`` and "blend" (in the second colour). Without a
    CV the leaderboard score is a dashed line; without a leaderboard score nothing is drawn.
    """
    figure, axes = canvas(5, 3.8)
    known = scores[scores[board].notna()]
    for blend, label, colour in ((False, "single model", SERIES[0]), (True, "blend", SERIES[1])):
        part = known[known["blend"] == blend]
        dots = part[part["cv"].notna()]
        if len(dots):
            axes.scatter(dots["cv"], dots[board], s=48, color=colour, label=label)
        for _, row in dots.iterrows():
            place = (row["cv"], row[board])
            axes.annotate(row["number"], place, (6, 4), textcoords="offset points", fontsize=9, color=INK)
        for _, row in part[part["cv"].isna()].iterrows():
            axes.axhline(row[board], **GUIDE | {"color": colour})
            text: dict[str, Any] = {"textcoords": "offset points", "fontsize": 9, "color": INK, "ha": "right"}
            axes.annotate(row["number"], (1.0, row[board]), (-2, 3), ("axes fraction", "data"), **text)
    axes.set(xlabel="published CV (log loss, lower is better)", ylabel=f"{board} leaderboard")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5))
    axes.margins(0.12)
    style(axes)
    figure.legend(loc="outside upper right", ncols=2, **LEGEND)
    return figure
