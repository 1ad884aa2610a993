"""A stage as JSON: what changes when a recipe is edited, and what does not."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from moa.data.folds import Folds
from moa.features.fits import NoStore
from moa.features.pipeline import FeaturePipeline, Step, drop, excluding, named
from moa.learners.perceptron.learner import MLPLearner
from moa.learners.tabnet.learner import TabNetLearner
from moa.models.base import Stage
from moa.models.registry import recipe, recipes
from moa.weights.records import PipelineRecord, StageRecord
from moa.weights.stage_description import changed_columns, changed_stage, describe, describe_stage, difference, to_json

MODEL = recipe("simple-nn-old-cv")
FRAME = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 4)), columns=list("abcd"))


def features(*steps, dtype=np.float32):
    standard = (Step("scale", StandardScaler(), named("a", "b"), "in place"), Step("pc", PCA(1), named("c", "d")))
    return lambda: FeaturePipeline(steps or standard, dtype)


STAGE = Stage("nn", "scored", features(), Folds(scheme="kfold", n_splits=2), (0,), MLPLearner(hidden=8))


class Keys(NoStore):
    """Keys as those of shared fits."""

    def fit(self, transformer, X, y):
        fitted, key = super().fit(transformer, X, y)
        return fitted, f"{int(key.removeprefix('fit-')):020x}"


def stored(stage=STAGE, model=MODEL):
    """The stage's record as it comes back from disk."""
    pipeline = stage.features().fit(FRAME, fits=Keys()).describe()
    description = json.loads(json.dumps(describe_stage(model, stage)))
    values = {"targets": ["t"], "sources": {}, "inputs": "0" * 20, "folds": {}, "rows": 20, "pipeline": pipeline}
    return StageRecord.model_validate({**values, "description": description})


def test_the_same_stage_has_not_changed():
    assert changed_stage(MODEL, STAGE, stored()) is None


SCALE, PC = Step("scale", StandardScaler(), named("a", "b"), "in place"), Step("pc", PCA(1), named("c", "d"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"features": features(SCALE, Step("pc", PCA(1, whiten=True), named("c", "d")))},
            "pc.transformer.whiten: False",
        ),
        ({"features": features(SCALE, Step("pc", PCA(2), named("c", "d")))}, "n_components: 1 there, 2 now"),
        (
            {"features": features(SCALE, Step("pc", StandardScaler(), named("c", "d")))},
            "sklearn.PCA there, sklearn.Sta",
        ),
        ({"features": features(SCALE, Step("pc", PCA(1), named("c", "a")))}, "pc.columns: 2, 'd' among them, there"),
        ({"features": features(SCALE, Step("pc", PCA(1), named("d", "c")))}, "pc.columns: 2 there, 2 now"),
        (
            {"features": features(SCALE, Step("pc", PCA(1), named("c", "d"), fit_on="train"))},
            "fit_on: train.test there",
        ),
        ({"features": features(SCALE, Step("pc", PCA(1), named("c", "d"), "replace"))}, "output: append there"),
        ({"features": features(SCALE, Step("pc", PCA(1), named("c", "d"), prefix="x"))}, "prefix"),
        (
            {"features": features(SCALE, Step("pc", PCA(1), named("c", "d"), training_rows="fit_transform"))},
            "pc.training_rows: nothing there, fit_transform now",
        ),
        ({"features": features(PC, SCALE)}, "features.order.0: scale there, pc now"),
        ({"features": features(SCALE)}, r"features.order: \['scale', 'pc'\] there, \['scale'\] now"),
        ({"features": features(SCALE, PC, drop("x", excluding("a")))}, "features.order"),
        ({"features": features(SCALE, PC, dtype=np.float64)}, "features.dtype: float32 there, float64 now"),
        ({"unit_features": lambda seed: features()()}, "unit_features: None there"),
        ({"learner": MLPLearner(hidden=9)}, "learner.hidden: 8 there, 9 now"),
        ({"learner": TabNetLearner()}, "learner: moa.MLPLearner there, moa.TabNetLearner now"),
        ({"folds": Folds(scheme="kfold", n_splits=3)}, "folds.n_splits: 2 there, 3 now"),
        ({"targets": "nonscored"}, "targets: scored there, nonscored now"),
        ({"uses": ("stage1",)}, r"uses: \[\] there, \['stage1'\] now"),
        ({"starts_from": "stage1"}, "starts_from: None there, stage1 now"),
    ],
)
def test_a_change_is_named(changes, message):
    found = changed_stage(MODEL, dataclasses.replace(STAGE, **changes), stored())
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(found)


def test_rows_are_part_of_it():
    other = dataclasses.replace(MODEL, rows="all")
    assert changed_stage(other, STAGE, stored()) == "rows: treated there, all now"


def test_columns_of_features_inside_a_unit():
    inside = dataclasses.replace(STAGE, unit_features=lambda seed: features()())
    record = PipelineRecord.model_validate(features()().fit(FRAME).describe())
    assert changed_columns(inside, 0, record) is None and changed_columns(STAGE, 0, record) is None
    others = features(SCALE, Step("pc", PCA(1), named("c")))
    assert "pc.columns: 2, 'd'" in changed_columns(
        dataclasses.replace(STAGE, unit_features=lambda seed: others()), 0, record
    )


def test_weights_without_a_description_are_taken_as_they_are():
    record = stored().model_copy(update={"description": None})
    assert changed_stage(MODEL, dataclasses.replace(STAGE, learner=MLPLearner(hidden=9)), record) is None


def test_a_parameter_that_another_version_added_is_none_of_the_recipes_changes():
    there = to_json(describe(PCA(3)))
    del there["power_iteration_normalizer"], there["n_components"]
    assert difference(there, describe(PCA())) is None
    assert difference(there, describe(PCA(power_iteration_normalizer="LU"))) == (
        "power_iteration_normalizer: nothing there, LU now"
    )
    assert difference(there | {"old": 1}, describe(PCA())) == "old: 1 there, nothing now"


def test_values_of_any_kind_are_described_the_same_each_time():
    values = {
        "f": np.float64(0.1),
        "n": float("nan"),
        "a": np.arange(3),
        "s": {2, 1},
        "t": (1, 2),
        "o": object(),
        "c": PCA,
    }
    first, second = (json.loads(json.dumps(to_json(describe(values)))) for _ in range(2))
    assert first == second and first["o"] == {"class": "builtins.object"} and first["c"] == "sklearn.PCA"
    assert difference(first, describe(values)) is None
    assert difference(first, describe(values | {"a": np.arange(4)})).startswith("a.array")
    assert difference({"x": True}, describe({"x": 1})) == "x: True there, 1 now"


@pytest.mark.parametrize("name", recipes())
def test_every_model_can_be_described(name):
    model = recipe(name)
    from moa.data.assay import COMPETITION

    for stage in model.stages(model.config, COMPETITION):
        found = describe_stage(model, stage)
        assert difference(json.loads(json.dumps(found)), describe_stage(model, stage)) is None
        assert "0x" not in json.dumps(found), "no addresses, which differ in each process"
