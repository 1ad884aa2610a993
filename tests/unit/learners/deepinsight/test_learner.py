"""DeepInsight CNNs: one fold under Lightning, kill and resume, prediction."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import TypeAdapter
from sklearn.metrics import roc_auc_score

from moa.errors import UserError
from moa.learners.base import Fold
from moa.learners.deepinsight.learner import CNNLearner, Runtime
from moa.learners.deepinsight.lightning import cosine
from support.tiny_cnn import CPU, TINY, TINY_RESNEST, assert_same, fold_in, tables


def log_loss(p, y):
    return float(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean())


# Optimizer and schedule


# One fold


def test_hyper_parameters_survive_a_dump_and_runtime_is_none_of_them():
    learner = CNNLearner(backbone=TINY_RESNEST, resolution=224, runtime=Runtime(devices=2), weights_dir=Path("w"))
    dumped = learner.model_dump()
    assert "runtime" not in dumped and "weights_dir" not in dumped
    again = TypeAdapter(CNNLearner).validate_python(dumped)
    assert again.backbone == TINY_RESNEST and again.resolution == 224 and again.runtime == Runtime()


def test_fit_keeps_the_best_epoch_and_predicts_what_it_was_scored_on(whole, tmp_path):
    fold = fold_in(tmp_path)
    assert [row["epoch"] for row in whole.history] == [0, 1, 2, 3]
    losses = [row["valid_loss"] for row in whole.history]
    assert whole.meta["best_epoch"] == int(np.argmin(losses))
    assert [row["lr"] for row in whole.history] == pytest.approx([cosine(3e-3, e, 5) for e in range(4)])
    valid = fold.x.iloc[fold.valid]
    p = TINY.predict(whole, valid, CPU)
    assert p.shape == (20, 3) and p.dtype == np.float32
    assert log_loss(p, fold.y.iloc[fold.valid].to_numpy()) == pytest.approx(min(losses), rel=1e-5)
    # A row's prediction is its own: any number of rows, in any order.
    np.testing.assert_allclose(TINY.predict(whole, valid.iloc[[7]], CPU)[0], p[7], atol=1e-6)
    small = TINY.model_copy(update={"runtime": Runtime(predict_batch=3)})
    np.testing.assert_allclose(small.predict(whole, valid.iloc[::-1], CPU)[::-1], p, atol=1e-6)
    assert TINY.predict(whole, valid.iloc[:0], CPU).shape == (0, 3)
    assert all(value.is_contiguous() and value.device == CPU for value in whole.tensors.values())


def test_fit_sees_the_training_rows_alone_and_leaves_everything_as_it_was(whole, tmp_path):
    fold = fold_in(tmp_path)
    clean, state = fold.x.copy(), torch.get_rng_state()
    seen = []
    again = TINY.fit(Fold(**(vars(fold) | {"on_epoch": lambda *values: seen.append(values)})))
    pd.testing.assert_frame_equal(fold.x, clean)
    assert torch.equal(torch.get_rng_state(), state)
    assert [(epoch, epochs) for epoch, epochs, _ in seen] == [(e, 4) for e in range(4)]
    assert seen[-1][2] == again.history[-1]
    assert_same(again, whole)
    np.testing.assert_allclose(whole.tensors["scaler.minimum"], fold.x.iloc[fold.train].min())
    other = TINY.fit(Fold(**(vars(fold_in(tmp_path / "other")) | {"seed": 4})))
    assert other.history != whole.history


def test_columns_of_another_table_are_refused(whole):
    x, _ = tables(5)
    with pytest.raises(UserError, match="column 2 of the features is f-2, but the network was trained with f-1"):
        TINY.predict(whole, x.drop(columns="f-1"), CPU)
    with pytest.raises(UserError, match="column 40 of the features is nothing"):
        TINY.predict(whole, x.iloc[:, :-1], CPU)


def test_a_planted_target_is_learned(tmp_path):
    x, y = tables(500, targets=2)
    learner = TINY.model_copy(
        update={"backbone": TINY_RESNEST, "epochs": 6, "swap_probability": 0.1, "half_cycle": 6, "batch_size": 32}
    )
    order = np.random.default_rng(0).permutation(500)
    fold = Fold(x, y, order[100:], order[:100], 0, 0, CPU, tmp_path)
    p = learner.predict(learner.fit(fold), x.iloc[order[:100]], CPU)
    assert roc_auc_score(y.iloc[order[:100], 0], p[:, 0]) > 0.95


# Kill and resume


# Lightning


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_fold_on_cuda(tmp_path):
    device = torch.device("cuda")
    fitted = TINY.fit(fold_in(tmp_path, device=device))
    p, on_cpu = (TINY.predict(fitted, fold_in(tmp_path).x, where) for where in (device, CPU))
    np.testing.assert_allclose(p, on_cpu, atol=0.03)


# The command line
