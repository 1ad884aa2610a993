"""A killed run of batched units."""

import numpy as np
import pandas as pd
import pytest

from moa.learners.perceptron import batched as ensemble
from moa.learners.perceptron.batched import fit_together
from moa.models.registry import recipe
from moa.training.runner import Runner


def test_a_killed_run_redoes_only_the_group_in_flight(monkeypatch, tmp_path, dataset):
    recipe_ = recipe("simple-nn-old-cv")
    small = {"gene_factors": 2, "cell_factors": 2, "gene_clusters": None, "learner": {"hidden": 16, "epochs": 2}}
    config = recipe_.configure("demo", small)
    alone = Runner(recipe_, tmp_path / "alone", config).train(dataset)

    monkeypatch.setenv("MOA_ENGINE", "ensemble")
    monkeypatch.setattr(ensemble, "members_at_once", lambda *_: 2)
    trained: list[list[tuple[int, int]]] = []

    def killed_in_the_second_group(learner, folds):
        trained.append([(fold.seed, fold.fold) for fold in folds])
        if len(trained) == 2:
            raise KeyboardInterrupt
        return fit_together(learner, folds)

    monkeypatch.setattr(ensemble, "fit_together", killed_in_the_second_group)
    runner = Runner(recipe_, tmp_path / "together", config)
    with pytest.raises(KeyboardInterrupt):
        runner.train(dataset)
    assert runner.missing_units() == 4
    resumed = runner.train(dataset)
    assert [len(group) for group in trained] == [2, 2, 2, 2] and trained[1] == trained[2]
    assert runner.missing_units() == 0
    for kind in ("oof", "test"):
        mine, other = getattr(resumed, kind), getattr(alone, kind)
        pd.testing.assert_index_equal(mine.index, other.index)
        np.testing.assert_allclose(mine, other, rtol=0.02, atol=1e-4)
        assert not np.allclose(other, other.mean(axis=0), rtol=0.05)  # rows do differ by more than that
