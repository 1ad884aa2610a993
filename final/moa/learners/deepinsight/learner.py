"""The DeepInsight CNNs as a learner: rows become images, and Lightning trains a network on them.

All data lie on the device as scaled features. A batch is an index lookup, swap noise and one drawing, so no Python code
runs per row. Everything random in an epoch is drawn from (seed, fold, epoch) alone, and each epoch ends with a
checkpoint: a fold that was killed continues from its last whole epoch, and gives the result it would have given without
the kill.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from moa.environment import needs
from moa.learners.base import FitJob, Fitted, JobLearner
from moa.learners.deepinsight.settings import CNNSettings
from moa.learners.runtime import PRECISIONS, Runtime

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


class CNNLearner(CNNSettings, JobLearner):
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

    def train(self, job: FitJob) -> Fitted:
        """Train on one fold, from its checkpoint in ``runtime.scratch`` if there is one."""
        import torch

        from moa.learners.common import own_generators, unit_seed
        from moa.learners.deepinsight.backbones import build_network, load_pretrained

        with needs("cnn"):
            from moa.learners.deepinsight.lightning import train

        data, runtime = job.data, job.runtime
        feature_map = self.feature_map().fit(data.X.iloc[data.train])
        name = f"last-{self.fingerprint(data, job.seed, job.fold)}.ckpt"
        checkpoint = runtime.scratch / name if runtime.scratch else None
        with own_generators(runtime.torch_device):
            # A checkpoint holds the weights: continuing must not depend on a server that has ImageNet's.
            resuming = checkpoint is not None and checkpoint.is_file()
            state, origin = None, None
            if self.pretrained and not resuming:
                state, origin = load_pretrained(self.backbone, runtime.pretrained)
            torch.manual_seed(unit_seed(job.seed, job.fold))
            network = build_network(self.backbone, data.y.shape[1], self.hidden, state)
            trained = train(self, job, network, feature_map, checkpoint, origin)
        tensors = {f"network.{name}": value for name, value in trained.best_state.items()}
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
