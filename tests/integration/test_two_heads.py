"""The two-heads models as trained: they learn, and are scored by the honest OOF."""

import pytest

from moa.learners.two_heads.settings import AFTER
from moa.metrics.losses import prevalence_baseline
from moa.metrics.ranking import measures
from moa.weights.trained import open_trained


def average_precision(y, p):
    return measures(y, p.loc[y.index].astype(float))["average_precision_micro"]


@pytest.mark.parametrize("name", ["two-heads", "two-heads-v2"])
def test_the_demo_learns_and_scores_by_the_honest_oof(name, weights_of, dataset):
    trained = open_trained(name, weights_of(name))
    first, second = (trained.unit(stage, 23, 0).fitted for stage in ("phase1", "phase2"))
    assert first.meta["n_targets"] == 402 and second.meta["n_targets"] == 206
    # Both phases select by the same labels: weights that are handed on must meet the columns they know.
    assert trained.pipeline("phase1").feature_names_ == trained.pipeline("phase2").feature_names_
    y = dataset.scored[dataset.treated]
    honest, leaking = trained.oof(), trained.oof(AFTER)
    ranks, alone = (average_precision(y, p) for p in (honest, prevalence_baseline(y, y.index)))
    assert ranks > 5 * alone, "on so few rows its probabilities are too high, and its order is right"
    assert not honest.equals(leaking) and trained.oof_as_published().equals(leaking)
    # Without phase 3, predicting the validation fold gives the honest OOF; with it, the leaking one.
    oof = trained.store.load_oof("phase2", 23, 0)
    unit, X = trained.unit("phase2", 23, 0), trained.inputs("phase2", dataset.features.loc[oof.index])
    predicted = trained.last.learner.predict(unit.fitted, unit.inputs(X), trained.runtime)
    assert abs(predicted - trained.store.load_oof("phase2", 23, 0, AFTER).to_numpy()).max() < 1e-5
