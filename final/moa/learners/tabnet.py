"""TabNet (Arik & Pfister 2019) as a learner, built on the pytorch-tabnet library."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import cache
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from pydantic import BaseModel, ConfigDict
from pytorch_tabnet import tab_network
from pytorch_tabnet.callbacks import Callback
from pytorch_tabnet.metrics import Metric
from pytorch_tabnet.tab_model import TabNetRegressor
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce_with_logits

from moa.learners.base import EpochCallback, Fitted, FoldData
from moa.learners.common import smooth, to_device
from moa.learners.runtime import PRECISIONS, Runtime


class TabNetLearner(BaseModel):
    """TabNet on multi-label targets; the defaults are the published settings. Source: write-up, 2-stage NN + TabNet.

    The first ``len(cat_dims)`` input columns hold categories as codes 0, 1, …; the others are numbers. The library's
    regressor is used, as published: its raw outputs are taken as logits.

    Attributes:
        n_d, n_a, n_steps, gamma, lambda_sparse, mask_type: see TabNet's paper and the library.
        cat_dims, cat_emb_dim: number of categories of the coded columns and width of their embeddings, one number per
            column; None: set by the stage from the conditions of the data's schema, with embeddings of width 1.
        lr, weight_decay: Adam.
        milestones, decay: MultiStepLR, in epochs.
        smoothing: y·(1-s) + s/2 in the training loss and in the metric that stops training.
        batch_size, virtual_batch_size: rows per step, and rows per "ghost" batch norm.
        epochs, patience: most epochs, and epochs without gain before stopping; the best epoch is kept.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    parallel: ClassVar = "processes"  # the library seeds and draws from torch's and numpy's global generators
    training_options: ClassVar = frozenset()
    precisions: ClassVar = PRECISIONS

    n_d: int = 32
    n_a: int = 32
    n_steps: int = 1
    gamma: float = 1.3
    lambda_sparse: float = 0.0
    mask_type: str = "entmax"
    cat_dims: tuple[int, ...] | None = None
    cat_emb_dim: tuple[int, ...] | None = None
    lr: float = 2e-2
    weight_decay: float = 1e-5
    milestones: tuple[int, ...] = (100, 150)
    decay: float = 0.9
    smoothing: float = 0.001
    batch_size: int = 1024
    virtual_batch_size: int = 128
    epochs: int = 200
    patience: int = 50

    def build(self, seed: int, device: torch.device) -> TabNetRegressor:
        """The library's estimator, not yet fitted. Seeds torch's global generator: call it inside ``fork_rng``."""
        sizes, widths = self.cat_dims or (), self.cat_emb_dim or ()
        return TabNetRegressor(
            n_d=self.n_d,
            n_a=self.n_a,
            n_steps=self.n_steps,
            gamma=self.gamma,
            lambda_sparse=self.lambda_sparse,
            mask_type=self.mask_type,
            cat_idxs=list(range(len(sizes))),
            cat_dims=list(sizes),
            cat_emb_dim=list(widths),
            optimizer_fn=torch.optim.Adam,
            optimizer_params={"lr": self.lr, "weight_decay": self.weight_decay},
            scheduler_fn=torch.optim.lr_scheduler.MultiStepLR,
            scheduler_params={"milestones": list(self.milestones), "gamma": self.decay},
            seed=seed,
            verbose=0,
            device_name=str(device),
        )

    def fit(
        self,
        data: FoldData,
        seed: int,
        fold: int,
        runtime: Runtime,
        initial: Fitted | None = None,
        callback: EpochCallback | None = None,
    ) -> Fitted:
        """Train on one fold; see ``moa.learners.base.Learner``."""
        device = runtime.torch_device
        X, y = data.X.to_numpy(np.float32), data.y.to_numpy(np.float32)
        reporter = _Reporter(callback)
        # The library draws the order of rows and the initial weights from torch's global generator, seeded with the
        # model seed in every fold, as in the original.
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), _library():
            estimator = self.build(seed, device)
            estimator.fit(
                X[data.train],
                y[data.train],
                eval_set=[(X[data.valid], y[data.valid])],
                eval_name=["valid"],
                # Training is stopped by the last metric: the smoothed one, as published.
                eval_metric=[log_loss_of_logits(0.0), log_loss_of_logits(self.smoothing)],
                loss_fn=lambda output, target: bce_with_logits(output, smooth(target, self.smoothing)),
                max_epochs=self.epochs,
                patience=self.patience,
                batch_size=self.batch_size,
                virtual_batch_size=self.virtual_batch_size,
                # All rows are used, unless one alone is left over: batch norm cannot be trained on it.
                drop_last=len(data.train) % self.batch_size == 1,
                callbacks=[reporter],
                compute_importance=False,
            )
        tensors = {name: value.detach().cpu().clone() for name, value in estimator.network.state_dict().items()}
        return Fitted(tensors, {"n_inputs": X.shape[1], "n_targets": y.shape[1]}, reporter.history)

    def predict(self, fitted: Fitted, X: pd.DataFrame, runtime: Runtime) -> np.ndarray:
        """Probabilities of the kept epoch; see ``moa.learners.base.Learner``."""
        device = runtime.torch_device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), _library():
            estimator = self.build(0, device)
            estimator.input_dim, estimator.output_dim = fitted.meta["n_inputs"], fitted.meta["n_targets"]
            estimator._set_network()  # the only way the library offers to build a network without fitting it
        network = estimator.network
        network.load_state_dict(fitted.tensors)
        network.eval()
        with torch.no_grad():
            parts = [network(part)[0].sigmoid().cpu() for part in to_device(X, device).split(4096)]
        return torch.cat(parts).numpy()


@cache
def log_loss_of_logits(smoothing: float) -> type[Metric]:
    """Mean binary log loss of raw outputs, as a class: the library makes its metrics itself, and finds them by name."""

    class LogLossOfLogits(Metric):
        def __init__(self) -> None:
            self._name = f"log_loss_{smoothing:g}"
            self._maximize = False

        def __call__(self, y_true: np.ndarray, y_score: np.ndarray) -> float:
            target = smooth(torch.from_numpy(np.asarray(y_true, np.float32)), smoothing)
            return bce_with_logits(torch.from_numpy(y_score), target).item()

    return LogLossOfLogits


class _Reporter(Callback):
    """Collects the history and reports each epoch."""

    def __init__(self, callback: EpochCallback | None):
        super().__init__()
        self.callback = callback
        self.history: list[dict[str, float]] = []

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        values = self.trainer.history.history
        plain, stopping = (values[name][-1] for name in self.trainer._metrics_names[-2:])
        row = {
            "epoch": epoch,
            "train_loss": float(values["loss"][-1]),
            "valid_loss": float(plain),
            "valid_stopping_loss": float(stopping),
        }
        self.history.append(row)
        if self.callback:
            self.callback.on_epoch_end(epoch, self.trainer.max_epochs, row)


class _Identity(Tensor):
    """An identity matrix that is known as such: products by it are left out."""

    @classmethod
    def __torch_function__(
        cls, function: Callable, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if function is torch.matmul and type(args[1]) is cls:
            return args[0]
        return super().__torch_function__(function, types, args, kwargs or {})


def _known(matrix: Tensor) -> Tensor:
    """The matrix; where it is the identity, which spreads attention over groups of one column, an ``_Identity``.

    The library multiplies by it in each step, a quarter of its time where the columns are 1,397.
    """
    rows, columns = matrix.shape
    same = rows == columns and torch.equal(matrix, torch.eye(rows, dtype=matrix.dtype, device=matrix.device))
    return matrix.as_subclass(_Identity) if same else matrix


class EmbeddingGenerator(tab_network.EmbeddingGenerator):
    """The library's embeddings, same numbers, same parameters, without its Python loops.

    Its constructor fills a matrix of 1,397 x 1,397 cells one by one, a quarter of a minute for each network that is
    built, and each of its batches is cut into 1,397 columns and put together again.
    """

    def __init__(
        self, input_dim: int, cat_dims: list[int], cat_idxs: list[int], cat_emb_dims: list[int], group_matrix: Tensor
    ):
        nn.Module.__init__(self)
        self.skip_embedding = not cat_dims
        self.embeddings = nn.ModuleList(nn.Embedding(*size) for size in zip(cat_dims, cat_emb_dims, strict=True))
        widths = torch.ones(input_dim, dtype=torch.long, device=group_matrix.device)
        widths[cat_idxs] = torch.tensor(cat_emb_dims, dtype=torch.long, device=group_matrix.device)
        self.post_embed_dim = int(widths.sum())
        self.embedding_group_matrix = _known((group_matrix / widths).repeat_interleave(widths, dim=1))
        self.cat_idxs = cat_idxs

    def forward(self, x: Tensor) -> Tensor:
        """Columns with the coded ones embedded in their places, shape (rows, post_embed_dim)."""
        parts, start = [], 0
        for index, embedding in zip(self.cat_idxs, self.embeddings, strict=True):
            parts += [x[:, start:index].float(), embedding(x[:, index].long())]
            start = index + 1
        return torch.cat([*parts, x[:, start:].float()], dim=1)


@contextmanager
def _library() -> Iterator[None]:
    """The library without its notes on the device and on the best epoch, and with the embeddings above."""
    slow = tab_network.EmbeddingGenerator
    tab_network.EmbeddingGenerator = EmbeddingGenerator
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        tab_network.EmbeddingGenerator = slow
