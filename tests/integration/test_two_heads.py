"""The two-heads models as trained: they learn, and are scored by the honest OOF."""

import pytest

from moa.learners.two_heads.settings import AFTER
from moa.metrics.losses import log_loss, prevalence_baseline
from moa.weights.trained import open_trained


@pytest.mark.parametrize("name", ["two-heads", "two-heads-v2"])
def test_the_demo_learns_and_scores_by_the_honest_oof(name, larger_demo, larger_dataset):
    trained, dataset = open_trained(name, larger_demo.weights(name)), larger_dataset
    first, second = (trained.unit(stage, 23, 0).fitted for stage in ("phase1", "phase2"))
    assert first.meta["n_targets"] == 402 and second.meta["n_targets"] == 206
    # Both phases select by the same labels: weights that are handed on must meet the columns they know.
    assert trained.pipeline("phase1").feature_names_ == trained.pipeline("phase2").feature_names_
    y = dataset.scored[dataset.treated]
    honest, leaking = trained.oof(), trained.oof(AFTER)
    # On the real data the whole model, on 25 times the rows, takes away about a quarter of it.
    assert log_loss(y, honest) < 0.95 * log_loss(y, prevalence_baseline(y, y.index))
    assert not honest.equals(leaking) and trained.oof_as_published().equals(leaking)
    # Without phase 3, predicting the validation fold gives the honest OOF; with it, the leaking one.
    oof = trained.store.load_oof("phase2", 23, 0)
    unit, X = trained.unit("phase2", 23, 0), trained.inputs("phase2", dataset.features.loc[oof.index])
    predicted = trained.last.learner.predict(unit.fitted, unit.inputs(X), trained.runtime)
    assert abs(predicted - trained.store.load_oof("phase2", 23, 0, AFTER).to_numpy()).max() < 1e-5
