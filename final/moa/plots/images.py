"""Figures of the DeepInsight CNNs: the map of the features, images, and the features a network relied on."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.ndimage import maximum_filter, minimum_filter

from moa.data.assay import Assay
from moa.learners.deepinsight.crowding import crowding
from moa.learners.deepinsight.rendering import CHANNELS
from moa.plots.charts import GRID, INK, LEGEND, SERIES, canvas, panels, plain_text

#: Pixels are drawn at least this wide, as a share of the image's side, so that they can be seen.
LEAST_DOT = 1 / 75
#: Width of an image among others, in inches.
_SIDE = 2.3


@dataclass(frozen=True)
class FeatureKind:
    """Features of one kind, and the colour, area (points squared) and shape of their dots; ``name`` is a plural."""

    name: str
    columns: Sequence[str]
    colour: str
    size: int
    marker: str = "o"


def kinds(schema: Assay) -> list[FeatureKind]:
    """The feature groups of a schema, and "conditions" (the control column included), which come last."""
    found = [
        # Dots of large groups are smaller, since they lie closer together.
        FeatureKind(group.name, group.columns, SERIES[place % 3], 9 if len(group.columns) > 500 else 14)
        for place, group in enumerate(schema.groups)
    ]
    return [*found, FeatureKind("conditions", (*schema.control_columns, *schema.condition_columns), SERIES[3], 60, "D")]


def feature_map(
    coordinates: np.ndarray,
    features: Sequence[str],
    schema: Assay,
    names: Mapping[str, str] | None = None,
    shape: Sequence[int] | None = None,
) -> Figure:
    """Position of each feature on the plane, coloured by kind; as in the images, rows count from the top.

    Args:
        coordinates: the plane with its smallest rectangle turned upright, shape (features, 2).
        features: names of the features, in this order.
        schema: kinds of the features.
        names: features to write beside their dots, with the names to write.
        shape: (height, width) of the images; a remark below a map that leaves most pixels empty then says why.
    """
    figure, axes = canvas(4.6, 4.9)
    low, extent = coordinates.min(axis=0), np.ptp(coordinates, axis=0)
    x, y = ((coordinates - low) / np.where(extent > 0, extent, 1)).T
    for kind in kinds(schema):
        chosen = np.isin(features, kind.columns)
        if chosen.any():
            label = f"{chosen.sum()} {plain_text(kind.name)}"
            axes.scatter(
                x[chosen], y[chosen], s=kind.size, color=kind.colour, marker=kind.marker, linewidth=0, label=label
            )
    for feature, name in (names or {}).items():
        place = list(features).index(feature)
        side = "right" if x[place] > 0.7 else "left"  # the text stays inside the drawing
        text: dict[str, Any] = {"fontsize": 7, "color": INK, "ha": side}
        axes.annotate(plain_text(name), (x[place], y[place]), (4, 4), textcoords="offset points", **text)
    axes.set(xlim=(-0.03, 1.03), ylim=(1.03, -0.03), aspect="equal")
    _frame(axes)
    if shape is not None:
        remark = crowding(coordinates, (shape[0], shape[1]), features).remark
        axes.set_xlabel("\n".join(textwrap.wrap(plain_text(remark), 66)), color=INK, fontsize=9, loc="left")
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2, handletextpad=0.2, columnspacing=1.2,
        **LEGEND,
    )  # fmt: skip
    return figure


def channels(image: np.ndarray) -> Figure:
    """The channels of an image of shape (3, height, width), side by side, all on a scale from 0 to 1."""
    figure, row = panels(3, _SIDE, _SIDE + 0.25)
    for axes, channel, name in zip(row, image, CHANNELS, strict=True):
        _show(axes, channel, "viridis", 0, 1)
        axes.set_title(name, color=INK, fontsize=9)
    return figure


def class_panels(rows: Mapping[str, tuple[Mapping[str, np.ndarray], bool]]) -> Figure:
    """A grid of images: one column per class, one row per kind of image.

    Args:
        rows: by name, a row's images of shape (height, width) by class, and whether they are differences. Differences
            are drawn on one scale for all classes, symmetric around 0, which ends at the 98 % quantile of their sizes;
            other images are drawn from 0 to their largest value.
    """
    classes = list(next(iter(rows.values()))[0])
    size = (_SIDE * len(classes) + 0.25, _SIDE * len(rows) + 0.35)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(rows), len(classes), squeeze=False)
    for line, (name, (images, signed)) in zip(grid, rows.items(), strict=True):
        sizes = np.abs(np.concatenate([image[image != 0] for image in images.values()]))
        bound = float(np.quantile(sizes, 0.98)) if len(sizes) else 1.0  # the largest would leave the others dark
        for axes, image in zip(line, images.values(), strict=True):
            if signed:
                _show(axes, image, "berlin", -bound, bound)
            else:
                _show(axes, image, "magma", 0, float(image.max()) or 1.0)
        line[0].set_ylabel(plain_text(name), color=INK, fontsize=9)
    for axes, name in zip(grid[0], classes, strict=True):
        axes.set_title("\n".join(textwrap.wrap(plain_text(name).replace("_", " "), 24)), color=INK, fontsize=9)
    return figure


def paint(values: np.ndarray, rows: np.ndarray, cols: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """An image of shape (height, width) with one value per feature at its pixel row and column, shape (features,).

    If features share a pixel, the value with the largest absolute value is drawn.
    """
    image = np.zeros(shape)
    order = np.argsort(np.abs(values), kind="stable")
    image[rows[order], cols[order]] = values[order]
    return image


def _show(axes: Axes, image: np.ndarray, colours: str, low: float, high: float) -> None:
    # Without interpolation the image is small in the report, and sharp at any size.
    axes.imshow(_swell(image), cmap=colours, vmin=low, vmax=high, interpolation="none")
    _frame(axes)


def _swell(image: np.ndarray) -> np.ndarray:
    """The image with nonzero pixels enlarged to ``LEAST_DOT``; where they overlap, the larger absolute value wins."""
    size = 2 * int(LEAST_DOT * max(image.shape) / 2) + 1
    high, low = (find(image.astype(float), size, mode="constant") for find in (maximum_filter, minimum_filter))
    return np.where(high > -low, high, low)


def _frame(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_color(GRID)
