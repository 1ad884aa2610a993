"""What a trained DeepInsight CNN responds to, computed for the report on a limited number of rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from moa.learners.deepinsight.attributions import attributions, class_images
from moa.learners.deepinsight.fitted import FittedCNN
from moa.learners.runtime import Runtime
from moa.reporting.inputs import ModelResult
from moa.reporting.scores import ReportScores
from moa.weights.trained import open_trained

#: Number of the most common targets that are explained.
CLASSES = 4
#: Largest number of rows per mean image, and of rows to explain per class: with published settings a row takes a tenth
#: of a second.
IMAGE_ROWS, EXPLAINED_ROWS = 200, 16
#: Methods of attribution, with their names in the report.
METHODS: dict[Literal["gradient", "grad-cam"], str] = {"gradient": "input gradient", "grad-cam": "Grad-CAM"}
#: Number of steps of `explain`, at most.
STEPS = 1 + len(METHODS) * CLASSES


@dataclass(frozen=True)
class Explanation:
    """The explanation of one network.

    Attributes:
        unit: its seed and fold.
        pixels: pixel rows and pixel columns of the features, each of shape (features,), and (height, width).
        coordinates: positions of the features on the plane, shape (features, 2).
        sample: sig_id of one row, and its image of shape (3, height, width).
        held_out: number of rows explained per class; the network was not trained on them.
        means: mean image of each class, and of all treated rows as "", shape (3, height, width).
        weights: attributions by method, shape (features, classes).
    """

    unit: tuple[int, int]
    pixels: tuple[np.ndarray, np.ndarray, tuple[int, int]]
    coordinates: np.ndarray
    sample: tuple[str, np.ndarray]
    held_out: dict[str, int]
    means: dict[str, np.ndarray]
    weights: dict[str, pd.DataFrame]

    @property
    def informative(self) -> dict[str, str]:
        """The methods that rank the features for at least one class, with their names."""
        return {
            method: name
            for method, name in METHODS.items()
            if any(ranks_features(self.weights[method][target]) for target in self.held_out)
        }


def ranks_features(weight: pd.Series) -> bool:
    """Whether the attributions of a class differ between features at all."""
    return weight.max() > weight.min()


def explain(found: ReportScores, model: ModelResult, on_step: Callable[[int], None] = lambda done: None) -> Explanation:
    """Explain the first trained unit of a DeepInsight CNN; ``on_step`` receives the steps done, of at most `STEPS`."""
    trained = open_trained(model.name, found.inputs.weights, Runtime.of(), whole=False)
    stage = trained.last.name
    first = model.units[model.units["stage"] == stage].iloc[0]
    seed, fold = int(first["seed"]), int(first["fold"])
    unit = trained.unit(stage, seed, fold)
    fitted, tensors = FittedCNN.restore(unit.fitted, trained.runtime), unit.fitted.tensors

    def inputs(rows: pd.Index) -> pd.DataFrame:
        return unit.inputs(trained.inputs(stage, found.inputs.data.features.loc[rows], quiet=True))

    y = found.y[found.y.sum().nlargest(CLASSES).index].rename_axis(columns=None)
    y = y.loc[:, y.any()]
    means = _mean_images(fitted, y, inputs)
    on_step(1)

    held_out = y.loc[y.index.isin(trained.store.load_oof(stage, seed, fold).index)]
    explained = {target: held_out.index[held_out[target] > 0][:EXPLAINED_ROWS] for target in y}
    explained = {target: rows for target, rows in explained.items() if len(rows)}
    weights: dict[str, dict[str, pd.Series]] = {method: {} for method in METHODS}
    for number, (target, rows) in enumerate(explained.items()):
        X = inputs(rows)
        for done, method in enumerate(METHODS, 2 + number * len(METHODS)):
            weights[method][target] = attributions(fitted, X, [target], method, batch_size=8)[target]
            on_step(done)
    shown = next((rows[0] for rows in explained.values()), y.index[0])
    return Explanation(
        unit=(seed, fold),
        pixels=(tensors["map.rows"].numpy(), tensors["map.cols"].numpy(), tuple(unit.fitted.meta["shape"])),
        coordinates=tensors["map.coordinates"].numpy(),
        sample=(shown, fitted.renderer(fitted.values(inputs(pd.Index([shown]))))[0].cpu().numpy()),
        held_out={target: len(rows) for target, rows in explained.items()},
        means=means,
        weights={method: pd.DataFrame(columns, index=fitted.features) for method, columns in weights.items()},
    )


def _mean_images(
    fitted: FittedCNN, y: pd.DataFrame, inputs: Callable[[pd.Index], pd.DataFrame]
) -> dict[str, np.ndarray]:
    """Mean image of each class, and of all treated rows as ""."""
    first = y.index[:IMAGE_ROWS]
    carriers = (y.index[y[target] > 0][:IMAGE_ROWS] for target in y)
    rows = pd.Index(np.unique(np.concatenate([[*first], *carriers])))
    X = inputs(rows)
    means = class_images(fitted, X, y.loc[rows], list(y), batch_size=32)
    everything = pd.DataFrame({"": 1}, first)
    return means | class_images(fitted, X.loc[first], everything, [""], batch_size=32)
