"""What follows from the settings of a perceptron: network, generators, tables, optimizer and schedule."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from moa.learners.base import FoldData
from moa.learners.common import EVALUATED_ROWS, GLOBAL_GENERATOR, steps_per_epoch, to_device
from moa.learners.dropout import seed_dropout
from moa.learners.perceptron.network import Perceptron
from moa.learners.perceptron.settings import MLPSettings


def start(
    settings: MLPSettings, n_inputs: int, n_targets: int, seed: int, device: torch.device, dtype: torch.dtype
) -> tuple[Perceptron, torch.Generator, torch.Generator]:
    """A unit's untrained network, and the generators of its dropout masks and of its order of rows.

    As in the original, all are seeded with the model seed: the folds of a seed start from the same initial weights.
    """
    with GLOBAL_GENERATOR, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = settings.network(n_inputs, n_targets, nn.Linear).to(device, dtype)
    masks = torch.Generator(device).manual_seed(seed)
    seed_dropout(network, masks)
    return network, masks, torch.Generator().manual_seed(seed)


def tables(settings: MLPSettings, data: FoldData, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """A fold's inputs and clipped targets on the device."""
    y = to_device(data.y, device, dtype)
    return to_device(data.X, device, dtype), y.clamp(*settings.target_clip) if settings.target_clip else y


def optimizer(settings: MLPSettings, parameters: Iterable[Tensor], steps: int) -> tuple[torch.optim.Adam, OneCycleLR]:
    """Adam and its schedule for ``steps`` batches per epoch."""
    adam = torch.optim.Adam(parameters, weight_decay=settings.weight_decay, fused=True)
    return adam, schedule(settings, adam, steps)


def schedule(settings: MLPSettings, optimizer: torch.optim.Optimizer, steps: int) -> OneCycleLR:
    """The schedule of an optimizer for ``steps`` batches per epoch."""
    climb = settings.pct_start * (settings.epochs * steps)
    return OneCycleLR(
        optimizer,
        settings.max_lr,
        epochs=settings.epochs,
        steps_per_epoch=steps,
        # A climb of exactly one step has no length, by which torch divides.
        pct_start=settings.pct_start * (1 + 1e-9 * (climb == 1)),
        div_factor=settings.div_factor,
    )


def steps(settings: MLPSettings, data: FoldData) -> int:
    """Steps per epoch of a fold."""
    return steps_per_epoch(len(data.train), settings.batch_size)


def unit_bytes(settings: MLPSettings, data: FoldData) -> int:
    """Memory that training one unit takes, without the tables; the layers' outputs are estimated."""
    with torch.device("meta"):
        network = settings.network(data.X.shape[1], data.y.shape[1], nn.Linear)
    parameters = sum(value.numel() for value in network.parameters())
    widths = 3 * data.X.shape[1] + 8 * settings.hidden + 4 * data.y.shape[1]
    # Value, gradient, two moments, best epoch, and the normed weight with its gradient.
    return 4 * (7 * parameters + widths * max(settings.batch_size, EVALUATED_ROWS))
