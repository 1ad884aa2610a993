"""Hyper-parameters of the DeepInsight CNNs."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from moa.data.sizes import BATCH, WIDTH
from moa.learners.base import FoldData
from moa.learners.deepinsight.backbones import Backbone, EfficientNet

if TYPE_CHECKING:
    from moa.learners.deepinsight.feature_map import FeatureMap
    from moa.learners.deepinsight.rendering import SwapNoise


class CNNSettings(BaseModel):
    """A DeepInsight CNN and how it is trained; the defaults are those of the EfficientNet.

    Source: write-up, DeepInsight CNNs. The published ResNeSt is
    ``CNNSettings(backbone=ResNeSt(final_drop=0.2), resolution=224, batch_size=128, patience=16)``.

    Attributes:
        backbone: ``moa.learners.deepinsight.backbones.EfficientNet`` or ``ResNeSt``.
        hidden: width of the head's hidden layer.
        resolution: pixels per side.
        layout, perplexity, map_iterations, map_seed: of ``moa.learners.deepinsight.feature_map.FeatureMap``.
        swap_probability, swap_fraction, swap_first: of ``moa.learners.deepinsight.rendering.SwapNoise``;
            ``swap_first=None`` is set by the stage from the data's schema: the conditions are never swapped.
        epochs, patience, min_delta: most epochs, and epochs without a gain of ``min_delta`` in the validation loss
            before stopping; the epoch of the lowest loss is kept.
        batch_size: rows per step.
        lr, weight_decay: of RAdam; the decay is applied to the weights apart from the moments.
        half_cycle: epochs from the full learning rate down to 0 by a cosine. A quirk is kept: the plain cosine then
            rises again for as many epochs, and the epoch in which it is 0 only changes batch norm's averages.
        gradient_clip: largest norm of the gradient.
        smoothing: the training loss uses y·(1-s) + s/2; the validation loss does not.
        pretrained: start from ImageNet weights, see ``moa.learners.deepinsight.backbones.load_pretrained``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    backbone: Annotated[Backbone, Field(discriminator="kind")] = EfficientNet()
    hidden: Annotated[int, WIDTH] = 512
    resolution: int = 300
    layout: str = "tsne"
    perplexity: float = 5
    map_iterations: int = 1000
    map_seed: int = 1120
    swap_probability: float = 0.1
    swap_fraction: float = 0.15
    swap_first: int | None = None
    epochs: int = 200
    patience: int = 12
    min_delta: float = 1e-6
    batch_size: Annotated[int, BATCH] = 48
    lr: float = 0.000352
    weight_decay: float = 1e-6
    half_cycle: int = 5
    gradient_clip: float = 10.0
    smoothing: float = 0.001
    pretrained: bool = True

    def noise(self) -> SwapNoise:
        """The swap noise of training."""
        from moa.learners.deepinsight.rendering import SwapNoise

        return SwapNoise(self.swap_probability, self.swap_fraction, self.swap_first or 0)

    def feature_map(self) -> FeatureMap:
        """The unfitted map from features to pixels."""
        from moa.learners.deepinsight.feature_map import FeatureMap

        return FeatureMap(self.resolution, self.layout, self.perplexity, self.map_iterations, self.map_seed)

    def fingerprint(self, data: FoldData, seed: int, fold: int) -> str:
        """Hash by which a checkpoint of other settings, rows or columns is recognised as not belonging to this unit."""
        import numpy as np

        digest = hashlib.sha256(self.model_dump_json().encode())
        digest.update(repr((seed, fold, list(data.X.columns), list(data.y.columns))).encode())
        for part in (data.X.to_numpy(np.float32), data.y.to_numpy(np.float32), data.train, data.valid):
            digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()[:16]
