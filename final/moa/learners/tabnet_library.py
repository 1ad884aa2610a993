"""The pytorch-tabnet library as TabNet's learner uses it: its estimator, metrics, callback and faster embeddings."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import cache
from typing import Any

import numpy as np
import torch
from pytorch_tabnet import tab_network
from pytorch_tabnet.callbacks import Callback
from pytorch_tabnet.metrics import Metric
from torch import Tensor, nn

from moa.learners.base import EpochCallback
from moa.learners.common import smooth

#: Added to probabilities before their logarithm is taken.
_LOG_EPS = 1e-15


def log_loss_of_sigmoid(output: Tensor, target: Tensor, smoothing: float) -> Tensor:
    """Mean binary log loss of raw outputs, by their sigmoid in 32 bits as in the original: log(p + 1e-15).

    Beyond a logit of about 16.6 the sigmoid is 1. Where that is wrong, the loss stays at 34.5 and has no gradient, as
    ``binary_cross_entropy_with_logits`` would have one.
    """
    labels, p = smooth(target, smoothing), output.sigmoid()
    return -(labels * (p + _LOG_EPS).log() + (1 - labels) * (1 - p + _LOG_EPS).log()).mean()


@cache
def log_loss_of_logits(smoothing: float) -> type[Metric]:
    """Mean binary log loss of raw outputs, as a class: the library makes its metrics itself, and finds them by name."""

    class LogLossOfLogits(Metric):
        def __init__(self) -> None:
            self._name = f"log_loss_{smoothing:g}"
            self._maximize = False

        def __call__(self, y_true: np.ndarray, y_score: np.ndarray) -> float:
            target = torch.from_numpy(np.asarray(y_true, np.float32))
            return log_loss_of_sigmoid(torch.from_numpy(y_score), target, smoothing).item()

    return LogLossOfLogits


class Reporter(Callback):
    """Collects the history and reports each epoch."""

    def __init__(self, callback: EpochCallback):
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
def library() -> Iterator[None]:
    """The library without its notes on the device and on the best epoch, and with the embeddings above."""
    slow = tab_network.EmbeddingGenerator
    tab_network.EmbeddingGenerator = EmbeddingGenerator
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        tab_network.EmbeddingGenerator = slow
