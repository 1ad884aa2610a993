"""Charts of the report and the notebooks, and what all charts share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, ScalarFormatter

# The report replaces these by the colours of its page, so that one figure works in light and dark mode. Use no other
# colours on the background of the page.
INK, GRID = "#1b2430", "#c9d1da"
SERIES = ("#2f6fb0", "#c4552d", "#3c8f5a", "#8a5fb5")
LEGEND: dict[str, Any] = {"frameon": False, "labelcolor": INK}
#: A line that marks a value to compare with.
GUIDE: dict[str, Any] = {"color": INK, "linewidth": 1, "linestyle": (0, (4, 3))}


def plain_text(name: object) -> str:
    """A name as matplotlib shows it letter by letter: dollar signs would begin a formula."""
    return str(name).replace("$", r"\$")


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of this size in inches, with one pair of axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def panels(count: int, width: float, height: float) -> tuple[Figure, np.ndarray]:
    """A figure of axes side by side, each of this size in inches."""
    figure = Figure(figsize=(width * count, height), layout="constrained")
    return figure, figure.subplots(1, count, squeeze=False)[0]


def learning_curves(
    history: pd.DataFrame, winners: pd.DataFrame | None = None, panel: tuple[float, float] = (5, 3.4)
) -> Figure:
    """Training and validation loss by epoch: mean and range over seeds and folds, one panel per stage.

    Args:
        history: one row per epoch, as returned by ``moa.weights.trained.Trained.history``.
        winners: validation losses to draw behind ours, as returned by ``moa.models.winners.curves``: a band over units,
            or one dot per unit where only its best epoch is known. Where they are means over batches, so are ours.
        panel: width and height of a panel, inches.
    """
    stages = list(dict.fromkeys(history["stage"]))
    figure, row = panels(len(stages), *panel)
    for axes, stage in zip(row, stages, strict=True):
        rows = history[history["stage"] == stage]
        theirs = rows.iloc[:0] if winners is None else winners[winners["stage"] == stage]
        if len(theirs):
            _winners(axes, theirs)
        batches = len(theirs) and "valid_batch_loss" in rows and rows["valid_batch_loss"].notna().all()
        names = ("train_loss", "valid_batch_loss" if batches else "valid_loss")
        for name, label, colour in zip(names, ("training", "validation"), SERIES, strict=False):
            _band(axes, rows, name, label, colour)
        # The first epochs are far above the others, and would compress the rest of the curve.
        top = np.concatenate([rows[list(names)].to_numpy(dtype=float).ravel(), theirs["valid_loss"]])
        top = top[np.isfinite(top)]
        if len(top):
            axes.set_ylim(top.min() * 0.9, np.quantile(top, 0.75) * 1.2)
        axes.set(title=plain_text(stage), xlabel="epoch", ylabel="log loss")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        style(axes)
        axes.legend(**LEGEND)
    return figure


def logged_curves(winners: pd.DataFrame, panel: tuple[float, float] = (5, 3.4)) -> Figure:
    """The winners' validation losses alone, as returned by ``moa.models.winners.curves``; one panel per stage."""
    stages = list(dict.fromkeys(winners["stage"]))
    figure, row = panels(len(stages), *panel)
    for axes, stage in zip(row, stages, strict=True):
        rows = winners[winners["stage"] == stage]
        _winners(axes, rows)
        axes.set_ylim(rows["valid_loss"].min() * 0.98, rows["valid_loss"].quantile(0.75) * 1.1)
        axes.set(title=plain_text(stage), xlabel="epoch", ylabel="log loss")
        style(axes)
        axes.legend(**LEGEND)
    return figure


def _band(axes: Axes, rows: pd.DataFrame, name: str, label: str, colour: str, **line: Any) -> None:
    """A loss by epoch: its mean over units as a line, its range as a band."""
    by_epoch = rows.groupby("epoch")[name]
    mean, low, high = by_epoch.mean(), by_epoch.min(), by_epoch.max()
    axes.plot(mean.index, mean, label=label, color=colour, marker="o" if len(mean) == 1 else None, **line)
    axes.fill_between(mean.index, low, high, alpha=0.2, color=colour, linewidth=0)


def _winners(axes: Axes, rows: pd.DataFrame) -> None:
    """The winners' validation losses in one panel."""
    sister = ", sister run" if (rows["run"] == "sister").any() else ""
    if rows.duplicated(["seed", "fold"]).any():
        _band(axes, rows, "valid_loss", f"winners' validation{sister}", SERIES[2], linestyle=(0, (4, 2)))
    else:
        label = f"winners' best epochs{sister}"
        axes.scatter(rows["epoch"], rows["valid_loss"], s=18, color=SERIES[2], label=label, zorder=3)


def correlation_heatmap(correlation: pd.DataFrame) -> Figure:
    """Correlation between the models' predictions, shape (models, models), with titles as index and columns."""
    side = 2.2 + 0.45 * len(correlation)
    figure, axes = canvas(side + 1, side)
    # The scale starts at a round number below the lowest value: members of a blend are so similar that a scale from 0
    # would show a single colour.
    least = np.nanmin(correlation.to_numpy(), initial=1.0)
    lowest = min(np.floor(least * 10) / 10, 0.9)
    axes.imshow(correlation, vmin=lowest, vmax=1, cmap="viridis", interpolation="none")
    for (row, column), value in np.ndenumerate(correlation.to_numpy()):
        if np.isfinite(value):
            colour = INK if value > (lowest + 1) / 2 else "white"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=9, color=colour)
    places = range(len(correlation))
    axes.set_xticks(places, map(plain_text, correlation.columns), rotation=40, ha="right")
    axes.set_yticks(places, map(plain_text, correlation.index))
    axes.tick_params(length=0, labelcolor=INK)
    axes.spines[:].set_visible(False)
    return figure


def score_dots(scores: pd.DataFrame) -> Figure:
    """Log loss of each prediction and of its prevalence baseline, one line per prediction.

    One row per prediction, indexed by title: columns "log loss", "prevalence" and "blend" (in the second colour).
    """
    figure, axes = canvas(7, 1.1 + 0.34 * len(scores))
    position = name_rows(axes, scores.index)
    axes.hlines(position, scores["log loss"], scores["prevalence"], color=GRID, linewidth=2, zorder=1)
    axes.scatter(scores["prevalence"], position, marker="|", s=140, color=INK, label="prevalence baseline")
    blend = scores["blend"].to_numpy(dtype=bool)
    for chosen, label, colour in ((~blend, "single model", SERIES[0]), (blend, "blend", SERIES[1])):
        if chosen.any():
            axes.scatter(scores["log loss"][chosen], position[chosen], s=48, color=colour, label=label, zorder=2)
    axes.set(xlabel="OOF log loss, treated rows (lower is better)")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    style(axes, grid="x")
    figure.legend(loc="outside upper right", ncols=3, **LEGEND)  # wider than the axes
    return figure


def target_scatter(targets: pd.DataFrame, value: str, label: str, level: float | None = None) -> Figure:
    """The column ``value`` of each target by its column "positives", one dot per target that has any.

    ``label`` names the value on the axis; ``level`` is that of an uninformative model, shown as a dashed line.
    """
    figure, axes = canvas(5, 3.4)
    known = targets[(targets["positives"] > 0) & targets[value].notna()]
    if level is not None:
        axes.axhline(level, **GUIDE)
    axes.scatter(known["positives"], known[value], s=18, alpha=0.65, color=SERIES[0], linewidth=0)
    axes.set(xscale="log", xlabel="positive rows of the target", ylabel=label)
    style(axes)
    _round_steps(axes)
    return figure


def calibration_curve(curve: pd.DataFrame) -> Figure:
    """Observed rate by predicted probability, both on a logarithmic scale because most cells are near 0.001.

    One row per bin: columns "predicted" (mean), "observed" (rate), "low" and "high" (95 % interval of the rate).
    """
    figure, axes = canvas(4, 3.4)
    shown = curve[curve["observed"] > 0]  # a rate of 0 has no logarithm
    least = min(curve["predicted"].min(), shown["observed"].min()) if len(shown) else 1e-4
    ends = [max(least * 0.6, 1e-7), 1.2]
    axes.plot(ends, ends, **GUIDE)
    axes.vlines(shown["predicted"], shown["low"].clip(lower=ends[0]), shown["high"], color=SERIES[0], alpha=0.4)
    axes.plot(shown["predicted"], shown["observed"], color=SERIES[0], marker="o", markersize=4)
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends, xlabel="predicted", ylabel="observed")
    style(axes)
    return figure


def histogram(groups: dict[str, pd.Series], label: str, unit: str) -> Figure:
    """Overlaid histograms of positive values by group, named ``label``, on a logarithmic axis; ``unit`` is counted."""
    figure, axes = canvas(7, 3.2)
    values = np.concatenate([group.to_numpy() for group in groups.values()])
    edges = np.geomspace(max(values.min(), 1e-6), max(values.max(), 2e-6), 41).tolist()
    for (name, group), colour in zip(groups.items(), SERIES, strict=False):
        named = f"{plain_text(name)} ({len(group):,})"
        axes.hist(group.clip(edges[0], edges[-1]), edges, alpha=0.6, color=colour, label=named)
    axes.set(xscale="log", xlabel=label, ylabel=unit)
    style(axes, grid="y")
    _round_steps(axes)
    axes.legend(**LEGEND)
    return figure


def stacked_bars(cost: pd.DataFrame) -> Figure:
    """Training time of each model, stacked by stage: columns model, stage and seconds, rows in the chart's order."""
    totals = cost.groupby("model", sort=False)["seconds"].sum()
    top = totals.max()
    figure, axes = canvas(7, 1.0 + 0.34 * len(totals))
    scale, unit = (3600, "hours") if top > 7200 else (60, "minutes") if top > 120 else (1, "seconds")
    for position, (_, rows) in zip(name_rows(axes, totals.index), cost.groupby("model", sort=False), strict=True):
        left = 0.0
        for number, (stage, seconds) in enumerate(zip(rows["stage"], rows["seconds"], strict=True)):
            bar = axes.barh(position, seconds / scale, left=left, height=0.6, color=SERIES[number % len(SERIES)])
            if seconds > 0.12 * top:
                axes.bar_label(bar, [plain_text(stage)], label_type="center", color="white", fontsize=8)
            left += seconds / scale
    axes.set(xlabel=f"training time, {unit}")
    style(axes, grid="x")
    return figure


def weight_bars(weights: pd.DataFrame) -> Figure:
    """Weights of a blend by several methods, shape (members, methods), with the names to show as index and columns."""
    return grouped_bars(weights.fillna(0.0), 1.0 + 0.16 * len(weights) * (weights.shape[1] + 1), xlabel="weight")


def grouped_bars(table: pd.DataFrame, inches: float, **axis: Any) -> Figure:
    """One group of horizontal bars per row of a table, with one bar per column, in a figure of this height."""
    figure, axes = canvas(7, inches)
    axes.set(**axis)
    position, height = name_rows(axes, table.index), 0.8 / table.shape[1]
    for number, (name, colour) in enumerate(zip(table, SERIES, strict=False)):
        shift = (number - (table.shape[1] - 1) / 2) * height
        axes.barh(position + shift, table[name], height=height, color=colour, label=plain_text(name))
    style(axes, grid="x")
    figure.legend(loc="outside upper right", ncols=4, **LEGEND)  # wider than the axes
    return figure


def gain_intervals(gains: pd.DataFrame) -> Figure:
    """Out-of-sample gain of each search method over the best single model, with its interval.

    One row per method: columns "gain", "low" and "high"; methods without a gain are left out.
    """
    gains = gains.dropna(subset=["gain"])
    figure, axes = canvas(7, 1.0 + 0.34 * len(gains))
    position = name_rows(axes, gains.index)
    axes.axvline(0.0, **GUIDE)
    axes.hlines(position, gains["low"], gains["high"], color=SERIES[0], linewidth=3, alpha=0.4)
    axes.scatter(gains["gain"], position, s=48, color=SERIES[0], zorder=2)
    axes.set(xlabel="nested gain in log loss over the best single model, with its interval (right is better)")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    style(axes, grid="x")
    return figure


def name_rows(axes: Axes, names: Iterable[object], **text: Any) -> np.ndarray:
    """Name the rows of a chart, the first at the top; returns their positions on the vertical axis."""
    labels = [plain_text(name) for name in names]
    position = np.arange(len(labels))
    axes.set_yticks(position, labels, **text)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    return position


def _round_steps(axes: Axes) -> None:
    """Put ticks at 1, 2 and 5 of each decade; by default an axis of less than a decade might have no tick label."""
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def style(axes: Axes, grid: Literal["both", "x", "y"] = "both") -> None:
    """Light frame and grid, text in the colour of the page's text."""
    axes.set_axisbelow(True)
    axes.grid(axis=grid, color=GRID, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID)
    axes.tick_params(which="both", color=GRID, labelcolor=INK)
    if axes.get_xscale() == "log":
        axes.minorticks_off()
    for axis in (axes.xaxis, axes.yaxis):
        formatter = axis.get_major_formatter()
        if isinstance(formatter, ScalarFormatter):
            # Numbers in full: a factor such as ×10⁻³ would stand where the axis has its label.
            formatter.set_scientific(False)
            formatter.set_useOffset(False)
    for text in (axes.title, axes.xaxis.label, axes.yaxis.label):
        text.set_color(INK)
