"""A trained DeepInsight CNN, rebuilt from its stored tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from moa.errors import UserError
from moa.learners.base import Fitted
from moa.learners.deepinsight.backbones import BACKBONES, Backbone, build_network
from moa.learners.deepinsight.rendering import Renderer
from moa.learners.runtime import Runtime


class FittedCNN:
    """A trained unit on a device: feature map and network.

    Attributes:
        network: in evaluation mode.
        renderer: draws rows by the unit's feature map.
        features, targets: names of columns.
        meta: as stored.
    """

    def __init__(self, network: nn.Module, renderer: Renderer, meta: dict[str, Any], runtime: Runtime):
        self.network, self.renderer, self.meta, self.runtime = network, renderer, meta, runtime
        self.features: list[str] = meta["features"]
        self.targets: list[str] = meta["targets"]

    @classmethod
    def restore(cls, fitted: Fitted, runtime: Runtime | None = None) -> FittedCNN:
        """Rebuild a unit from its stored tensors and facts."""
        runtime, meta, tensors = runtime or Runtime(), fitted.meta, fitted.tensors
        with torch.random.fork_rng(devices=[]):
            network = build_network(_backbone(meta), len(meta["targets"]), meta["hidden"])
        prefix = "network."
        network.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
        renderer = Renderer(
            tensors["map.rows"],
            tensors["map.cols"],
            tuple(meta["shape"]),
            runtime.torch_device,
            channels_last=runtime.channels_last,
        )
        return cls(runtime.place(network).eval(), renderer, meta, runtime)

    @property
    def last_features(self) -> nn.Module:
        """The layer whose output is the network's last feature map."""
        return self.network.get_submodule(_backbone(self.meta).last_features)

    def values(self, X: pd.DataFrame) -> Tensor:
        """Inputs on the device, float32, shape (rows, features).

        Raises:
            UserError: the columns are not those of training.
        """
        if list(X.columns) != self.features:
            pairs = zip(list(X.columns), self.features, strict=False)
            place = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(X.columns), len(self.features)))
            got, wanted = ([*columns, "nothing"][place] for columns in (list(X.columns), self.features))
            raise UserError(f"column {place + 1} of the features is {got}, but the network was trained with {wanted}")
        values = np.ascontiguousarray(X.to_numpy(np.float64))  # torch takes no reversed rows
        return torch.tensor(values, dtype=torch.float32, device=self.renderer.device)

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Probabilities, float32, shape (rows, targets)."""
        if not len(X):
            return np.empty((0, len(self.targets)), np.float32)
        with torch.no_grad(), self.runtime.autocast():
            parts = [
                self.network(self.renderer(values, reuse=True)).float().sigmoid().cpu()
                for values in self.values(X).split(self.runtime.predict_batch)
            ]
        return torch.cat(parts).numpy()


def _backbone(meta: dict[str, Any]) -> Backbone:
    return BACKBONES[meta["backbone"]["kind"]].model_validate(meta["backbone"])
