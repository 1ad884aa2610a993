"""A run of batched units that was killed trains the batch in flight again, and no other."""

import numpy as np
import pandas as pd
import pytest

from moa.learners.perceptron.learner import MLPLearner
from moa.models.registry import recipe
from moa.training import executors
from moa.training.runner import Runner
from moa.weights.trained import Trained


def test_a_killed_run_redoes_only_the_group_in_flight(monkeypatch, tmp_path, dataset):
    model = recipe("simple-nn-old-cv")
    small = {"gene_factors": 2, "cell_factors": 2, "gene_clusters": None, "learner": {"hidden": 16, "epochs": 2}}
    config = model.configure("demo", small)
    alone = Runner(Trained(model, tmp_path / "alone", config)).train(dataset)

    monkeypatch.setenv("MOA_ENGINE", "ensemble")
    monkeypatch.setattr(executors, "units_at_once", lambda *_: 2)
    groups: list[list[tuple[int, int]]] = []
    fit_batched = MLPLearner.fit_batched

    def killed_in_the_second_group(self, data, seeds, folds, *others):
        groups.append([*zip(seeds, folds, strict=True)])
        if len(groups) == 2:
            raise KeyboardInterrupt
        return fit_batched(self, data, seeds, folds, *others)

    monkeypatch.setattr(MLPLearner, "fit_batched", killed_in_the_second_group)
    runner = Runner(Trained(model, tmp_path / "together", config))
    with pytest.raises(KeyboardInterrupt):
        runner.train(dataset)
    assert runner.trained.missing_units() == 4
    resumed = runner.train(dataset)
    assert [len(group) for group in groups] == [2, 2, 2, 2] and groups[1] == groups[2]
    assert runner.trained.missing_units() == 0
    for kind in ("oof", "test"):
        mine, other = getattr(resumed, kind), getattr(alone, kind)
        pd.testing.assert_index_equal(mine.index, other.index)
        np.testing.assert_allclose(mine, other, rtol=0.02, atol=1e-4)
        assert not np.allclose(other, other.mean(axis=0), rtol=0.05)  # rows do differ by more than that
