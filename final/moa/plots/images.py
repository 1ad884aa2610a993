"""Figures of the DeepInsight CNNs: the map of the features, images, and what a network looked at.

As in ``moa.plots.charts``, each function returns a matplotlib Figure and touches no global state.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from moa.learners.deepinsight.rendering import CHANNELS
from moa.plots.charts import GRID, INK, SERIES

#: Kinds of features: how their names begin, what they are called, their colour, and the size of their dots.
KINDS = (
    ("g-", "genes", SERIES[0], 9),
    ("c-", "cells", SERIES[1], 14),
    ("cp_", "conditions", SERIES[3], 60),
)
#: A pixel of the image is drawn at least as wide as this part of the side, or nobody would see it.
LEAST_DOT = 1 / 75


def feature_map(coordinates: np.ndarray, features: Sequence[str], side: float = 4.6) -> Figure:
    """Where each feature lies, by its kind; as in the images, rows count from the top.

    Args:
        coordinates: the plane turned upright, shape (features, 2).
        features: their names.
        side: of the drawing, inches.
    """
    figure = Figure(figsize=(side, side + 0.3), layout="constrained")
    axes = figure.subplots()
    names = np.asarray(features, dtype=str)
    low, extent = coordinates.min(axis=0), np.ptp(coordinates, axis=0)
    x, y = ((coordinates - low) / np.where(extent > 0, extent, 1)).T
    for prefix, kind, colour, size in KINDS:
        chosen = np.char.startswith(names, prefix)
        if chosen.any():
            label, marker = f"{chosen.sum()} {kind}", "D" if kind == "conditions" else "o"
            axes.scatter(x[chosen], y[chosen], s=size, color=colour, marker=marker, linewidth=0, label=label)
    axes.set(xlim=(-0.03, 1.03), ylim=(1.03, -0.03), aspect="equal")
    _frame(axes)
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, labelcolor=INK, borderaxespad=0.2,
        handletextpad=0.2, columnspacing=1.2,
    )  # fmt: skip
    return figure


def channels(image: np.ndarray, panel: float = 2.3) -> Figure:
    """The channels of an image of shape (3, height, width), side by side on one scale from 0 to 1."""
    figure = Figure(figsize=(3 * panel, panel + 0.25), layout="constrained")
    for axes, channel, name in zip(figure.subplots(1, 3), image, CHANNELS, strict=True):
        _show(axes, channel, "viridis", 0, 1)
        axes.set_title(name, color=INK, fontsize=9)
    return figure


def class_panels(rows: Mapping[str, tuple[Mapping[str, np.ndarray], bool]], panel: float = 2.3) -> Figure:
    """One column a class, one row a way to look at it.

    Args:
        rows: by its name, a row's images of shape (height, width) by class, and whether they are differences: these are
            drawn around 0 on one scale for all classes, the outermost hundredths cut off, the others from 0 to each
            one's largest value.
    """
    classes = list(next(iter(rows.values()))[0])
    size = (panel * len(classes) + 0.25, panel * len(rows) + 0.35)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(rows), len(classes), squeeze=False)
    for line, (name, (images, signed)) in zip(grid, rows.items(), strict=True):
        sizes = np.abs(np.concatenate([image[image != 0] for image in images.values()]))
        bound = float(np.quantile(sizes, 0.98)) if len(sizes) else 1.0  # or one pixel would leave the others dark
        for axes, image in zip(line, images.values(), strict=True):
            if signed:
                _show(axes, image, "berlin", -bound, bound)
            else:
                _show(axes, image, "magma", 0, float(image.max()) or 1.0)
        line[0].set_ylabel(name, color=INK, fontsize=9)
    for axes, name in zip(grid[0], classes, strict=True):
        axes.set_title("\n".join(textwrap.wrap(name.replace("_", " "), 24)), color=INK, fontsize=9)
    return figure


def paint(values: np.ndarray, rows: np.ndarray, cols: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A value a feature as an image of shape ``shape``; of features that share a pixel the largest in size counts."""
    image = np.zeros(shape)
    order = np.argsort(np.abs(values), kind="stable")
    image[rows[order], cols[order]] = values[order]
    return image


def _show(axes: Axes, image: np.ndarray, colours: str, low: float, high: float) -> None:
    # Pixels themselves and no resampling: in the report they are a few kilobytes and sharp at any size.
    axes.imshow(_swell(image), cmap=colours, vmin=low, vmax=high, interpolation="none")
    _frame(axes)


def _swell(image: np.ndarray) -> np.ndarray:
    """The image with its lit pixels swollen so far that they can be seen; where they meet, the larger size wins."""
    reach = int(LEAST_DOT * max(image.shape) / 2)
    rows, cols = np.nonzero(image)
    steps = np.arange(-reach, reach + 1)
    down, right = (step.ravel() for step in np.meshgrid(steps, steps, indexing="ij"))
    spread_rows = np.clip(rows[:, None] + down, 0, image.shape[0] - 1).ravel()
    spread_cols = np.clip(cols[:, None] + right, 0, image.shape[1] - 1).ravel()
    return paint(np.repeat(image[rows, cols], len(down)), spread_rows, spread_cols, image.shape)


def _frame(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_color(GRID)
