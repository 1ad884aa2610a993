"""No model's OOF knows the labels of the fold it is for, and a model that does is found out."""

import dataclasses
from itertools import permutations

import numpy as np
import pandas as pd
import pytest

from moa.metrics.losses import log_loss
from moa.models.registry import recipe, recipes
from support.demo import TRAINED, copy_models
from support.leakage import leak, measure, shuffled_fold

#: What only costs time is made small: images, their layout, the number of folds before the last stage.
_SMALL = {"learner": {"layout": "pca", "resolution": 16}}
OVERLAYS = {
    # Epochs enough for stage 2 to remember what it peeked at, and for stage 3 to pass it on.
    "three-stage-nn-5fold": {"folds": {"n_splits": 2}, "stage2": {"epochs": 60}, "stage3": {"epochs": 60}},
    **{name: _SMALL for name in recipes() if name.startswith("deepinsight")},
}
#: The 10-fold model differs from the 5-fold one in the number of folds alone.
NAMES = [name for name in TRAINED if name != "three-stage-nn-10fold"]


@pytest.fixture
def weights(name, weights_of, tmp_path):
    """A folder with the model's fitted transformers, so that they are not fitted again: they have seen no label."""
    return copy_models(weights_of(name), tmp_path)


def configured(name):
    model = recipe(name)
    return model, model.configure("demo", OVERLAYS.get(name))


def test_mean_and_noise_are_those_of_all_shuffles():
    rng = np.random.default_rng(0)
    index = pd.Index([f"id_{i}" for i in range(6)], name="sig_id")
    y = pd.DataFrame((rng.random((6, 4)) < 0.3).astype(np.uint8), index, list("abcd"))
    p = pd.DataFrame(rng.uniform(0.05, 0.6, (6, 4)), index, y.columns)
    losses = [log_loss(y.iloc[list(order)].set_axis(index), p) for order in permutations(range(6))]
    found = measure(y, p, p)
    assert found.loss == pytest.approx(log_loss(y, p)) and found.noise == pytest.approx(np.std(losses))
    assert found.z == pytest.approx((np.mean(losses) - losses[0]) / np.std(losses))


def test_labels_are_shuffled_within_one_fold_and_folds_stay(dataset):
    model, config = configured("simple-nn-new-cv")
    changed, data, fold = shuffled_fold(model, config, dataset)
    rest = dataset.scored.index.difference(fold)
    assert data.scored.loc[rest].equals(dataset.scored.loc[rest])
    for before, after in ((dataset.scored, data.scored), (dataset.nonscored, data.nonscored)):
        assert (before.loc[fold] != after.loc[fold]).any(axis=None)
        assert before.loc[fold].sum().equals(after.loc[fold].sum())
    joined = [np.hstack([each.scored.loc[fold], each.nonscored.loc[fold]]) for each in (dataset, data)]
    assert sorted(map(bytes, joined[0])) == sorted(map(bytes, joined[1])), "a row's labels stay together"
    y = dataset.scored[dataset.treated]
    held = changed.stages(config, dataset.schema)[0].folds.split(data.scored.loc[y.index], data.drugs)
    assert held.equals(config.folds.split(y, dataset.drugs)) and set(held.index[held == 0]) == set(fold)


@pytest.mark.parametrize("name", NAMES)
def test_oof_of_shuffled_labels_is_no_better_than_chance(name, dataset, weights):
    found = leak(*configured(name), dataset, weights)
    assert not found.better_than_baseline and not found.found, found


@dataclasses.dataclass(frozen=True)
class Peeking:
    """A learner that trains on its validation fold too."""

    learner: object

    parallel = "threads"

    def fit(self, data, *arguments):
        train = np.sort(np.r_[data.train, data.valid])
        return self.learner.fit(dataclasses.replace(data, train=train), *arguments)

    def predict(self, *arguments):
        return self.learner.predict(*arguments)


@pytest.mark.parametrize(("name", "stage"), [("simple-nn-old-cv", "nn"), ("three-stage-nn-5fold", "stage2")])
def test_a_model_that_peeks_is_found_out_even_if_an_earlier_stage_does(name, stage, dataset, weights):
    # Epochs enough to remember what it peeked at.
    longer = {"learner": {"epochs": 25}} if name == "simple-nn-old-cv" else OVERLAYS[name]
    model, config = recipe(name), recipe(name).configure("demo", longer)

    def stages(config, schema):
        return tuple(
            dataclasses.replace(each, learner=Peeking(each.learner)) if each.name == stage else each
            for each in model.stages(config, schema)
        )

    found = leak(dataclasses.replace(model, stages=stages), config, dataset, weights)
    assert found.found, found
    if name == "simple-nn-old-cv":
        assert found.better_than_baseline, found
