"""Members trained together come out as they do alone: same batches, masks, statistics, schedule and best epoch."""

import numpy as np
import pytest
import torch

from moa.learners.base import FitJob
from moa.learners.perceptron import training
from moa.learners.perceptron.batched import fit_batched
from moa.learners.perceptron.learner import MLPLearner
from support.perceptrons import LEARNERS, make_units
from support.units import CPU


def fit_together(learner, units, dtype=torch.float32):
    data, seeds = zip(*((unit.data, unit.seed) for unit in units), strict=True)
    return fit_batched(learner, data, seeds, CPU, [None] * len(units), dtype)


@pytest.mark.parametrize("name", LEARNERS)
def test_each_member_equals_the_one_trained_alone(name):
    learner, units = LEARNERS[name], make_units()
    assert len({len(unit.data.train) for unit in units}) > 1
    together = fit_together(learner, units, torch.float64)
    assert len(together) == 10
    for unit, fitted in zip(units, together, strict=True):
        alone = training.fit(learner, FitJob(unit.data, unit.seed, unit.fold, CPU), dtype=torch.float64)
        assert fitted.tensors.keys() == alone.tensors.keys() and fitted.meta == alone.meta
        for key, value in alone.tensors.items():
            torch.testing.assert_close(
                fitted.tensors[key], value, rtol=1e-6, atol=1e-8, msg=lambda m, k=key: f"{k}: {m}"
            )
        assert [row["epoch"] for row in fitted.history] == [0, 1, 2, 3]
        for kind in ("train_loss", "valid_loss", "valid_batch_loss"):
            mine, other = ([row[kind] for row in f.history] for f in (fitted, alone))
            assert mine == pytest.approx(other, rel=1e-8)


def test_in_single_precision_they_agree_at_the_end():
    learner = MLPLearner(hidden=32, epochs=20, batch_size=32, max_lr=3e-3)
    units = make_units(rows=403)
    together = fit_together(learner, units)
    alone = [unit.fit(learner) for unit in units]
    best = [[min(row["valid_loss"] for row in fitted.history) for fitted in kind] for kind in (together, alone)]
    assert np.ptp(best[1]) > 0.02  # members do differ from one another
    np.testing.assert_allclose(best[0], best[1], rtol=0.02)
    np.testing.assert_allclose(np.mean(best[0]), np.mean(best[1]), rtol=0.003)


def test_members_keep_different_epochs():
    learner = MLPLearner(hidden=32, epochs=30, batch_size=32, dropout=(0.0, 0.0, 0.0))
    together = fit_together(learner, make_units(rows=123))
    kept = {int(np.argmin([row["valid_loss"] for row in fitted.history])) for fitted in together}
    assert len(kept) > 1
    steps = 4  # 98 or 99 rows in batches of 32
    for fitted in together:
        best = int(np.argmin([row["valid_loss"] for row in fitted.history]))
        assert fitted.tensors["0.num_batches_tracked"].item() == (best + 1) * steps


def test_a_members_result_does_not_depend_on_its_group():
    learner, units = LEARNERS["3-stage"], make_units()
    whole = fit_together(learner, units, torch.float64)[3]
    pair = fit_together(learner, [units[8], units[3]], torch.float64)[1]
    for name, value in whole.tensors.items():
        torch.testing.assert_close(pair.tensors[name], value, rtol=1e-7, atol=1e-9)


def test_predictions_of_a_member_need_nothing_of_the_others():
    learner, units = LEARNERS["simple"], make_units()
    fitted = fit_together(learner, units)[4]
    X, y = units[4].valid()
    found, truth = learner.predict(fitted, X, CPU), y.to_numpy()
    loss = -np.mean(truth * np.log(found) + (1 - truth) * np.log(1 - found))
    assert loss == pytest.approx(min(row["valid_loss"] for row in fitted.history), rel=1e-4)


def test_units_of_other_steps_or_tables_are_refused():
    learner, units = LEARNERS["simple"], make_units()
    fewer = units[2].with_data(train=units[2].data.train[:161])
    with pytest.raises(ValueError, match="number of steps"):
        fit_together(learner, [*units[:2], fewer])
    with pytest.raises(ValueError, match="share their tables"):
        fit_together(learner, [units[0], units[1].with_data(X=units[1].data.X.copy())])


def test_members_of_a_seed_start_alike_and_those_of_another_do_not():
    still = LEARNERS["simple"].model_copy(update={"max_lr": 0.0, "epochs": 1})
    units = make_units()  # five folds of seed 1, then of seed 2
    starts = [fitted.tensors["2.parametrizations.weight.original1"] for fitted in fit_together(still, units)]
    assert all(torch.equal(start, starts[0]) for start in starts[:5])
    assert all(torch.equal(start, starts[5]) for start in starts[5:]) and not torch.equal(starts[0], starts[5])
