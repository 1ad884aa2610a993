"""One unit as a function of its arguments: features fitted on its training rows, and an honest OOF."""

import dataclasses
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler

from moa.data.folds import Folds
from moa.features.pipeline import FeaturePipeline, Step, excluding
from moa.learners.base import Fitted
from moa.learners.runtime import Runtime
from moa.models.base import Stage
from moa.training.unit import train_unit
from support.perceptrons import LEARNERS, make_inputs

STAGE = Stage("nn", "scored", None, Folds(scheme="kfold", n_splits=5), (1,), LEARNERS["simple"])


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
    result = train_unit(
        inputs, dataclasses.replace(STAGE, learner=learner, unit_features=scaled), 1, 3, None, Runtime()
    )
    ((data, seed, fold, initial),) = learner.seen
    assert (seed, fold, initial) == (1, 3, None)
    train = inputs.X.iloc[data.train]
    expected = (inputs.X - train.mean()) / train.std(ddof=0)
    np.testing.assert_allclose(data.X, expected, rtol=1e-4, atol=1e-6)
    assert data.X.dtypes.eq(np.float64).all() and list(data.X.columns) == list(inputs.X.columns)
    pd.testing.assert_frame_equal(result.features.transform(inputs.X), data.X)
    plain = Remembering()
    assert train_unit(inputs, dataclasses.replace(STAGE, learner=plain), 1, 3, None, Runtime()).features is None
    assert plain.seen[0][0].X is inputs.X


def test_oof_is_what_predicts_unless_the_learner_gives_an_honest_one():
    inputs = make_inputs()
    valid = inputs.fold(1, 2).valid
    honest = np.random.default_rng(0).random((len(valid), 5), np.float32)
    for learner, expected in ((Remembering(), np.full_like(honest, 0.25)), (Remembering(oof=honest), honest)):
        result = train_unit(inputs, dataclasses.replace(STAGE, learner=learner), 1, 2, None, Runtime())
        pd.testing.assert_frame_equal(
            result.oof, pd.DataFrame(expected, inputs.X.index[valid], inputs.y.columns), check_exact=True
        )
        assert result.best_loss == 0.5 and result.seconds >= 0


def test_a_unit_and_its_result_can_be_sent_to_another_process():
    inputs = make_inputs()
    arguments = (inputs, dataclasses.replace(STAGE, unit_features=scaled), 1, 0, None, Runtime())
    first, again = train_unit(*arguments), train_unit(*pickle.loads(pickle.dumps(arguments)))
    sent = pickle.loads(pickle.dumps(again))
    assert first.fitted.history == sent.fitted.history and first.oof.equals(sent.oof)
    assert first.best_loss == pytest.approx(min(row["valid_loss"] for row in first.fitted.history))
