"""Draws feature values as images, batch by batch, on the device of the model; and the swap noise of training.

The pixel of a feature is fixed for each fold, so everything that does not depend on the values is computed in advance:
the occupied pixels, and the features that share one. What remains per batch is a short chain of gathers and one
scatter.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

CHANNELS = ("mean", "min", "max")


class Renderer:
    """Draw rows of features as images: mean, min and max of the features that share a pixel, 0 where there is none.

    Source: write-up, DeepInsight CNNs (Sharma et al. 2019 use only the mean).

    Most pixels hold one feature, whose value is mean, min and max at once. The others are reduced rank by rank: pixels
    are sorted by how many features they hold, so those with an r-th feature are always the first few, and no padding is
    needed. The order of additions is fixed, so that the images are the same on every run.

    Args:
        rows, cols: pixel of every feature, integers of shape (features,).
        shape: height and width in pixels.
        device: of values and images.
        dtype: of the images; the reduction uses the dtype of the values.
        channels_last: store images with the channels innermost.
    """

    def __init__(
        self,
        rows: np.ndarray | Tensor,
        cols: np.ndarray | Tensor,
        shape: tuple[int, int],
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        channels_last: bool = False,
    ):
        self.shape, self.device, self.dtype, self.channels_last = shape, torch.device(device), dtype, channels_last
        height, width = shape
        pixel = np.asarray(rows, np.int64) * width + np.asarray(cols, np.int64)
        if pixel.size == 0 or pixel.min() < 0 or pixel.max() >= height * width:
            raise ValueError(f"every feature must fall in the {height} x {width} image, and there must be one")
        self.n_features = len(pixel)
        self.pixel_of_feature = self._index(pixel)

        occupied, of_feature, counts = np.unique(pixel, return_inverse=True, return_counts=True)
        by_count = np.argsort(-counts, kind="stable")
        features = np.argsort(of_feature, kind="stable")
        starts = np.cumsum(counts) - counts
        counts, starts = counts[by_count], starts[by_count]
        # Rank r: the r-th feature of each pixel that has more than r of them.
        self._ranks = [
            self._index(features[starts[: np.searchsorted(-counts, -rank)] + rank]) for rank in range(counts[0])
        ]
        self.pixels = self._index(occupied[by_count])
        self._counts = torch.from_numpy(counts).to(self.device)
        self._canvas: Tensor | None = None

    def _index(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device)

    def reduce(self, values: Tensor) -> Tensor:
        """Mean, min and max of every occupied pixel, shape (batch, 3, occupied pixels), in the order of ``pixels``."""
        first = values.index_select(1, self._ranks[0])
        if len(self._ranks) == 1:
            return first[:, None].expand(-1, 3, -1)
        shared = len(self._ranks[1])
        total = low = high = first[:, :shared]
        for rank in self._ranks[1:]:
            value, n = values.index_select(1, rank), len(rank)
            total = torch.cat([total[:, :n] + value, total[:, n:]], 1)
            low = torch.cat([torch.minimum(low[:, :n], value), low[:, n:]], 1)
            high = torch.cat([torch.maximum(high[:, :n], value), high[:, n:]], 1)
        alone = first[:, shared:]
        mean = total / self._counts[:shared].to(total.dtype)
        return torch.stack([torch.cat([part, alone], 1) for part in (mean, low, high)], 1)

    def __call__(self, values: Tensor, reuse: bool = False) -> Tensor:
        """Render a batch.

        Args:
            values: scaled features, shape (batch, features), on this renderer's device.
            reuse: draw over the images of the last such call, which saves clearing memory (at 224 pixels, nearly all
                of the time). The occupied pixels are always the same, so nothing of the last batch remains, but the
                former images are overwritten. That is right in a training loop, whose backward pass is finished before
                the next batch is drawn; elsewhere autograd raises an error, because the first convolution keeps its
                input for the gradient of its weights. Not for values that need a gradient themselves.

        Returns:
            Images of shape (batch, 3, height, width).
        """
        if values.ndim != 2 or values.shape[1] != self.n_features:
            raise ValueError(f"expected values of shape (batch, {self.n_features}), got {tuple(values.shape)}")
        if reuse and values.requires_grad and torch.is_grad_enabled():
            raise ValueError("values that need a gradient must be drawn on fresh images: reuse=False")
        drawn = self.reduce(values).to(self.dtype)
        canvas = self._reused(len(values)) if reuse else self._blank(len(values))
        at = self.pixels.expand(len(values), 3, -1)
        if self.channels_last:
            canvas.scatter_(1, at.transpose(1, 2), drawn.transpose(1, 2))
            return canvas.unflatten(1, self.shape).permute(0, 3, 1, 2)
        canvas.scatter_(2, at, drawn)
        return canvas.unflatten(2, self.shape)

    def _blank(self, batch: int) -> Tensor:
        area = self.shape[0] * self.shape[1]
        size = (batch, area, 3) if self.channels_last else (batch, 3, area)
        return torch.zeros(size, device=self.device, dtype=self.dtype)

    def _reused(self, batch: int) -> Tensor:
        if self._canvas is None or len(self._canvas) < batch:
            # A canvas made in inference mode could not be used in training.
            with torch.inference_mode(False):
                self._canvas = self._blank(batch)
        return self._canvas[:batch]


@dataclass(frozen=True)
class SwapNoise:
    """Replace part of the features of some rows by those of a donor row. Source: write-up, DeepInsight CNNs.

    The donor is any row, as published: once in n the row itself, which then stays as it is. Donors are clean rows and
    the data are never changed. In the original, workers changed their copy of the data until the end of an epoch, so
    that a donor was now and then a noised row itself.

    Attributes:
        probability: that a row is noised.
        fraction: share of all features that a noised row takes, rounded down (131 of 875).
        first: position of the first feature that may be taken; those before it are the treatment's conditions.
    """

    probability: float = 0.1
    fraction: float = 0.15
    first: int = 0

    def __call__(self, x: Tensor, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Noised copies of some rows.

        Args:
            x: all clean rows, shape (rows, features).
            rows: positions of the wanted rows, shape (batch,).
            generator: on the device of ``x``.

        Returns:
            Shape (batch, features).
        """
        batch = x.index_select(0, rows)
        candidates = x.shape[1] - self.first
        taken = min(int(self.fraction * x.shape[1]), candidates)
        if len(x) < 2 or taken < 1 or self.probability <= 0:
            return batch
        draw = partial(torch.rand, generator=generator, device=x.device)
        noised = (draw(len(rows)) < self.probability).nonzero()[:, 0]
        donors = torch.randint(len(x), (len(noised),), generator=generator, device=x.device)
        # The largest of random keys are a draw without replacement.
        keys = draw(len(noised), candidates)
        swapped = self.first + keys.topk(taken, dim=1, sorted=False).indices
        batch[noised[:, None], swapped] = x[donors[:, None], swapped]
        return batch
