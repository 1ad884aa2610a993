"""Pictures of what networks do: attention, schedules, phases, and the predictions of a chain of stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from moa.plots.charts import INK, LEGEND, SERIES, canvas, panels, plain_text, style
from moa.plots.data import short


def schedule_curve(rates: Sequence[float], steps_per_epoch: int = 1, others: Sequence[float] | None = None) -> Figure:
    """The learning rate of each step, and where it is given Adam's first beta of each step in a second panel."""
    figure, row = panels(1 if others is None else 2, 4.2, 2.6)
    epochs = np.arange(len(rates)) / steps_per_epoch
    for axes, values, label in zip(row, (rates, others or ()), ("learning rate", "Adam's first beta"), strict=False):
        axes.plot(epochs, values, color=SERIES[0])
        axes.set(xlabel="epoch", ylabel=label)
        style(axes)
    return figure


def attention_shares(values: np.ndarray, shares: Mapping[str, np.ndarray]) -> Figure:
    """The shares that each kind of attention gives to the same values, shape (columns,), the largest value first."""
    figure, axes = canvas(6, 2.8)
    order = np.argsort(-values)
    for (name, each), colour in zip(shares.items(), SERIES, strict=False):
        used = int((each > 0).sum())
        axes.plot(each[order], color=colour, marker=".", label=f"{name}: {used} of {len(values)} above 0")
    axes.set(xlabel="columns, the largest value first", ylabel="share")
    style(axes)
    axes.legend(**LEGEND)
    return figure


def phases_curve(phases: Mapping[str, pd.DataFrame]) -> Figure:
    """The losses of the phases of one unit after another: "train_loss" and "valid_loss", one row per epoch."""
    figure, row = panels(len(phases), 3.2, 2.8)
    for axes, (name, history) in zip(row, phases.items(), strict=True):
        for column, label, colour in zip(
            ("train_loss", "valid_loss"), ("training", "validation"), SERIES, strict=False
        ):
            axes.plot(np.arange(1, len(history) + 1), history[column], color=colour, marker=".", label=label)
        top = history[["train_loss", "valid_loss"]].to_numpy(dtype=float)
        axes.set(
            title=plain_text(name), xlabel="epoch", ylabel="log loss", ylim=(0.9 * top.min(), 1.3 * np.median(top))
        )
        style(axes)
        axes.legend(**LEGEND)
    return figure


def chain_bars(stages: Mapping[str, pd.Series], true: Sequence[str], shown: int = 6) -> Figure:
    """The largest probabilities that each stage gives to one row; the row's own mechanisms are in the second colour."""
    figure, row = panels(len(stages), 3.3, 0.3 * shown + 0.8)
    for axes, (name, predicted) in zip(row, stages.items(), strict=True):
        top = predicted.nlargest(shown)[::-1]
        colours = [SERIES[1] if target in true else SERIES[0] for target in top.index]
        axes.barh([short(target, 22) for target in top.index], top, color=colours)
        for place, value in enumerate(top):
            axes.annotate(
                f"{value:.4f}", (value, place), (3, 0), textcoords="offset points", fontsize=8, va="center", color=INK
            )
        axes.set(
            title=plain_text(f"{name}: {len(predicted)} targets"), xlim=(0, max(1.35 * top.max(), 1e-3)), xticks=[]
        )
        style(axes, grid="x")
        axes.tick_params(labelsize=8)
    return figure


def cells_of_rows(before: np.ndarray, after: np.ndarray) -> Figure:
    """Images of a row as it is and with swap noise, shape (3, height, width) each, channel by channel."""
    figure = Figure(figsize=(8.4, 5.8), layout="constrained")
    grid = figure.subplots(2, 3)
    for axes_row, image, name in zip(grid, (before, after), ("as it is", "with swap noise"), strict=True):
        for axes, channel, kind in zip(axes_row, image, ("mean", "least", "greatest"), strict=True):
            axes.imshow(channel, cmap="magma", vmin=0, vmax=1, interpolation="nearest")
            axes.set(title=f"{name}: {kind}", xticks=[], yticks=[])
            axes.title.set_fontsize(9)
    return figure
