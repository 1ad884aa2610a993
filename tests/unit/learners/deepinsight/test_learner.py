"""The DeepInsight CNNs as a learner: training on one fold, and prediction."""

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import TypeAdapter
from sklearn.metrics import roc_auc_score

from moa.errors import UserError
from moa.features import LogScaler
from moa.learners.base import Fitted
from moa.learners.deepinsight.learner import CNNLearner
from moa.learners.deepinsight.lightning import cosine
from moa.learners.runtime import Runtime
from support.tiny_cnn import TINY, TINY_RESNEST, assert_same, tables, unit_in
from support.units import CPU, Recorder


def log_loss(p, y):
    return float(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean())


def test_hyper_parameters_survive_a_dump():
    learner = CNNLearner(backbone=TINY_RESNEST, resolution=224)
    again = TypeAdapter(CNNLearner).validate_python(learner.model_dump())
    assert again == learner and again.backbone == TINY_RESNEST and again.resolution == 224


def test_fit_keeps_the_best_epoch_and_predicts_what_it_was_scored_on(whole, tmp_path):
    assert [row["epoch"] for row in whole.history] == [0, 1, 2, 3]
    losses = [row["valid_loss"] for row in whole.history]
    assert whole.meta["best_epoch"] == int(np.argmin(losses))
    assert [row["lr"] for row in whole.history] == pytest.approx([cosine(3e-3, e, 5) for e in range(4)])
    X, y = unit_in(tmp_path).valid()
    p = TINY.predict(whole, X, CPU)
    assert p.shape == (20, 3) and p.dtype == np.float32
    assert log_loss(p, y.to_numpy()) == pytest.approx(min(losses), rel=1e-5)
    # A row's prediction does not depend on the other rows: any number of rows, in any order.
    np.testing.assert_allclose(TINY.predict(whole, X.iloc[[7]], CPU)[0], p[7], atol=1e-6)
    np.testing.assert_allclose(TINY.predict(whole, X.iloc[::-1], Runtime(predict_batch=3))[::-1], p, atol=1e-6)
    assert TINY.predict(whole, X.iloc[:0], CPU).shape == (0, 3)
    assert all(value.is_contiguous() and value.device.type == "cpu" for value in whole.tensors.values())


def test_fit_sees_the_training_rows_alone_and_leaves_everything_as_it_was(whole, tmp_path):
    unit, recorder = unit_in(tmp_path), Recorder()
    clean, state = unit.data.X.copy(), torch.get_rng_state()
    again = unit.fit(TINY, callback=recorder)
    pd.testing.assert_frame_equal(unit.data.X, clean)
    assert torch.equal(torch.get_rng_state(), state)
    assert [(epoch, epochs) for epoch, epochs, _ in recorder.epochs] == [(e, 4) for e in range(4)]
    assert recorder.epochs[-1][2] == again.history[-1]
    assert_same(again, whole)
    X = clean.copy()
    X.iloc[unit.data.valid] = 1 - X.iloc[unit.data.valid]
    changed = unit.with_data(X=X).fit(TINY.model_copy(update={"epochs": 1}))
    assert torch.equal(changed.tensors["map.coordinates"], whole.tensors["map.coordinates"])
    assert changed.history[0]["train_loss"] == whole.history[0]["train_loss"]
    other = unit_in(tmp_path / "other", seed=4).fit(TINY)
    assert other.history != whole.history


def test_columns_of_another_table_are_refused(whole):
    x, _ = tables(5)
    with pytest.raises(UserError, match="column 2 of the features is f-2, but the network was trained with f-1"):
        TINY.predict(whole, x.drop(columns="f-1"), CPU)
    with pytest.raises(UserError, match="column 40 of the features is nothing"):
        TINY.predict(whole, x.iloc[:, :-1], CPU)


def test_units_of_version_0_1_scale_their_inputs_themselves(whole, tmp_path):
    data, (raw, _) = unit_in(tmp_path).data, tables()
    scaler = LogScaler().fit(raw.iloc[data.train])
    stored = {
        "scaler.minimum": torch.tensor(scaler.minimum_),
        "scaler.largest": torch.tensor(scaler.largest_, dtype=torch.float64),
    }
    older = Fitted(whole.tensors | stored, whole.meta, whole.history)
    np.testing.assert_array_equal(TINY.predict(older, raw, CPU), TINY.predict(whole, data.X, CPU))


def test_a_planted_target_is_learned(tmp_path):
    learner = TINY.model_copy(
        update={"backbone": TINY_RESNEST, "epochs": 6, "swap_probability": 0.1, "half_cycle": 6, "batch_size": 32}
    )
    unit = unit_in(tmp_path, valid=100, rows=500, targets=2)
    X, y = unit.valid()
    p = learner.predict(unit.fit(learner), X, CPU)
    assert roc_auc_score(y.iloc[:, 0], p[:, 0]) > 0.95


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_fold_on_cuda(tmp_path):
    unit = unit_in(tmp_path, device="cuda")
    fitted = unit.fit(TINY)
    p, on_cpu = (TINY.predict(fitted, unit.data.X, Runtime(device=device)) for device in ("cuda", "cpu"))
    np.testing.assert_allclose(p, on_cpu, atol=0.03)
