"""The training loop of the multilayer perceptrons: one network, one fold, in one page.

This is the readable reference; ``moa.learners.perceptron.batched`` runs it side by side, or trains many folds at once to the same result.
Data lies on the device once, batches are index lookups, and nothing is read back from the device inside an epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Lock
from typing import Literal, get_args

import numpy as np
import pandas as pd
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce_with_logits
from torch.optim.lr_scheduler import OneCycleLR

from moa.errors import UserError
from moa.learners.base import Fitted, Fold
from moa.learners.common import EVALUATED_ROWS, smooth, steps_per_epoch, to_device, unit_seed
from moa.learners.dropout import seed_dropout
from moa.learners.perceptron.network import BLOCKS, Perceptron

_GLOBAL_GENERATOR = Lock()  # members may start side by side, each seeding the one generator that layers draw from


class MLPLearner(BaseModel):
    """A perceptron and how it is trained (write-up, common parts); the defaults are the published settings.

    Attributes:
        block: "3-fc" or "2-fc".
        hidden: width of the hidden layers.
        dropout: rates of the block's dropout layers.
        epochs: all are run; the one with the lowest validation loss is kept.
        batch_size: rows a step.
        max_lr, div_factor, pct_start: OneCycleLR, stepped per batch; it also cycles Adam's first beta.
        weight_decay: Adam's L2 term.
        smoothing: the training loss uses y·(1-s) + s/2; the validation loss does not.
        target_clip: both losses use targets clipped to this range.
        precision: of predictions, and so no hyper-parameter and left out of ``model_dump()``. "bf16-mixed" rounds the
            factors of the matrix products to bfloat16: nearly twice the speed on processors with AVX512-BF16 or AMX.
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
    precision: Literal["32-true", "bf16-mixed"] = Field("32-true", exclude=True)

    def at_precision(self, precision: str) -> MLPLearner:
        """A copy that predicts at another precision; see ``moa.models.base.ModelConfig.at_precision``."""
        wanted = "32-true" if precision == "auto" else precision
        if wanted not in get_args(type(self).model_fields["precision"].annotation):
            raise UserError(f"--precision {precision}: perceptrons have 32-true and bf16-mixed")
        return self.model_copy(update={"precision": wanted})

    def build(self, n_inputs: int, n_targets: int, linear: Callable[..., nn.Linear] = nn.Linear) -> Perceptron:
        """The untrained network; its linear layers initialise themselves from torch's global generator."""
        return BLOCKS[self.block](n_inputs, n_targets, hidden=self.hidden, dropout=self.dropout, linear=linear)

    def initial(self, fold: Fold, dtype: torch.dtype) -> tuple[Perceptron, torch.Generator, torch.Generator]:
        """A fold's untrained network, and the generators of its dropout masks and of its order of rows."""
        seed = unit_seed(fold.seed, fold.fold)
        with _GLOBAL_GENERATOR, torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = self.build(fold.x.shape[1], fold.y.shape[1]).to(fold.device, dtype)
        masks = torch.Generator(fold.device).manual_seed(seed)
        seed_dropout(network, masks)
        return network, masks, torch.Generator().manual_seed(seed)

    def tables(self, fold: Fold, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """A fold's inputs and clipped targets on its device."""
        y = to_device(fold.y, fold.device, dtype)
        return to_device(fold.x, fold.device, dtype), y.clamp(*self.target_clip) if self.target_clip else y

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

    def fit(self, fold: Fold, dtype: torch.dtype = torch.float32) -> Fitted:
        """Train on one fold; see ``moa.learners.base.Learner``. Double precision is there for comparisons."""
        device = fold.device
        x, y = self.tables(fold, dtype)
        train = torch.from_numpy(fold.train).to(device)
        valid = torch.from_numpy(fold.valid).to(device)
        network, _, order = self.initial(fold, dtype)
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
                batch, labels = x.index_select(0, rows), y.index_select(0, rows)
                loss = bce_with_logits(network(batch), smooth(labels, self.smoothing))
                adam.zero_grad(set_to_none=True)
                loss.backward()
                adam.step()
                schedule.step()
                total += loss.detach()

            valid_loss = bce_with_logits(logits(network, x[valid]), y[valid]).item()
            row = {"epoch": epoch, "train_loss": total.item() / steps, "valid_loss": valid_loss}
            history.append(row)
            fold.on_epoch(epoch, self.epochs, row)
            # A first epoch that is not finite must still leave weights to look at, hence the second condition.
            if valid_loss < best_loss or not best_state:
                best_loss = valid_loss
                best_state = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
        return Fitted(best_state, {"n_inputs": x.shape[1], "n_targets": y.shape[1]}, history)

    def predict(self, fitted: Fitted, x: pd.DataFrame, device: torch.device) -> np.ndarray:
        """Probabilities of the kept epoch; see ``moa.learners.base.Learner``."""
        network = self.build(fitted.meta["n_inputs"], fitted.meta["n_targets"], _Undrawn)
        network.load_state_dict(fitted.tensors, assign=True)
        network.rounded = torch.bfloat16 if self.precision == "bf16-mixed" else None
        return logits(network.to(device), to_device(x, device)).sigmoid().cpu().numpy()


class _Undrawn(nn.Linear):
    """A linear layer whose weights are not drawn, since stored ones replace them at once.

    Drawing takes as long as a tenth of the evaluation; torch's own ``skip_init`` imports sympy for half a second.
    """

    def reset_parameters(self) -> None:
        """Leave the memory as it is."""


@torch.no_grad()
def logits(network: Perceptron, x: Tensor) -> Tensor:
    """Evaluate a network batch by batch, in evaluation mode; shape (rows, targets)."""
    network.eval()
    if not len(x):
        return x.new_zeros(0, 0)
    evaluate = network.folded()
    return torch.cat([evaluate(part) for part in x.split(EVALUATED_ROWS)])
