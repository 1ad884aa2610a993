"""DeepInsight CNNs: a t-SNE map of the features turns samples into images for pretrained image networks.

Source: write-up, "DeepInsight CNNs"; Sharma et al. 2019 for DeepInsight. All rows are used, including controls. The
write-up says that V2 of the ResNeSt has another seed, but the notebooks gave both versions the same seed, as here.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from moa.data.assay import Assay
from moa.data.folds import Folds
from moa.features.condition_steps import log_conditions
from moa.features.pipeline import FeaturePipeline, Step, excluding, named
from moa.learners.deepinsight.backbones import ResNeSt
from moa.learners.deepinsight.learner import CNNLearner
from moa.models.base import ModelConfig, Published, Recipe, Stage


class DeepInsightConfig(ModelConfig):
    """Settings of a CNN; the defaults are those of the EfficientNet."""

    seeds: tuple[int, ...] = (1120,)
    folds: Folds = Folds(scheme="multilabel", n_splits=10, seed=1120, shuffle=True)
    learner: CNNLearner = CNNLearner()


def features(schema: Assay) -> FeaturePipeline:
    """All raw features as numbers, control column and conditions first."""
    from moa.features import NotControls, RawInputs
    from moa.features.conditions import treated_rows

    raw = Step("raw", RawInputs.of(schema), excluding(), "replace", own_names=True)
    steps, control = [*log_conditions(schema), raw], treated_rows(schema.control)
    if isinstance(control, NotControls):  # treated rows may hold any text: both kinds become False and True first
        steps.insert(0, Step("treated", control, named(*schema.control_columns), "in place"))
    return FeaturePipeline(steps)


def unit_features(_: int) -> FeaturePipeline:
    """Log scaling, fitted on the training rows of a fold; it does not depend on the model seed."""
    from moa.features import LogScaler

    return FeaturePipeline([Step("scale", LogScaler(), excluding(), "in place", fit_on="train")], dtype="float64")


def stages(config: DeepInsightConfig, schema: Assay) -> tuple[Stage, ...]:
    """One stage on the scored targets."""
    learner = config.learner
    if learner.swap_first is None:  # swap noise leaves control column and conditions alone
        learner = learner.model_copy(update={"swap_first": len(schema.control_columns) + len(schema.conditions)})
    make = partial(features, schema)
    return (Stage("cnn", "scored", make, config.folds, config.seeds, learner, unit_features=unit_features),)


def _resnest(final_drop: float) -> DeepInsightConfig:
    backbone = ResNeSt(final_drop=final_drop)
    return DeepInsightConfig(learner=CNNLearner(backbone=backbone, resolution=224, batch_size=128, patience=16))


# Small images, and narrow networks of the same families without pretrained weights.
_SMALL = {
    "pretrained": False,
    "resolution": 24,
    "hidden": 64,
    "map_iterations": 300,
    "epochs": 4,
    "batch_size": 32,
    "lr": 1e-2,  # with the published rate, so few steps would leave the predictions near 0.5
}
_NARROW = {"backbone": {"blocks": (1, 1, 1, 1), "width": 8, "stem_width": 8}}


def _recipe(name: str, title: str, config: DeepInsightConfig, published: Published, small: dict[str, Any]) -> Recipe:
    """A recipe of all rows; ``small`` are the learner's settings in the demo that differ from the other CNNs'."""
    demo = {"folds": {"n_splits": 2}, "learner": {**_SMALL, **small}}
    name, title = f"deepinsight-{name}", f"DeepInsight {title}"
    return Recipe(name, title, config, stages, published, rows="all", demo=demo, version=3)


RECIPES = (
    _recipe(
        "efficientnet-b3",
        "EfficientNet-B3-NS",
        DeepInsightConfig(),
        Published(cv=0.01602, public_lb=0.01850, private_lb=0.01634),
        # So small a network learns nothing in so few steps with dropout, or with a rate that falls to 0 in the middle.
        {
            "backbone": {"name": "test_efficientnet", "drop": 0.0, "drop_connect": 0.0},
            "epochs": 8,
            "half_cycle": 8,
            "lr": 5e-2,
        },
    ),
    _recipe("resnest-v1", "ResNeSt V1", _resnest(0.0), Published(0.01582, 0.01853, 0.01636), _NARROW),
    _recipe("resnest-v2", "ResNeSt V2", _resnest(0.2), Published(0.01576, 0.01854, 0.01636), _NARROW),
)
