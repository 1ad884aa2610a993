"""The training loop of the multilayer perceptrons: one network, one fold, on one page.

This is the readable reference. ``moa.learners.perceptron.batched`` trains many units as one batched network, with the
same result up to rounding. The data lie on the device once, batches are index lookups, and nothing is read back from
the device inside an epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce_with_logits
from torch.optim.lr_scheduler import OneCycleLR

from moa.learners.base import EpochCallback, Fitted, FoldData
from moa.learners.common import EVALUATED_ROWS, GLOBAL_GENERATOR, smooth, steps_per_epoch, to_device, unit_seed
from moa.learners.dropout import seed_dropout
from moa.learners.perceptron.network import BLOCKS, Perceptron
from moa.learners.runtime import Runtime


class MLPLearner(BaseModel):
    """A perceptron and how it is trained; the defaults are the published settings. Source: write-up, common parts.

    Attributes:
        block: "3-fc" or "2-fc".
        hidden: width of the hidden layers.
        dropout: rates of the block's dropout layers.
        epochs: all are run; the one with the lowest validation loss is kept.
        batch_size: rows per step.
        max_lr, div_factor, pct_start: of OneCycleLR, stepped per batch; it also cycles Adam's first beta.
        weight_decay: Adam's L2 term.
        smoothing: the training loss uses y·(1-s) + s/2; the validation loss does not.
        target_clip: both losses use targets clipped to this range.

    Predictions under ``Runtime(precision="bf16-mixed")`` round the factors of the matrix products to bfloat16: nearly
    twice the speed on processors with AVX512-BF16 or AMX. Training always uses float32.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    parallel: ClassVar = "threads"
    training_options: ClassVar = frozenset()
    precisions: ClassVar = ("auto", "32-true", "bf16-mixed")

    block: Literal["3-fc", "2-fc"] = "3-fc"
    hidden: int = 2048
    dropout: tuple[float, ...] = (0.0, 0.25, 0.25)
    epochs: int = 25
    batch_size: int = 256
    max_lr: float = 1e-2
    div_factor: float = 1e3
    pct_start: float = 0.1
    weight_decay: float = 1e-5
    smoothing: float = 0.0
    target_clip: tuple[float, float] | None = None

    def build(self, n_inputs: int, n_targets: int, linear: Callable[..., nn.Linear] = nn.Linear) -> Perceptron:
        """The untrained network; its linear layers initialise themselves from torch's global generator."""
        return BLOCKS[self.block](n_inputs, n_targets, hidden=self.hidden, dropout=self.dropout, linear=linear)

    def start(
        self, n_inputs: int, n_targets: int, seed: int, fold: int, device: torch.device, dtype: torch.dtype
    ) -> tuple[Perceptron, torch.Generator, torch.Generator]:
        """A unit's untrained network, and the generators of its dropout masks and of its order of rows."""
        seed = unit_seed(seed, fold)
        with GLOBAL_GENERATOR, torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = self.build(n_inputs, n_targets).to(device, dtype)
        masks = torch.Generator(device).manual_seed(seed)
        seed_dropout(network, masks)
        return network, masks, torch.Generator().manual_seed(seed)

    def tables(self, data: FoldData, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """A fold's inputs and clipped targets on the device."""
        y = to_device(data.y, device, dtype)
        return to_device(data.X, device, dtype), y.clamp(*self.target_clip) if self.target_clip else y

    def optimizer(self, parameters: Iterable[Tensor], steps: int) -> tuple[torch.optim.Adam, OneCycleLR]:
        """Adam and its schedule for ``steps`` batches an epoch."""
        adam = torch.optim.Adam(parameters, weight_decay=self.weight_decay, fused=True)
        return adam, self.schedule(adam, steps)

    def schedule(self, optimizer: torch.optim.Optimizer, steps: int) -> OneCycleLR:
        """The schedule of an optimizer for ``steps`` batches an epoch."""
        climb = self.pct_start * (self.epochs * steps)
        return OneCycleLR(
            optimizer,
            self.max_lr,
            epochs=self.epochs,
            steps_per_epoch=steps,
            # A climb of exactly one step has no length, by which torch divides.
            pct_start=self.pct_start * (1 + 1e-9 * (climb == 1)),
            div_factor=self.div_factor,
        )

    def fit(
        self,
        data: FoldData,
        seed: int,
        fold: int,
        runtime: Runtime,
        initial: Fitted | None = None,
        callback: EpochCallback | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Fitted:
        """Train on one fold; see ``moa.learners.base.Learner``. Double precision is for comparisons."""
        device = runtime.torch_device
        X, y = self.tables(data, device, dtype)
        train = torch.from_numpy(data.train).to(device)
        valid = torch.from_numpy(data.valid).to(device)
        network, _, order = self.start(X.shape[1], y.shape[1], seed, fold, device, dtype)
        steps = steps_per_epoch(len(train), self.batch_size)
        adam, schedule = self.optimizer(network.parameters(), steps)
        history: list[dict[str, float]] = []
        best_loss, best_state = float("inf"), {}
        for epoch in range(self.epochs):
            network.train()
            total = torch.zeros((), device=device, dtype=dtype)
            shuffled = train[torch.randperm(len(train), generator=order).to(device)]
            for step in range(steps):
                rows = shuffled[step * self.batch_size : (step + 1) * self.batch_size]
                batch, labels = X.index_select(0, rows), y.index_select(0, rows)
                loss = bce_with_logits(network(batch), smooth(labels, self.smoothing))
                adam.zero_grad(set_to_none=True)
                loss.backward()
                adam.step()
                schedule.step()
                total += loss.detach()

            valid_loss = bce_with_logits(logits(network, X[valid]), y[valid]).item()
            row = {"epoch": epoch, "train_loss": total.item() / steps, "valid_loss": valid_loss}
            history.append(row)
            if callback:
                callback.on_epoch_end(epoch, self.epochs, row)
            # A first epoch that is not finite must still leave weights to look at, hence the second condition.
            if valid_loss < best_loss or not best_state:
                best_loss = valid_loss
                best_state = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
        return Fitted(best_state, {"n_inputs": X.shape[1], "n_targets": y.shape[1]}, history)

    def predict(self, fitted: Fitted, X: pd.DataFrame, runtime: Runtime) -> np.ndarray:
        """Probabilities of the kept epoch; see ``moa.learners.base.Learner``."""
        device = runtime.torch_device
        network = self.build(fitted.meta["n_inputs"], fitted.meta["n_targets"], _Undrawn)
        network.load_state_dict(fitted.tensors, assign=True)
        network.rounded = torch.bfloat16 if runtime.precision == "bf16-mixed" else None
        return logits(network.to(device), to_device(X, device)).sigmoid().cpu().numpy()

    # -- many units as one batched network ----------------------------------------------------------------------------

    def batch_key(self, data: FoldData) -> int:
        """Steps per epoch: units that share it share the schedule, so that they can be trained together."""
        return steps_per_epoch(len(data.train), self.batch_size)

    def unit_bytes(self, data: FoldData) -> int:
        """Memory that training one unit takes beside the tables; the layers' outputs are estimated."""
        with torch.device("meta"):
            network = self.build(data.X.shape[1], data.y.shape[1])
        parameters = sum(value.numel() for value in network.parameters())
        widths = 3 * data.X.shape[1] + 8 * self.hidden + 4 * data.y.shape[1]
        # Value, gradient, two moments, best epoch, and the normed weight with its gradient.
        return 4 * (7 * parameters + widths * max(self.batch_size, EVALUATED_ROWS))

    def fit_batched(
        self,
        data: Sequence[FoldData],
        seeds: Sequence[int],
        folds: Sequence[int],
        runtime: Runtime,
        callbacks: Sequence[EpochCallback | None],
    ) -> list[Fitted]:
        """Train several units together; see ``moa.learners.base.BatchedLearner``."""
        from moa.learners.perceptron.batched import fit_batched  # which builds on this module

        return fit_batched(self, data, seeds, folds, runtime, callbacks)


class _Undrawn(nn.Linear):
    """A linear layer whose initial weights are not drawn, because stored ones replace them at once.

    Drawing takes a tenth of the evaluation's time; torch's own ``skip_init`` imports sympy, which takes half a second.
    """

    def reset_parameters(self) -> None:
        """Leave the memory uninitialised."""


@torch.no_grad()
def logits(network: Perceptron, X: Tensor) -> Tensor:
    """Evaluate a network batch by batch, in evaluation mode; shape (rows, targets)."""
    network.eval()
    if not len(X):
        return X.new_zeros(0, 0)
    evaluate = network.folded()
    return torch.cat([evaluate(part) for part in X.split(EVALUATED_ROWS)])
