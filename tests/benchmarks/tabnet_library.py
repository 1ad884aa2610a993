"""TabNet by the pytorch-tabnet library as it is, to compare with: its regressor trained on one fold."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout

import numpy as np
import torch
from pytorch_tabnet.callbacks import Callback
from pytorch_tabnet.metrics import Metric
from pytorch_tabnet.tab_model import TabNetRegressor

from moa.learners.base import EpochCallback, Fitted, FoldData
from moa.learners.common import own_generators, state_on_cpu
from moa.learners.runtime import Runtime
from moa.learners.tabnet.settings import TabNetSettings
from moa.learners.tabnet.training import log_loss_of_sigmoid


def log_loss(smoothing: float) -> type[Metric]:
    """The log loss of raw outputs as a class: the library makes its metrics itself, and finds them by name."""

    class LogLossOfOutputs(Metric):
        def __init__(self) -> None:
            self._name, self._maximize = f"log_loss_{smoothing:g}", False

        def __call__(self, y_true: np.ndarray, y_score: np.ndarray) -> float:
            return log_loss_of_sigmoid(torch.from_numpy(y_score), torch.from_numpy(y_true), smoothing).item()

    return LogLossOfOutputs


class _Reporter(Callback):
    """Collects the history and reports each epoch."""

    def __init__(self, callback: EpochCallback):
        super().__init__()
        self.callback, self.history = callback, []

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        values = self.trainer.history.history
        names = {
            "train_loss": "loss",
            "valid_loss": "valid_log_loss_0",
            "valid_stopping_loss": self.trainer._metrics_names[-1],
        }
        row = {"epoch": epoch} | {name: float(values[theirs][-1]) for name, theirs in names.items()}
        self.history.append(row)
        self.callback.on_epoch_end(epoch, self.trainer.max_epochs, row)


def regressor(settings: TabNetSettings, seed: int = 0) -> TabNetRegressor:
    """The library's estimator, not yet fitted. It seeds torch's global generator."""
    sizes = settings.cat_dims or ()
    return TabNetRegressor(
        n_d=settings.n_d,
        n_a=settings.n_a,
        n_steps=settings.n_steps,
        gamma=settings.gamma,
        lambda_sparse=settings.lambda_sparse,
        mask_type=settings.mask_type,
        momentum=settings.norm_momentum,
        cat_idxs=list(range(len(sizes))),
        cat_dims=list(sizes),
        cat_emb_dim=list(settings.cat_emb_dim or ()),
        optimizer_fn=torch.optim.Adam,
        optimizer_params={"lr": settings.lr, "weight_decay": settings.weight_decay},
        scheduler_fn=torch.optim.lr_scheduler.MultiStepLR,
        scheduler_params={"milestones": list(settings.milestones), "gamma": settings.decay},
        seed=seed,
        verbose=0,
        device_name="cpu",
    )


def network(settings: TabNetSettings, n_inputs: int, n_targets: int, seed: int = 0) -> torch.nn.Module:
    """The library's untrained network."""
    with own_generators(torch.device("cpu")):
        estimator = regressor(settings, seed)
        estimator.input_dim, estimator.output_dim = n_inputs, n_targets
        estimator._set_network()
    return estimator.network


def fit(
    settings: TabNetSettings,
    data: FoldData,
    seed: int,
    fold: int,
    runtime: Runtime,
    callback: EpochCallback | None = None,
    change: Callable[[torch.nn.Module], object] | None = None,
) -> Fitted:
    """Train on one fold; see ``moa.learners.base.Learner``.

    Args:
        settings: hyper-parameters.
        data, seed, fold, runtime, callback: as of a learner.
        change: called with the untrained network.
    """

    class Changed(TabNetRegressor):
        def _set_network(self) -> None:
            super()._set_network()
            if change:
                state = torch.get_rng_state()
                change(self.network)
                torch.set_rng_state(state)

    X, y = data.X.to_numpy(np.float32), data.y.to_numpy(np.float32)
    reporter = _Reporter(callback or EpochCallback())
    with own_generators(torch.device("cpu")), warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        estimator = regressor(settings, seed)
        estimator.__class__ = Changed
        estimator.fit(
            X[data.train],
            y[data.train],
            eval_set=[(X[data.valid], y[data.valid])],
            eval_name=["valid"],
            eval_metric=[log_loss(0.0), log_loss(settings.smoothing)],
            loss_fn=lambda output, target: log_loss_of_sigmoid(output, target, settings.smoothing),
            max_epochs=settings.epochs,
            patience=settings.patience,
            batch_size=settings.batch_size,
            virtual_batch_size=settings.virtual_batch_size,
            drop_last=len(data.train) % settings.batch_size == 1,
            callbacks=[reporter],
            compute_importance=False,
        )
    return Fitted(state_on_cpu(estimator.network), {"n_inputs": X.shape[1], "n_targets": y.shape[1]}, reporter.history)
