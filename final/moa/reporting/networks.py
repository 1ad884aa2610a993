"""The sections that look into the DeepInsight CNNs: the map, images, and which genes and cells a network looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from moa.data.schema import Schema
from moa.plots.images import channels, class_panels, feature_map, kinds, paint
from moa.progress import progress
from moa.reporting.inputs import ModelResult
from moa.reporting.page import Figures, Section, Table, Text
from moa.reporting.scores import Scores

#: The most common targets, which are looked at.
_CLASSES = 4
#: Most rows behind a mean image, and most that gradients are taken of: real networks take a tenth of a second each.
_IMAGE_ROWS, _EXPLAINED = 200, 16
#: Features named in the table, by kind.
_TOP = {"genes": 5, "cells": 3}
_METHODS = {"gradient": "input gradient", "grad-cam": "Grad-CAM"}


@dataclass(frozen=True)
class Look:
    """What is seen of one network.

    Attributes:
        unit: its seed and fold.
        places: pixel rows and columns of the features, and the image's shape.
        coordinates: the features' places on the plane, shape (features, 2).
        sample: sig_id of the row shown, and its image of shape (3, height, width).
        held_out: rows explained of each class, of those that the network was not trained on.
        means: mean image of each class, and of all treated rows as "", shape (3, height, width).
        weights: by method, a row a feature and a column a class.
    """

    unit: tuple[int, int]
    places: tuple[np.ndarray, np.ndarray, tuple[int, int]]
    coordinates: np.ndarray
    sample: tuple[str, np.ndarray]
    held_out: dict[str, int]
    means: dict[str, np.ndarray]
    weights: dict[str, pd.DataFrame]


def networks(found: Scores) -> list[Section]:
    """A section for each CNN that is trained; none where none is."""
    trained = [model for model in found.inputs.models.values() if _is_cnn(model) and len(model.units)]
    if not trained:
        return []
    made = []
    steps = 1 + len(_METHODS) * _CLASSES
    with progress("report: what the CNNs look at", steps * len(trained)) as bar:
        for number, model in enumerate(trained):

            def on_step(done: int, number: int = number, title: str = model.title) -> None:
                bar.update(steps * number + done, title)

            made.append(_section(found, model, look(found, model, on_step)))
    return made


def _is_cnn(model: ModelResult) -> bool:
    from moa.learners.deepinsight.learner import (
        CNNLearner,  # as in `look`, the networks are of no use to the rest of the report
    )

    return bool(model.stages) and isinstance(model.stages[-1].learner, CNNLearner)


def look(found: Scores, model: ModelResult, on_step: Callable[[int], None] = lambda done: None) -> Look:
    """Draw and explain a model's first trained unit on a bounded number of rows."""
    from moa.learners.deepinsight.attributions import attributions, class_images
    from moa.learners.deepinsight.learner import FittedCNN
    from moa.training.runner import Runner, pick_device

    runner = Runner(model.recipe, found.inputs.weights, device=pick_device())
    stage = runner.last.name
    first = model.units[model.units["stage"] == stage].iloc[0]
    unit = (int(first["seed"]), int(first["fold"]))
    stored = runner.store.load_unit(stage, *unit)
    fitted = FittedCNN.restore(stored, runner.device)
    pipeline, features = runner.pipeline(stage), found.inputs.data.features
    rows, cols = (stored.tensors[f"map.{side}"].numpy() for side in ("rows", "cols"))

    y = found.y[found.y.sum().nlargest(_CLASSES).index].rename_axis(columns=None)
    y = y.loc[:, y.any()]
    unseen = y.loc[y.index.isin(runner.store.load_oof(stage, *unit).index)]
    drawn = pd.Index(
        np.unique(np.concatenate([[*y.index[:_IMAGE_ROWS]], *(y.index[y[name] > 0][:_IMAGE_ROWS] for name in y)]))
    )
    x = pipeline.transform(features.loc[drawn])
    means = class_images(fitted, x, y.loc[drawn], list(y), batch_size=32)
    whole = x.loc[y.index[:_IMAGE_ROWS]]
    means[""] = class_images(fitted, whole, pd.DataFrame({"": 1}, whole.index), [""], batch_size=32)[""]
    on_step(1)

    explained = {name: unseen.index[unseen[name] > 0][:_EXPLAINED] for name in y}
    explained = {name: index for name, index in explained.items() if len(index)}
    weights = {method: {} for method in _METHODS}
    for number, (name, index) in enumerate(explained.items()):
        x = pipeline.transform(features.loc[index])
        for place, method in enumerate(_METHODS):
            weights[method][name] = attributions(fitted, x, [name], method, batch_size=8)[name]
            on_step(2 + number * len(_METHODS) + place)
    shown = next((index[0] for index in explained.values()), y.index[0])
    sample = fitted.renderer(fitted.scale(pipeline.transform(features.loc[[shown]])))[0].cpu().numpy()
    return Look(
        unit, (rows, cols, tuple(stored.meta["shape"])), stored.tensors["map.coordinates"].numpy(), (shown, sample),
        {name: len(index) for name, index in explained.items()}, means,
        {method: pd.DataFrame(columns, index=fitted.features) for method, columns in weights.items()},
    )  # fmt: skip


def _section(found: Scores, model: ModelResult, seen: Look) -> Section:
    rows, cols, shape = seen.places
    occupied = len(np.unique(rows * shape[1] + cols))
    name, image = seen.sample
    carried = found.y.columns[found.y.loc[name] > 0]
    labels = f", {', '.join(carried)}" if len(carried) else ", without a mechanism"
    figures = [
        (
            feature_map(seen.coordinates, list(seen.weights["gradient"].index), found.inputs.data.schema),
            f"The map: {len(rows)} features in {occupied:,} of {shape[0]} × {shape[1]} pixels",
        ),
        (channels(image), f"A sample as the network sees it: {name}{labels}"),
    ]
    classes = list(seen.held_out)
    blocks = [Figures(figures, column=480, least=300)]
    if classes:
        mean = {name: seen.means[name][0] for name in classes}
        panels = {
            "mean image": (mean, False),
            "minus that of all": ({name: image - seen.means[""][0] for name, image in mean.items()}, True),
        } | {
            words: ({name: paint(seen.weights[method][name].to_numpy(), *seen.places) for name in classes}, False)
            for method, words in _telling(seen).items()
        }
        caption = (
            "The most common mechanisms: mean image (its first channel), how it differs from that of all treated rows "
            "(red: higher), and where the network looked"
        )
        blocks += [
            Figures([(class_panels(panels), caption)], column=720, least=560),
            Table.of(
                _top_features(found, model, seen), {"AUC": ".3f", "rows": "d"},
                caption="Genes and cells that move a mechanism's score most, the strongest first",
            ),
        ]  # fmt: skip
    if classes and "grad-cam" not in _telling(seen):
        blocks.append(Text(
            "Grad-CAM tells nothing here and is left out: nothing in the last layer raises these scores, or that layer "
            "is a single place, as it is for images of 32 pixels."
        ))  # fmt: skip
    schema = found.inputs.data.schema
    blocks.append(
        Text(_shares(seen, schema) if classes else "No row with a common mechanism was held out of this fold.")
    )
    lead = (
        f"Seed {seen.unit[0]}, fold {seen.unit[1]}, on rows that this network was not trained on, at most "
        f"{_EXPLAINED} a mechanism. Input gradient: how much a feature's small change moves the score. Grad-CAM: where "
        "the last layer's maps raise it, coarse by nature. A network that cannot tell a mechanism (AUC near 0.5) has "
        "nothing to show."
    )
    short = model.title.removeprefix("DeepInsight ")
    return Section(f"cnn-{model.name}", f"What {model.title} looks at", lead, blocks, short)


def _top_features(found: Scores, model: ModelResult, seen: Look) -> pd.DataFrame:
    groups = found.inputs.data.schema.groups
    score = found.models.get(model.name)
    table = []
    for name, count in seen.held_out.items():
        line = {"mechanism": name, "AUC": score.aucs[name] if score else np.nan, "rows": count}
        for method, words in _telling(seen).items():
            for group in groups:
                weight = seen.weights[method][name]
                best = weight[weight.index.isin(group.columns)].nlargest(_TOP.get(group.name, 3))
                line[f"{group.name}, {words}"] = ", ".join(best.index) if _tells(weight) else None
        table.append(line)
    return pd.DataFrame(table)


def _tells(weight: pd.Series) -> bool:
    """Whether a weight a feature ranks them at all."""
    return weight.max() > weight.min()


def _telling(seen: Look) -> dict[str, str]:
    """The methods that rank the features for one class at least, with their words."""
    return {
        method: words
        for method, words in _METHODS.items()
        if any(_tells(seen.weights[method][name]) for name in seen.held_out)
    }


def _shares(seen: Look, schema: Schema) -> str:
    """How much of all gradient falls on each kind of feature, in a sentence."""
    gradient = seen.weights["gradient"].mean(axis=1)
    parts = []
    for kind in kinds(schema):
        chosen = gradient.index.isin(kind.columns)
        if chosen.any() and gradient.sum() > 0:
            share = gradient[chosen].sum() / gradient.sum()
            parts.append(f"{kind.name} {share:.0%} ({chosen.mean():.1%} of the features)")
    return f"Of the input gradient over these mechanisms: {', '.join(parts)}." if parts else "There is no gradient."
