"""DeepInsight CNNs: samples drawn as images by a t-SNE map of their features, read by pretrained image networks.

Source: write-up, "DeepInsight CNNs"; Sharma et al. 2019 for DeepInsight. All rows are used, controls too. The write-up
says that V2 of the ResNeSt has another seed; the notebooks gave both the same, and so does this.
"""

from __future__ import annotations

from moa.data.folds import Folds
from moa.features.conditions import RawInputs
from moa.features.pipeline import FeaturePipeline, Step, excluding
from moa.learners.deepinsight.backbones import ResNeSt
from moa.learners.deepinsight.learner import CNNLearner
from moa.models.base import ModelConfig, Published, Recipe, Stage


class DeepInsightConfig(ModelConfig):
    """Settings of a CNN; the defaults are those of the EfficientNet."""

    seeds: tuple[int, ...] = (1120,)
    folds: Folds = Folds(scheme="multilabel", n_splits=10, seed=1120, shuffle=True)
    learner: CNNLearner = CNNLearner()


def features() -> FeaturePipeline:
    """The 875 raw features, conditions first: scaler and map belong to a fold, and so to the learner."""
    return FeaturePipeline([Step("raw", RawInputs(), excluding(), "replace", own_names=True)])


def stages(config: DeepInsightConfig) -> tuple[Stage, ...]:
    """One stage on the scored targets."""
    return (Stage("cnn", "scored", features, config.folds, config.seeds, config.learner),)


def _resnest(final_drop: float) -> DeepInsightConfig:
    backbone = ResNeSt(final_drop=final_drop)
    return DeepInsightConfig(learner=CNNLearner(backbone=backbone, resolution=224, batch_size=128, patience=16))


# Small images and narrow, untrained networks of the same families.
_SMALL = {
    "pretrained": False,
    "resolution": 32,
    "hidden": 64,
    "map_iterations": 300,
    "epochs": 5,
    "batch_size": 32,
    "lr": 1e-2,  # at the published rate, so few steps would leave the outputs near one half
}
_NARROW = {"blocks": (1, 1, 1, 1), "width": 8, "stem_width": 8}

RECIPES = (
    Recipe(
        "deepinsight-efficientnet-b3",
        "DeepInsight EfficientNet-B3-NS",
        DeepInsightConfig(),
        stages,
        Published(cv=0.01602, public_lb=0.01850, private_lb=0.01634, cv_rows="treated"),
        rows="all",
        demo={"folds": {"n_splits": 2}, "learner": {**_SMALL, "backbone": {"name": "test_efficientnet"}}},
    ),
    Recipe(
        "deepinsight-resnest-v1",
        "DeepInsight ResNeSt V1",
        _resnest(0.0),
        stages,
        Published(cv=0.01582, public_lb=0.01853, private_lb=0.01636, cv_rows="treated"),
        rows="all",
        demo={"folds": {"n_splits": 2}, "learner": {**_SMALL, "backbone": _NARROW}},
    ),
    Recipe(
        "deepinsight-resnest-v2",
        "DeepInsight ResNeSt V2",
        _resnest(0.2),
        stages,
        Published(cv=0.01576, public_lb=0.01854, private_lb=0.01636, cv_rows="treated"),
        rows="all",
        demo={"folds": {"n_splits": 2}, "learner": {**_SMALL, "backbone": _NARROW}},
    ),
)
