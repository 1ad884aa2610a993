"""Hyper-parameters of the perceptrons, and what follows from them: network, generators, optimizer, schedule."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from moa.learners.base import FoldData
from moa.learners.common import EVALUATED_ROWS, GLOBAL_GENERATOR, steps_per_epoch, to_device
from moa.learners.dropout import seed_dropout
from moa.learners.perceptron.network import BLOCKS, Perceptron


class MLPSettings(BaseModel):
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
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

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
        self, n_inputs: int, n_targets: int, seed: int, device: torch.device, dtype: torch.dtype
    ) -> tuple[Perceptron, torch.Generator, torch.Generator]:
        """A unit's untrained network, and the generators of its dropout masks and of its order of rows.

        As in the original, all are seeded with the model seed: the folds of a seed start from the same initial weights.
        """
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
