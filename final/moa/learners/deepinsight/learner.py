"""The DeepInsight CNNs as a learner: rows become images, and Lightning trains a network on them.

All data lie on the device as scaled features. A batch is an index lookup, swap noise and one drawing, so no Python code
runs per row. Everything random in an epoch is drawn from (seed, fold, epoch) alone, and each epoch ends with a
checkpoint: a fold that was killed continues from its last whole epoch, and gives the result it would have given without
the kill.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from moa.environment import needs
from moa.learners.base import EpochCallback, Fitted, FoldData
from moa.learners.deepinsight.settings import CNNSettings
from moa.learners.runtime import PRECISIONS, Runtime

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


class CNNLearner(CNNSettings):
    """Trains and applies a CNN; its fields are those of ``CNNSettings``.

    The inputs are features scaled to [0, 1], as the stage's ``unit_features`` make them; the feature map is fitted on
    the scaled training rows of each fold.
    """

    parallel: ClassVar = "processes"  # torch's global generator draws dropout and drop-connect
    training_options: ClassVar = frozenset(
        {"precision", "devices", "strategy", "channels_last", "compile", "tensorboard", "pretrained"}
    )
    precisions: ClassVar = PRECISIONS
    checkpoints: ClassVar = True

    def fit(
        self,
        data: FoldData,
        seed: int,
        fold: int,
        runtime: Runtime,
        initial: Fitted | None = None,
        callback: EpochCallback | None = None,
    ) -> Fitted:
        """Train on one fold, from its checkpoint in ``runtime.scratch`` if there is one.

        See ``moa.learners.base.Learner``.
        """
        import torch

        from moa.learners.common import unit_seed
        from moa.learners.deepinsight.backbones import build_network, load_pretrained

        with needs("cnn"):
            from moa.learners.deepinsight.lightning import train

        feature_map = self.feature_map().fit(data.X.iloc[data.train])
        device = runtime.torch_device
        checkpoint = self._checkpoint(data, seed, fold, runtime)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            # A checkpoint holds the weights: continuing must not depend on a server that has ImageNet's.
            resuming = checkpoint is not None and checkpoint.is_file()
            state, origin = (None, None)
            if self.pretrained and not resuming:
                state, origin = load_pretrained(self.backbone, runtime.pretrained)
            torch.manual_seed(unit_seed(seed, fold))
            network = build_network(self.backbone, data.y.shape[1], self.hidden, state)
            trained = train(self, data, seed, fold, runtime, network, feature_map, checkpoint, origin, callback)
        tensors = {f"network.{name}": value for name, value in trained.state.items()}
        tensors["map.rows"], tensors["map.cols"] = torch.tensor(feature_map.rows_), torch.tensor(feature_map.cols_)
        tensors["map.coordinates"] = torch.tensor(feature_map.coordinates_)
        meta = {
            "backbone": self.backbone.model_dump(mode="json"),
            "hidden": self.hidden,
            "shape": list(feature_map.shape_),
            "features": list(data.X.columns),
            "targets": list(data.y.columns),
            "pretrained": trained.origin,
            "best_epoch": trained.best_epoch,
        }
        return Fitted({name: value.contiguous() for name, value in tensors.items()}, meta, trained.history)

    def predict(self, fitted: Fitted, X: pd.DataFrame, runtime: Runtime) -> np.ndarray:
        """Probabilities of the kept epoch; see ``moa.learners.base.Learner``."""
        from moa.learners.deepinsight.fitted import FittedCNN  # apart from fit: Lightning takes seconds to import

        return FittedCNN.restore(fitted, runtime).predict(X)

    def _checkpoint(self, data: FoldData, seed: int, fold: int, runtime: Runtime) -> Path | None:
        if runtime.scratch is None:
            return None
        return runtime.scratch / f"last-{self.fingerprint(data, seed, fold)}.ckpt"
