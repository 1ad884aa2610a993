"""What a DeepInsight CNN responds to: its gradients or its last feature map, per named gene and cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from moa.errors import UserError
from moa.learners.deepinsight.fitted import FittedCNN


def attributions(
    fitted: FittedCNN,
    X: pd.DataFrame,
    targets: Sequence[str],
    method: Literal["gradient", "grad-cam"] = "gradient",
    batch_size: int = 32,
    names: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """How much each feature moves the score of each target, averaged over rows.

    Args:
        fitted: a trained unit.
        X: inputs as for prediction (scaled); choose the rows to explain, such as those of one MoA class.
        targets: names of targets.
        method: "gradient": size of the gradient of the target's logit in the scaled feature, through the image
            (Simonyan et al. 2014). "grad-cam": the class activation map (Selvaraju et al. 2017) at the feature's pixel,
            scaled to a largest value of 1 per row; coarse, since features that lie close together share it.
        batch_size: rows at a time.
        names: a name for each feature, such as ``moa.data.feature_names.display_names`` gives: gene symbols and cell
            lines.

    Returns:
        Non-negative, indexed by feature, one column per target; with ``names`` a first column "name".

    Raises:
        UserError: an unknown target or method, or no rows.
    """
    unknown = [name for name in targets if name not in fitted.targets]
    if unknown:
        raise UserError(f"target '{unknown[0]}' is none of those that the network was trained on")
    if method not in METHODS:
        raise UserError(f"method '{method}' is unknown; choose one of: {', '.join(METHODS)}")
    if not len(X):
        raise UserError("there are no rows to explain")
    places = [fitted.targets.index(name) for name in targets]
    total = torch.zeros(len(targets), len(fitted.features), dtype=torch.float64)
    for values in fitted.values(X).split(batch_size):
        total += METHODS[method](fitted, values, places).double().cpu()
    found = pd.DataFrame(
        (total / len(X)).T.numpy(), index=pd.Index(fitted.features, name="feature"), columns=list(targets)
    )
    if names is not None:
        found.insert(0, "name", [names.get(feature, feature) for feature in fitted.features])
    return found


def _gradient(fitted: FittedCNN, values: Tensor, places: list[int]) -> Tensor:
    """Sums over rows, shape (targets, features)."""
    values = values.detach().requires_grad_()
    with torch.enable_grad():
        scores = fitted.network(fitted.renderer(values))
        rows = [torch.autograd.grad(scores[:, place].sum(), values, retain_graph=True)[0] for place in places]
    return torch.stack([row.abs().sum(0) for row in rows])


def _grad_cam(fitted: FittedCNN, values: Tensor, places: list[int]) -> Tensor:
    """Sums over rows, shape (targets, features)."""
    kept: list[Tensor] = []
    hook = fitted.last_features.register_forward_hook(lambda layer, inputs, output: kept.append(output))
    try:
        with torch.enable_grad():
            scores = fitted.network(fitted.renderer(values.detach().requires_grad_()))
    finally:
        hook.remove()
    (maps,) = kept
    pixels = fitted.renderer.pixel_of_feature
    sums = []
    for place in places:
        (slope,) = torch.autograd.grad(scores[:, place].sum(), maps, retain_graph=True)
        heat = (slope.mean((2, 3), keepdim=True) * maps.detach()).sum(1, keepdim=True).relu()
        heat = torch.nn.functional.interpolate(heat, fitted.renderer.shape, mode="bilinear").flatten(1)
        heat = heat / heat.amax(1, keepdim=True).clamp_min(torch.finfo(heat.dtype).tiny)
        sums.append(heat[:, pixels].sum(0))
    return torch.stack(sums)


METHODS = {"gradient": _gradient, "grad-cam": _grad_cam}


def class_images(
    fitted: FittedCNN, X: pd.DataFrame, y: pd.DataFrame, targets: Sequence[str], batch_size: int = 128
) -> dict[str, np.ndarray]:
    """Mean image of the rows that carry each target, by target: float32, shape (3, height, width).

    Raises:
        UserError: labels of other rows than the features, or a target that no row carries.
    """
    if not X.index.equals(y.index):
        raise UserError("features and targets are not of the same rows, in the same order")
    images = {}
    for target in targets:
        if target not in y or not (y[target] > 0).any():
            raise UserError(f"no row carries target '{target}'")
        values = fitted.values(X[y[target] > 0])
        with torch.no_grad():
            parts = (fitted.renderer(part, reuse=True).sum(0) for part in values.split(batch_size))
            total = sum(parts, torch.zeros(()))
        images[target] = (total / len(values)).cpu().numpy()
    return images
