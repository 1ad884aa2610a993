"""Figures of the report and the notebooks. Each function returns a matplotlib Figure and touches no global state."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

# The report swaps these for its page's colours, so that one drawing serves light and dark: use them and no others
# where the colour lies on the page's ground.
INK, GRID = "#1b2430", "#c9d1da"
SERIES = ("#2f6fb0", "#c4552d", "#3c8f5a", "#8a5fb5")


def learning_curves(history: pd.DataFrame, panel: tuple[float, float] = (5, 3.4)) -> Figure:
    """Training and validation loss by epoch: mean and range over seeds and folds, one panel a stage.

    Args:
        history: as ``Runner.history`` gives it.
        panel: width and height of a panel, inches.
    """
    stages = list(dict.fromkeys(history["stage"]))
    figure = Figure(figsize=(panel[0] * len(stages), panel[1]), layout="constrained")
    for axes, stage in zip(np.atleast_1d(figure.subplots(1, len(stages))), stages, strict=True):
        rows = history[history["stage"] == stage]
        for name, label, colour in zip(("train_loss", "valid_loss"), ("training", "validation"), SERIES, strict=False):
            by_epoch = rows.groupby("epoch")[name]
            mean, low, high = by_epoch.mean(), by_epoch.min(), by_epoch.max()
            axes.plot(mean.index, mean, label=label, color=colour, marker="o" if len(mean) == 1 else None)
            axes.fill_between(mean.index, low, high, alpha=0.2, color=colour, linewidth=0)
        # The first epochs are far above the rest and would flatten what matters.
        top = rows[["train_loss", "valid_loss"]].to_numpy(dtype=float)
        top = top[np.isfinite(top)]
        if len(top):
            axes.set_ylim(top.min() * 0.9, np.quantile(top, 0.75) * 1.2)
        axes.set(title=stage, xlabel="epoch", ylabel="log loss")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _dress(axes)
        axes.legend(labelcolor=INK, frameon=False)
    return figure


def correlation_heatmap(correlation: pd.DataFrame, title: str = "") -> Figure:
    """Correlation between the models' predictions.

    Args:
        correlation: square table, models by models.
    """
    side = 2.2 + 0.45 * len(correlation)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    # From a round figure below the least: members of a blend lie close together, a scale from 0 would show one colour.
    least = np.nanmin(correlation.to_numpy(), initial=1.0)
    sns.heatmap(
        correlation,
        annot=True,
        fmt=".2f",
        vmin=min(np.floor(least * 10) / 10, 0.9),
        vmax=1,
        cmap="viridis",
        square=True,
        ax=axes,
        cbar=False,
        rasterized=True,
        annot_kws={"fontsize": 9},
    )
    axes.tick_params(length=0, labelcolor=INK)
    axes.set_xticklabels(axes.get_xticklabels(), rotation=40, ha="right")
    axes.set(xlabel="", ylabel="")
    axes.set_title(title, color=INK)
    return figure


def score_dots(scores: pd.DataFrame, title: str = "") -> Figure:
    """Log loss of each prediction beside the prevalence baseline, a line each.

    Args:
        scores: one row a prediction, columns "log loss" and "prevalence", indexed by title; a boolean column "blend"
            marks those drawn in the second colour.
    """
    figure = Figure(figsize=(7, 1.1 + 0.34 * len(scores)), layout="constrained")
    axes = figure.subplots()
    place = np.arange(len(scores))
    axes.hlines(place, scores["log loss"], scores["prevalence"], color=GRID, linewidth=2, zorder=1)
    axes.scatter(scores["prevalence"], place, marker="|", s=140, color=INK, label="prevalence baseline")
    blend = scores["blend"].to_numpy(dtype=bool)
    for chosen, label, colour in ((~blend, "single model", SERIES[0]), (blend, "blend", SERIES[1])):
        if chosen.any():
            axes.scatter(scores["log loss"][chosen], place[chosen], s=48, color=colour, label=label, zorder=2)
    axes.set_yticks(place, scores.index)
    axes.set_ylim(len(scores) - 0.4, -0.6)
    axes.set(xlabel="OOF log loss, treated rows (lower is better)")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_title(title, color=INK)
    _dress(axes, grid="x")
    figure.legend(loc="outside upper right", ncols=3, frameon=False, labelcolor=INK)  # wider than the axes
    return figure


def target_scatter(targets: pd.DataFrame, value: str, label: str, level: float | None = None) -> Figure:
    """One dot a target: a figure against how common the target is.

    Args:
        targets: one row a target, columns "positives" (rows) and ``value``; targets without positives are left out.
        value: the column to show.
        label: its name on the axis.
        level: draws a line where a model that knows nothing stands.
    """
    figure = Figure(figsize=(5, 3.4), layout="constrained")
    axes = figure.subplots()
    known = targets[(targets["positives"] > 0) & targets[value].notna()]
    if level is not None:
        axes.axhline(level, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    axes.scatter(known["positives"], known[value], s=18, alpha=0.65, color=SERIES[0], linewidth=0)
    axes.set(xscale="log", xlabel="positive rows of the target", ylabel=label)
    _dress(axes)
    _round_steps(axes)
    return figure


def calibration_curve(curve: pd.DataFrame, title: str = "") -> Figure:
    """Observed rate against predicted probability, both on a logarithmic scale: most cells lie near 0.001.

    Args:
        curve: one row a bin, columns "predicted" (mean), "observed" (rate), "cells" (how many), "low" and "high" (95 %
            interval of the rate).
    """
    figure = Figure(figsize=(4, 3.4), layout="constrained")
    axes = figure.subplots()
    shown = curve[curve["observed"] > 0]  # a rate of 0 has no logarithm
    least = min(curve["predicted"].min(), shown["observed"].min()) if len(shown) else 1e-4
    ends = [max(least * 0.6, 1e-7), 1.2]
    axes.plot(ends, ends, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    axes.vlines(shown["predicted"], shown["low"].clip(lower=ends[0]), shown["high"], color=SERIES[0], alpha=0.4)
    axes.plot(shown["predicted"], shown["observed"], color=SERIES[0], marker="o", markersize=4)
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends, xlabel="predicted", ylabel="observed")
    axes.set_title(title, color=INK)
    _dress(axes)
    return figure


def histogram(groups: dict[str, pd.Series], label: str, unit: str, bins: int = 40) -> Figure:
    """Distributions over each other, on a logarithmic axis.

    Args:
        groups: positive values by name of the group.
        label: what the values are.
        unit: what is counted.
    """
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    values = np.concatenate([group.to_numpy() for group in groups.values()])
    edges = np.geomspace(max(values.min(), 1e-6), max(values.max(), 2e-6), bins + 1)
    for (name, group), colour in zip(groups.items(), SERIES, strict=False):
        axes.hist(group.clip(edges[0], edges[-1]), edges, alpha=0.6, color=colour, label=f"{name} ({len(group):,})")
    axes.set(xscale="log", xlabel=label, ylabel=unit)
    _dress(axes, grid="y")
    _round_steps(axes)
    axes.legend(frameon=False, labelcolor=INK)
    return figure


def stacked_bars(cost: pd.DataFrame) -> Figure:
    """Training time of each model, stages after each other.

    Args:
        cost: columns model, stage, seconds; models and stages in the order to draw.
    """
    models = list(dict.fromkeys(cost["model"]))
    figure = Figure(figsize=(7, 1.0 + 0.34 * len(models)), layout="constrained")
    axes = figure.subplots()
    top = cost.groupby("model")["seconds"].sum().max()
    scale, unit = (3600, "hours") if top > 7200 else (60, "minutes") if top > 120 else (1, "seconds")
    for place, model in enumerate(models):
        left = 0.0
        for number, (_, row) in enumerate(cost[cost["model"] == model].iterrows()):
            width = row["seconds"] / scale
            axes.barh(place, width, left=left, height=0.6, color=SERIES[number % len(SERIES)])
            if row["seconds"] > 0.12 * top:
                axes.text(left + width / 2, place, row["stage"], ha="center", va="center", color="white", fontsize=8)
            left += width
    axes.set_yticks(range(len(models)), models)
    axes.set_ylim(len(models) - 0.4, -0.6)
    axes.set(xlabel=f"training time, {unit}")
    _dress(axes, grid="x")
    return figure


def weight_bars(weights: pd.DataFrame) -> Figure:
    """Weights of a blend's members found in several ways, side by side.

    Args:
        weights: shape (models, ways), index and columns as they are to be named.
    """
    ways = list(weights.columns)
    figure = Figure(figsize=(7, 1.0 + 0.16 * len(weights) * (len(ways) + 1)), layout="constrained")
    axes = figure.subplots()
    height = 0.8 / len(ways)
    place = np.arange(len(weights))
    for number, (way, colour) in enumerate(zip(ways, SERIES, strict=False)):
        shift = (number - (len(ways) - 1) / 2) * height
        axes.barh(place + shift, weights[way].fillna(0.0), height=height, color=colour, label=way)
    axes.set_yticks(place, weights.index)
    axes.set_ylim(len(weights) - 0.4, -0.6)
    axes.set(xlabel="weight")
    _dress(axes, grid="x")
    figure.legend(loc="outside upper right", ncols=4, frameon=False, labelcolor=INK)  # wider than the axes
    return figure


def gain_intervals(gains: pd.DataFrame) -> Figure:
    """What each search gains out of sample over the best single model, with its interval.

    Args:
        gains: one row a method, columns "gain", "low", "high"; methods without figures are left out.
    """
    gains = gains.dropna(subset=["gain"])
    figure = Figure(figsize=(7, 1.0 + 0.34 * len(gains)), layout="constrained")
    axes = figure.subplots()
    place = np.arange(len(gains))
    axes.axvline(0.0, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    axes.hlines(place, gains["low"], gains["high"], color=SERIES[0], linewidth=3, alpha=0.4)
    axes.scatter(gains["gain"], place, s=48, color=SERIES[0], zorder=2)
    axes.set_yticks(place, gains.index)
    axes.set_ylim(len(gains) - 0.4, -0.6)
    axes.set(xlabel="nested gain in log loss over the best single model, with its interval (right is better)")
    axes.ticklabel_format(axis="x", style="sci", scilimits=(-3, 3), useMathText=True)
    _dress(axes, grid="x")
    return figure


def _round_steps(axes: Axes) -> None:
    """Mark a logarithmic axis at 1, 2 and 5 of each decade: one that spans less than a decade would bear no number."""
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _dress(axes: Axes, grid: str = "both") -> None:
    """Quiet frame and grid, everything in the ink of the page."""
    axes.set_axisbelow(True)
    axes.grid(axis=grid, color=GRID, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID)
    axes.tick_params(which="both", color=GRID, labelcolor=INK)
    axes.minorticks_off() if axes.get_xscale() == "log" else None
    for text in (axes.title, axes.xaxis.label, axes.yaxis.label):
        text.set_color(INK)
