"""The sections on the DeepInsight CNNs: feature map, images, and the genes and cells that a network responds to."""

from __future__ import annotations

import numpy as np
import pandas as pd

from moa.data.assay import Assay
from moa.learners.deepinsight.crowding import crowding
from moa.learners.deepinsight.learner import CNNLearner
from moa.plots.images import channels, class_panels, feature_map, kinds, paint
from moa.progress import progress
from moa.reporting.explanations import EXPLAINED_ROWS, STEPS, Explanation, explain, ranks_features
from moa.reporting.inputs import ModelResult
from moa.reporting.page import Block, Figures, Section, Table, Text
from moa.reporting.scores import ReportScores

#: Number of features named in the table, by feature group; 3 for other groups.
_TOP = {"genes": 5, "cells": 3}


def networks(found: ReportScores) -> list[Section]:
    """One section per trained CNN."""
    models = [model for model in found.inputs.models.values() if model.stages and len(model.units)]
    trained = [model for model in models if isinstance(model.stages[-1].learner, CNNLearner)]
    sections = []
    for model in trained:
        with progress(f"report: explain {model.title}", STEPS) as bar:
            sections.append(network_section(found, model, explain(found, model, bar.update)))
    return sections


def network_section(found: ReportScores, model: ModelResult, seen: Explanation) -> Section:
    """The section of one CNN."""
    schema = found.inputs.data.schema
    features, (height, width) = list(seen.weights["gradient"].index), seen.pixels[2]
    use = crowding(seen.coordinates, (height, width), [found.names.get(feature, feature) for feature in features])
    sig_id, image = seen.sample
    targets = found.y.columns[found.y.loc[sig_id] > 0]
    labels = f", {', '.join(targets)}" if len(targets) else ", without a mechanism"
    figures = [
        (
            feature_map(seen.coordinates, features, schema, names=_strongest(found, seen)),
            f"The map: {len(features)} features in {use.used:,} of {height} × {width} pixels",
        ),
        (channels(image), f"Input of the network for one sample: {sig_id}{labels}"),
    ]
    blocks: list[Block] = [Figures(figures, column=480, least=300)]
    if use.crowded:
        blocks.append(Text(use.remark, "warn"))
    if seen.held_out:
        blocks += [*_class_blocks(found, model, seen), Text(_shares(seen, schema))]
    else:
        blocks.append(Text("No row with a common mechanism was held out of this fold."))
    lead = (
        f"Seed {seen.unit[0]}, fold {seen.unit[1]}, on rows that this network was not trained on, at most "
        f"{EXPLAINED_ROWS} per mechanism. Input gradient: how much a small change of a feature changes the score. "
        "Grad-CAM: where the maps of the last layer raise the score, at a coarse resolution. For mechanisms that the "
        "network cannot predict (AUC near 0.5) these figures mean nothing."
    )
    short = model.title.removeprefix("DeepInsight ")
    return Section(f"cnn-{model.name}", f"What {model.title} responds to", lead, blocks, short)


def _class_blocks(found: ReportScores, model: ModelResult, seen: Explanation) -> list[Block]:
    """Images of the most common mechanisms, and the features that matter most for them."""
    mean = {target: seen.means[target][0] for target in seen.held_out}
    difference = {target: image - seen.means[""][0] for target, image in mean.items()}
    panels = {"mean image": (mean, False), "minus that of all": (difference, True)}
    for method, name in seen.informative.items():
        weights = seen.weights[method]
        panels[name] = ({target: paint(weights[target].to_numpy(), *seen.pixels) for target in seen.held_out}, False)
    caption = (
        "The most common mechanisms: mean image (its first channel), its difference from that of all treated rows "
        "(red: higher), and the pixels that the network responds to"
    )
    blocks: list[Block] = [
        Figures([(class_panels(panels), caption)], column=720, least=560),
        Table.of(
            _top_features(found, model, seen), {"AUC": ".3f", "rows": "d"},
            caption="Features that change a mechanism's score most, the strongest first, by gene symbol or cell line",
        ),
    ]  # fmt: skip
    if "grad-cam" not in seen.informative:
        blocks.append(Text(
            "Grad-CAM tells nothing here and is left out: either no map of the last layer raises these scores, or the "
            "maps have a single pixel, as for images of 32 pixels."
        ))  # fmt: skip
    return blocks


def _top_features(found: ReportScores, model: ModelResult, seen: Explanation) -> pd.DataFrame:
    groups = found.inputs.data.schema.groups
    score = found.models.get(model.name)
    table = []
    for target, count in seen.held_out.items():
        row = {"mechanism": target, "AUC": score.areas["roc_auc"][target] if score else np.nan, "rows": count}
        for method, name in seen.informative.items():
            weight = seen.weights[method][target]
            for group in groups:
                best = weight[weight.index.isin(group.columns)].nlargest(_TOP.get(group.name, 3))
                words = ", ".join(found.names[feature] for feature in best.index)
                row[f"{group.name}, {name}"] = words if ranks_features(weight) else None
        table.append(row)
    return pd.DataFrame(table)


def _strongest(found: ReportScores, seen: Explanation) -> dict[str, str]:
    """The feature that changes each mechanism's score most, with its name."""
    weights = seen.weights["gradient"]
    strongest = (weights[target].idxmax() for target in seen.held_out if ranks_features(weights[target]))
    return {feature: found.names.get(feature, feature) for feature in strongest}


def _shares(seen: Explanation, schema: Assay) -> str:
    """The share of the gradient of each kind of feature, as a sentence."""
    gradient = seen.weights["gradient"].mean(axis=1)
    parts = []
    for kind in kinds(schema):
        chosen = gradient.index.isin(kind.columns)
        if chosen.any() and gradient.sum() > 0:
            share = gradient[chosen].sum() / gradient.sum()
            parts.append(f"{kind.name} {share:.0%} ({chosen.mean():.1%} of the features)")
    if not parts:
        return "The input gradient is 0 everywhere."
    return f"Shares of the input gradient, over these mechanisms: {', '.join(parts)}."
