"""The DeepInsight CNNs as a learner: rows become images, and Lightning trains a network on them.

All data lie on the device as scaled features. A batch is an index lookup, swap noise and one drawing, so no Python
code runs per row. Whatever is random in an epoch is drawn from (seed, fold, epoch) alone, and each epoch ends in a
checkpoint: a fold that was killed goes on from its last whole epoch, and ends where it would have ended anyway.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from moa.errors import UserError
from moa.learners.base import Fitted, Fold
from moa.learners.deepinsight.backbones import BACKBONES, Backbone, EfficientNet, build_network, load_pretrained
from moa.learners.deepinsight.feature_map import FeatureMap, LogScaler
from moa.learners.deepinsight.rendering import Renderer, SwapNoise
from moa.learners.runtime import Runtime


class CNNLearner(BaseModel):
    """A DeepInsight CNN and how it is trained (write-up, DeepInsight CNNs); the defaults are those of the EfficientNet.

    The input table holds raw features in the published order: cp_type, cp_dose, cp_time (coded 0 … 1), genes, cells.
    Scaler and feature map are fitted on the training rows of each fold. The published ResNeSt is
    ``CNNLearner(backbone=ResNeSt(final_drop=0.2), resolution=224, batch_size=128, patience=16)``.

    Attributes:
        backbone: ``moa.learners.deepinsight.backbones.EfficientNet`` or ``ResNeSt``.
        hidden: width of the head's hidden layer.
        resolution: pixels a side.
        layout, perplexity, map_iterations, map_seed: of ``moa.learners.deepinsight.feature_map.FeatureMap``.
        swap_probability, swap_fraction, swap_first: of ``moa.learners.deepinsight.rendering.SwapNoise``.
        epochs, patience: most epochs, and epochs without a lower validation loss before stopping; the best is kept.
        batch_size: rows a step.
        lr, weight_decay: of RAdam; the decay is applied to the weights apart from the moments.
        half_cycle: epochs from the full learning rate down to 0 by a cosine. A quirk is kept: the plain cosine then
            rises again for as many epochs, and the epoch in which it is 0 moves nothing but batch norm's averages.
        gradient_clip: largest norm of the gradient.
        smoothing: the training loss uses y·(1-s) + s/2; the validation loss does not.
        pretrained: start from ImageNet weights, see ``moa.learners.deepinsight.backbones.load_pretrained``.
        weights_dir: where these lie. Like ``runtime``, no hyper-parameter, and so left out of ``model_dump()``.
        runtime: devices, precision, logs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    backbone: Backbone = Field(EfficientNet(), discriminator="kind")
    hidden: int = 512
    resolution: int = 300
    layout: str = "tsne"
    perplexity: float = 5
    map_iterations: int = 1000
    map_seed: int = 1120
    swap_probability: float = 0.1
    swap_fraction: float = 0.15
    swap_first: int = 3
    epochs: int = 200
    patience: int = 12
    batch_size: int = 48
    lr: float = 0.000352
    weight_decay: float = 1e-6
    half_cycle: int = 5
    gradient_clip: float = 10.0
    smoothing: float = 0.001
    pretrained: bool = True
    weights_dir: Path | None = Field(None, exclude=True)
    runtime: Runtime = Field(Runtime(), exclude=True)

    def fit(self, fold: Fold) -> Fitted:
        """Train on one fold; see ``moa.learners.base.Learner``. Goes on from its checkpoint in ``fold.scratch``, if any."""
        from moa.learners.deepinsight.lightning import (
            train,  # Lightning takes seconds to import, and prediction has no need of it
        )

        scaler = LogScaler().fit(fold.x.iloc[fold.train])
        scaled = pd.DataFrame(scaler.transform(fold.x), fold.x.index, fold.x.columns)
        feature_map = FeatureMap(self.resolution, self.layout, self.perplexity, self.map_iterations, self.map_seed)
        feature_map.fit(scaled.iloc[fold.train])
        devices = [fold.device] if fold.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            trained = train(self, fold, scaled, feature_map)
        tensors = {f"network.{name}": value for name, value in trained.state.items()}
        tensors["scaler.minimum"] = torch.tensor(scaler.minimum_)
        tensors["scaler.largest"] = torch.tensor([scaler.largest_], dtype=torch.float64)
        tensors["map.rows"], tensors["map.cols"] = torch.tensor(feature_map.rows_), torch.tensor(feature_map.cols_)
        tensors["map.coordinates"] = torch.tensor(feature_map.coordinates_)
        meta = {
            "backbone": self.backbone.model_dump(mode="json"),
            "hidden": self.hidden,
            "shape": list(feature_map.shape_),
            "features": list(fold.x.columns),
            "targets": list(fold.y.columns),
            "pretrained": trained.origin,
            "best_epoch": trained.best_epoch,
        }
        return Fitted({name: value.contiguous() for name, value in tensors.items()}, meta, trained.history)

    def predict(self, fitted: Fitted, x: pd.DataFrame, device: torch.device) -> np.ndarray:
        """Probabilities of the kept epoch; see ``moa.learners.base.Learner``."""
        return FittedCNN.restore(fitted, device, self.runtime).predict(x)

    def at_precision(self, precision: str) -> CNNLearner:
        """A copy run at another precision; see ``moa.models.base.ModelConfig.at_precision``."""
        return self.model_copy(update={"runtime": self.runtime.model_copy(update={"precision": precision})})

    def noise(self) -> SwapNoise:
        """The swap noise of training."""
        return SwapNoise(self.swap_probability, self.swap_fraction, self.swap_first)

    def start(self, n_targets: int, seed: int) -> tuple[nn.Module, str | None]:
        """The network as training begins, and where its ImageNet weights came from. Seeds torch's global generator."""
        state, origin = load_pretrained(self.backbone, self.weights_dir) if self.pretrained else (None, None)
        torch.manual_seed(seed)
        return build_network(self.backbone, n_targets, self.hidden, state), origin

    def fingerprint(self, fold: Fold) -> str:
        """Tells checkpoints of other settings, rows or columns from those of this unit."""
        digest = hashlib.sha256(self.model_dump_json().encode())
        digest.update(repr((fold.seed, fold.fold, list(fold.x.columns), list(fold.y.columns))).encode())
        for part in (fold.x.to_numpy(np.float32), fold.y.to_numpy(np.float32), fold.train, fold.valid):
            digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()[:16]


class FittedCNN:
    """A trained unit brought back to life on a device: scaler, map and network.

    Attributes:
        network: in evaluation mode.
        scaler, renderer: of the unit's fold.
        features, targets: names of columns.
        meta: as stored.
    """

    def __init__(
        self, network: nn.Module, scaler: LogScaler, renderer: Renderer, meta: dict[str, Any], runtime: Runtime
    ):
        self.network, self.scaler, self.renderer, self.meta, self.runtime = network, scaler, renderer, meta, runtime
        self.features: list[str] = meta["features"]
        self.targets: list[str] = meta["targets"]
        self.device = renderer.device

    @classmethod
    def restore(cls, fitted: Fitted, device: torch.device, runtime: Runtime | None = None) -> FittedCNN:
        """Rebuild from stored tensors and facts."""
        runtime, meta, tensors = runtime or Runtime(), fitted.meta, fitted.tensors
        backbone = BACKBONES[meta["backbone"]["kind"]].model_validate(meta["backbone"])
        with torch.random.fork_rng(devices=[]):
            network = build_network(backbone, len(meta["targets"]), meta["hidden"])
        prefix = "network."
        network.load_state_dict(
            {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
        )
        scaler = LogScaler()
        scaler.minimum_, scaler.largest_ = tensors["scaler.minimum"].numpy(), float(tensors["scaler.largest"])
        scaler.n_features_in_ = len(scaler.minimum_)
        renderer = Renderer(
            tensors["map.rows"], tensors["map.cols"], tuple(meta["shape"]), device, channels_last=runtime.channels_last
        )
        return cls(runtime.place(network, device).eval(), scaler, renderer, meta, runtime)

    @property
    def last_features(self) -> nn.Module:
        """The layer whose output is the network's last feature map."""
        kind = self.meta["backbone"]["kind"]
        return self.network.get_submodule(BACKBONES[kind].model_validate(self.meta["backbone"]).last_features)

    def scale(self, x: pd.DataFrame) -> Tensor:
        """Scaled features on the device, float32, shape (rows, features).

        Raises:
            UserError: the columns are not those of training.
        """
        if list(x.columns) != self.features:
            pairs = zip(list(x.columns), self.features, strict=False)
            place = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(x.columns), len(self.features)))
            got, wanted = ([*columns, "nothing"][place] for columns in (list(x.columns), self.features))
            raise UserError(f"column {place + 1} of the features is {got}, but the network was trained with {wanted}")
        return torch.tensor(self.scaler.transform(x.to_numpy(np.float64)), dtype=torch.float32, device=self.device)

    def predict(self, x: pd.DataFrame) -> np.ndarray:
        """Probabilities, float32, shape (rows, targets)."""
        if not len(x):
            return np.empty((0, len(self.targets)), np.float32)
        with torch.no_grad(), self.runtime.autocast(self.device):
            parts = [
                self.network(self.renderer(values, reuse=True)).float().sigmoid().cpu()
                for values in self.scale(x).split(self.runtime.predict_batch)
            ]
        return torch.cat(parts).numpy()
