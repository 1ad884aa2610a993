"""The two-heads models as trained: they learn, and are scored by the honest OOF."""

import pandas as pd
import pytest

from moa.learners.two_heads.learner import AFTER, BEFORE
from moa.metrics import log_loss, prevalence_baseline
from moa.training.runner import open_runner

V1, V2 = "two-heads", "two-heads-v2"


@pytest.mark.parametrize("name", [V1, V2])
def test_the_demo_learns_and_scores_by_the_honest_oof(name, weights_of, dataset):
    runner = open_runner(name, weights_of(name), "cpu")
    first, second = (runner.store.load_unit(stage, 23, 0) for stage in ("phase1", "phase2"))
    assert first.meta["n_targets"] == 402 and second.meta["n_targets"] == 206
    # Both phases select by the same labels: weights that are handed on must meet the columns they know.
    assert runner.pipeline("phase1").feature_names_ == runner.pipeline("phase2").feature_names_
    y = dataset.scored[dataset.treated]
    assert log_loss(y, runner.oof()) < 0.8 * log_loss(y, prevalence_baseline(y, y.index))
    honest, before = runner.oof(), runner.oof(BEFORE)
    pd.testing.assert_frame_equal(honest, before)
    assert not honest.equals(runner.oof(AFTER))
