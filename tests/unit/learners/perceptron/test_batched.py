"""Members trained together come out as they do alone: same batches, masks, statistics, schedule and best epoch."""

import numpy as np
import pytest
import torch

from moa.learners.perceptron.batched import fit_together
from moa.learners.perceptron.learner import MLPLearner
from support.perceptrons import CPU, LEARNERS, make_folds


@pytest.mark.parametrize("name", LEARNERS)
def test_each_member_equals_the_one_trained_alone(name):
    learner, folds = LEARNERS[name], make_folds()
    assert len({len(fold.train) for fold in folds}) > 1
    together = fit_together(learner, folds, torch.float64)
    assert len(together) == 10
    for fold, fitted in zip(folds, together, strict=True):
        alone = learner.fit(fold, torch.float64)
        assert fitted.tensors.keys() == alone.tensors.keys() and fitted.meta == alone.meta
        for key, value in alone.tensors.items():
            torch.testing.assert_close(
                fitted.tensors[key], value, rtol=1e-6, atol=1e-8, msg=lambda m, k=key: f"{k}: {m}"
            )
        assert [row["epoch"] for row in fitted.history] == [0, 1, 2, 3]
        for kind in ("train_loss", "valid_loss"):
            mine, other = ([row[kind] for row in f.history] for f in (fitted, alone))
            assert mine == pytest.approx(other, rel=1e-8)


def test_in_single_precision_they_agree_at_the_end():
    learner = MLPLearner(hidden=32, epochs=20, batch_size=32, max_lr=3e-3)
    folds = make_folds(rows=403)
    together = fit_together(learner, folds)
    alone = [learner.fit(fold) for fold in folds]
    best = [[min(row["valid_loss"] for row in fitted.history) for fitted in kind] for kind in (together, alone)]
    assert np.ptp(best[1]) > 0.02  # members do differ from one another
    np.testing.assert_allclose(best[0], best[1], rtol=0.02)
    np.testing.assert_allclose(np.mean(best[0]), np.mean(best[1]), rtol=0.003)


def test_members_keep_different_epochs():
    learner = MLPLearner(hidden=32, epochs=30, batch_size=32, dropout=(0.0, 0.0, 0.0))
    folds = make_folds(rows=123)
    together = fit_together(learner, folds)
    kept = {int(np.argmin([row["valid_loss"] for row in fitted.history])) for fitted in together}
    assert len(kept) > 1
    steps = 4  # 98 or 99 rows in batches of 32
    for fitted in together:
        best = int(np.argmin([row["valid_loss"] for row in fitted.history]))
        assert fitted.tensors["0.num_batches_tracked"].item() == (best + 1) * steps


def test_a_members_result_does_not_depend_on_its_group():
    learner, folds = LEARNERS["3-stage"], make_folds()
    whole = fit_together(learner, folds, torch.float64)[3]
    pair = fit_together(learner, [folds[8], folds[3]], torch.float64)[1]
    for name, value in whole.tensors.items():
        torch.testing.assert_close(pair.tensors[name], value, rtol=1e-7, atol=1e-9)


def test_predictions_of_a_member_need_nothing_of_the_others():
    learner, folds = LEARNERS["simple"], make_folds()
    fitted = fit_together(learner, folds)[4]
    found = learner.predict(fitted, folds[4].x.iloc[folds[4].valid], CPU)
    truth = folds[4].y.iloc[folds[4].valid].to_numpy()
    loss = -np.mean(truth * np.log(found) + (1 - truth) * np.log(1 - found))
    assert loss == pytest.approx(min(row["valid_loss"] for row in fitted.history), rel=1e-4)
