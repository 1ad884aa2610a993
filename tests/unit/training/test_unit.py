"""One unit as a function of its arguments: features fitted on its training rows, and an honest OOF."""

import dataclasses
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from moa.data.folds import Folds
from moa.data.holdout import Held
from moa.features.pipeline import FeaturePipeline, Step, excluding
from moa.learners.base import Fitted
from moa.learners.runtime import Runtime
from moa.models.base import Stage
from moa.training.unit import Unit, train_batch, train_unit
from support.perceptrons import LEARNERS, make_inputs, training_units

STAGE = Stage("nn", "scored", None, Folds(scheme="kfold", n_splits=5), (1,), LEARNERS["simple"])


def unit(fold, **changes):
    return Unit(dataclasses.replace(STAGE, **changes), 1, fold, None, Runtime())


def scaled(seed):
    return FeaturePipeline([Step("scale", StandardScaler(), excluding(), "in place", fit_on="train")], dtype=np.float64)


@dataclasses.dataclass(frozen=True)
class Remembering:
    """A learner that keeps the data it is given."""

    seen: list = dataclasses.field(default_factory=list)
    oof: np.ndarray | None = None

    def fit(self, data, seed, fold, runtime, initial=None, callback=None):
        self.seen.append((data, seed, fold, initial))
        return Fitted({}, {}, [{"epoch": 0, "train_loss": 1.0, "valid_loss": 0.5}], self.oof)

    def predict(self, fitted, X, runtime):
        return np.full((len(X), 5), 0.25, np.float32)


def test_features_of_a_unit_are_fitted_on_its_training_rows():
    learner, inputs = Remembering(), make_inputs()
    result = train_unit(inputs, unit(fold=3, learner=learner, unit_features=scaled))
    ((data, seed, fold, initial),) = learner.seen
    assert (seed, fold, initial) == (1, 3, None)
    train = inputs.X.iloc[data.train]
    expected = (inputs.X - train.mean()) / train.std(ddof=0)
    np.testing.assert_allclose(data.X, expected, rtol=1e-4, atol=1e-6)
    assert data.X.dtypes.eq(np.float64).all() and list(data.X.columns) == list(inputs.X.columns)
    pd.testing.assert_frame_equal(result.features.transform(inputs.X), data.X)
    plain = Remembering()
    assert train_unit(inputs, unit(fold=3, learner=plain)).features is None
    assert plain.seen[0][0].X is inputs.X


def test_training_rows_have_the_values_of_the_fit_and_all_others_those_of_new_rows():
    pca = PCA(3, svd_solver="randomized", iterated_power=0, n_oversamples=1, random_state=5)

    def components(seed):
        return FeaturePipeline([Step("pc", pca, excluding(), "replace", "train", training_rows="fit_transform")])

    learner, inputs = Remembering(), make_inputs()
    held = Held(np.arange(len(inputs.X)) % 6, np.arange(len(inputs.X))[:, None] % 3, np.arange(len(inputs.X)))
    for given in (inputs, dataclasses.replace(inputs, folds={None: held.fold}, held={None: held})):
        result = train_unit(given, unit(fold=2, learner=learner, unit_features=components))
        data, values = learner.seen.pop()[0], inputs.X.to_numpy(np.float64)
        own, others = pca.fit_transform(values[data.train]), np.setdiff1d(np.arange(len(values)), data.train)
        np.testing.assert_allclose(data.X.iloc[data.train], own, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(data.X.iloc[others], pca.transform(values[others]), rtol=1e-4, atol=1e-5)
        assert data.X.index.equals(inputs.X.index) and data.X.dtypes.eq(np.float32).all()
        assert set(data.valid) <= set(others)
        replayed = result.features.transform(inputs.X)
        pd.testing.assert_frame_equal(replayed.iloc[others], data.X.iloc[others])
        assert (replayed - data.X).iloc[data.train].abs().mean(axis=None) > 0.05


def test_oof_is_what_predicts_unless_the_learner_gives_an_honest_one():
    inputs = make_inputs()
    valid = inputs.fold(1, 2).valid
    honest = np.random.default_rng(0).random((len(valid), 5), np.float32)
    for learner, expected in ((Remembering(), np.full_like(honest, 0.25)), (Remembering(oof=honest), honest)):
        result = train_unit(inputs, unit(fold=2, learner=learner))
        pd.testing.assert_frame_equal(
            result.oof, pd.DataFrame(expected, inputs.X.index[valid], inputs.y.columns), check_exact=True
        )
        assert result.best_loss == 0.5 and result.seconds >= 0


def test_a_unit_and_its_result_can_be_sent_to_another_process():
    inputs = make_inputs()
    arguments = (inputs, unit(fold=0, unit_features=scaled))
    first, again = train_unit(*arguments), train_unit(*pickle.loads(pickle.dumps(arguments)))
    sent = pickle.loads(pickle.dumps(again))
    assert first.fitted.history == sent.fitted.history and first.oof.equals(sent.oof)
    assert first.best_loss == pytest.approx(min(row["valid_loss"] for row in first.fitted.history))


def test_a_blind_unit_gives_its_learner_rows_of_whole_compounds_to_choose_the_epoch_on():
    rows = 203
    groups = np.arange(rows) // 7
    held = Held(groups % 5, (groups % 5)[:, None], groups)
    inputs = dataclasses.replace(make_inputs(rows), folds={None: held.fold}, held={None: held}, blind=True)
    learner = Remembering(oof=np.full((1, 5), 0.5))
    result = train_unit(inputs, unit(fold=3, learner=learner))
    ((data, *_),) = learner.seen
    assert not data.keep_last and set(groups[data.train]).isdisjoint(groups[data.valid])
    assert sorted([*data.train, *data.valid]) == list(np.flatnonzero(held.fold != 3))
    assert 1 / 8 <= len(data.valid) / len(inputs.fold(1, 3).train) < 1 / 4
    assert list(result.oof.index) == list(inputs.X.index[held.fold == 3]) and (result.oof == 0.25).all(axis=None)


@pytest.mark.parametrize("batched", [False, True])
def test_a_blind_perceptron_keeps_the_last_epoch_and_trains_on_all_rows(batched):
    inputs = make_inputs()
    # Labels that do not follow from the inputs: after a few epochs the validation loss rises.
    shuffled = inputs.y.sample(frac=1, random_state=0).set_axis(inputs.y.index)
    inputs = dataclasses.replace(inputs, y=shuffled)
    learner = LEARNERS["simple"].model_copy(update={"epochs": 20, "dropout": (0.0, 0.0, 0.0)})
    units = training_units(learner, seeds=(1,))[:2]
    found = {}
    for blind in (False, True):
        given = dataclasses.replace(inputs, blind=blind)
        if batched:
            found[blind] = train_batch(given, units, [None] * 2)[0]
        else:
            found[blind] = train_unit(given, units[0])
    seen, blind = found[False], found[True]
    assert seen.fitted.history == blind.fitted.history, "the losses are watched all the same"
    best = int(np.argmin([row["valid_loss"] for row in seen.fitted.history]))
    assert best < len(seen.fitted.history) - 1 and not seen.oof.equals(blind.oof)
