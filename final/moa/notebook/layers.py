"""What the notebooks show of networks: layers with shapes, schedules, attention, phases, and a chain of stages."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from moa.data.dataset import Dataset
from moa.plots.networks import attention_shares, cells_of_rows, chain_bars, phases_curve, schedule_curve
from moa.weights.trained import Trained


@torch.no_grad()
def layers(network: nn.Module, *widths: int, image: int | None = None, deep: int = 2) -> pd.DataFrame:
    """The layers of a network in the order in which they are computed.

    Args:
        network: on the CPU; put into evaluation mode.
        widths: columns of its inputs; none for images.
        image: pixels per side of its images.
        deep: levels of the network's modules that are shown.

    Returns:
        one row per layer: "layer", "output" (shape of one row) and "parameters".
    """
    network.eval()
    rows: list[dict[str, Any]] = []

    def note(name: str, module: nn.Module, output: Any) -> None:
        shape = " × ".join(str(size) for size in (output[0] if isinstance(output, tuple) else output).shape[1:])
        count = sum(value.numel() for value in module.parameters())
        rows.append({"": name, "layer": type(module).__name__, "output": shape, "parameters": f"{count:,}"})

    if isinstance(network, nn.Sequential):
        x = torch.zeros(2, *widths)
        for name, module in network.named_children():
            x = module(x)
            note(name, module, x)
        return pd.DataFrame(rows).set_index("")
    hooks = [
        module.register_forward_hook(lambda module, _, output, name=name: note(name, module, output))
        for name, module in network.named_modules()
        if name and name.count(".") < deep
    ]
    try:
        inputs = [torch.zeros(2, 3, image, image)] if image else [torch.zeros(2, width) for width in widths]
        network(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return pd.DataFrame(rows).set_index("")


def learning_rates(
    optimizer: torch.optim.Optimizer | None = None,
    schedule: Any = None,
    epochs: int = 0,
    steps: int = 1,
    rates: Sequence[float] | None = None,
) -> Figure:
    """The learning rate of each step of a schedule, with Adam's first beta where it cycles too; or given ``rates``."""
    if rates is not None or optimizer is None:
        return schedule_curve(rates or ())
    found: list[tuple[float, float]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch's, of a schedule that is stepped without its optimizer
        for _ in range(epochs * steps):
            group = optimizer.param_groups[0]
            found.append((group["lr"], group["betas"][0]))
            schedule.step()
    values, betas = zip(*found, strict=True)
    return schedule_curve(values, steps, betas)


def shares(entmax: Callable[[Tensor], Tensor], columns: int = 60) -> Figure:
    """What an attention makes of random values, beside softmax, which gives each column a share."""
    values = 1.5 * torch.randn(1, columns, generator=torch.Generator().manual_seed(0))
    found = {"entmax": entmax(values)[0].numpy(), "softmax": values.softmax(-1)[0].numpy()}
    return attention_shares(values[0].numpy(), found)


def phases(trained: Trained) -> Figure:
    """The losses of a 2-heads net's first unit, phase by phase."""
    found: dict[str, pd.DataFrame] = {}
    seed, fold = trained.units(trained.last)[0]
    for stage in trained.stages.values():
        fitted = trained.unit(stage.name, seed, fold).fitted
        found[stage.name] = pd.DataFrame(fitted.history or trained.store.unit_facts(stage.name, seed, fold).history)
    if fitted.meta.get("phase3"):
        found["phase 3, the looper"] = pd.DataFrame(fitted.meta["phase3"])
    return phases_curve(found)


def chain(trained: Trained, data: Dataset) -> Figure:
    """What each stage predicts for one training row, of the most frequent mechanism, by the networks of all folds."""
    target = data.scored.sum().idxmax()
    row = data.scored.index[data.scored[target] > 0][0]
    features = data.features.loc[[row]]
    predicted = {
        stage.name: trained.predict_stage(stage.name, features, trained.units(stage), quiet=True).iloc[0]
        for stage in trained.stages.values()
    }
    names = data.scored.columns[data.scored.loc[row] > 0]
    return chain_bars(predicted, list(names))


def noised_images(renderer: Any, noise: Any, values: Tensor) -> Figure:
    """One row as an image, as it is and with swap noise from the others.

    Args:
        renderer: draws values, as ``moa.learners.deepinsight.rendering.Renderer``.
        noise: as ``moa.learners.deepinsight.rendering.SwapNoise``.
        values: scaled features, shape (rows, features); the first row is drawn.
    """
    device = values.device
    first = torch.zeros(1, dtype=torch.int64, device=device)
    always = noise.__class__(1.0, noise.fraction, noise.first)  # a tenth of the rows is noised; this one shall be
    swapped = always(values, first, torch.Generator(device).manual_seed(1))
    before, after = (renderer(each)[0].cpu().numpy() for each in (values[:1], swapped))
    return cells_of_rows(np.clip(before, 0, 1), np.clip(after, 0, 1))
