"""Feature maps that leave most of their pixels empty, and the features that cause it.

The map is cut into pixels from its smallest to its largest coordinate, so that one feature far from all others leaves
these in a corner, where many share a pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from moa.learners.deepinsight.feature_map import digitize
from moa.words import listed

#: A map is crowded if it uses less than this share of the pixels that its features could use.
CROWDED = 1 / 3
#: Largest share of features that are taken for outliers, and the number of them that is named.
_OUTLIERS, _NAMED = 0.05, 5


@dataclass(frozen=True)
class Crowding:
    """How a map uses its pixels.

    Attributes:
        used: pixels that hold a feature.
        pixels: all pixels.
        usable: the most that the features could use: one each, or all pixels.
        outliers: features without which the others would use at least `CROWDED` of what they could, the farthest
            first; empty for a map that is not crowded, or where it is not a few features that cause it.
        without: pixels that the others would use without them.
    """

    used: int
    pixels: int
    usable: int
    outliers: tuple[str, ...] = ()
    without: int = 0

    @property
    def crowded(self) -> bool:
        """Whether the map uses too few pixels."""
        return self.used < CROWDED * self.usable

    @property
    def remark(self) -> str:
        """A sentence on a crowded map; empty for others."""
        if not self.crowded:
            return ""
        words = f"The map uses {self.used:,} of {self.pixels:,} pixels, and its features could use {self.usable:,}"
        if not self.outliers:
            return f"{words}: they lie in a few heaps, and many share a pixel."
        named = listed(self.outliers, _NAMED)
        return f"{words}: {named} lie far from all others, which would use {self.without:,} without them."


def crowding(coordinates: np.ndarray, shape: tuple[int, int], features: Sequence[str]) -> Crowding:
    """How a map uses its pixels.

    Args:
        coordinates: the plane with its smallest rectangle turned upright, shape (features, 2).
        shape: (height, width) of the images.
        features: names of the features, in this order.
    """
    pixels = shape[0] * shape[1]
    found = Crowding(_used(coordinates, shape), pixels, min(len(features), pixels))
    if not found.crowded:
        return found
    kept = np.arange(len(features))
    outliers: list[int] = []
    while len(outliers) < max(1, int(_OUTLIERS * len(features))) and len(kept) > 1:
        # The rectangle shrinks only without one of the features at its four sides.
        place = coordinates[kept]
        sides = np.unique([*place.argmin(axis=0), *place.argmax(axis=0)])
        areas = [np.prod(np.ptp(np.delete(place, side, axis=0), axis=0)) for side in sides]
        side = sides[int(np.argmin(areas))]
        outliers.append(int(kept[side]))
        kept = np.delete(kept, side)
        without = _used(coordinates[kept], shape)
        if without >= CROWDED * min(len(kept), pixels):
            names = tuple(str(features[number]) for number in outliers)
            return Crowding(found.used, pixels, found.usable, names, without)
    return found


def _used(coordinates: np.ndarray, shape: tuple[int, int]) -> int:
    """Pixels that hold a feature."""
    rows, cols = digitize(coordinates[:, 0], shape[0]), digitize(coordinates[:, 1], shape[1])
    return len(np.unique(rows * shape[1] + cols))
