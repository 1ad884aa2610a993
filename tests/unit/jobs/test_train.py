"""Training by name: options of CNN training reach CNNs only, and no manifest."""

import pandas as pd
import pytest

from moa.errors import UserError
from moa.jobs import train
from moa.jobs.train import RANKING, score_row, train_models
from moa.learners.runtime import Runtime
from moa.models.registry import recipe

CNN, PERCEPTRON = recipe("deepinsight-resnest-v1"), recipe("simple-nn-old-cv")


def test_options_of_cnn_training_are_refused_for_other_models(tmp_path):
    with pytest.raises(UserError, match="simple-nn-old-cv is not a CNN, so options of CNN training do not apply"):
        train_models([CNN, PERCEPTRON], tmp_path, tmp_path, "demo", runtime=Runtime(devices=2))
    assert not any(tmp_path.iterdir())


def test_the_runtime_reaches_the_training_and_no_settings(tmp_path, data_dir, monkeypatch):
    seen = {}

    class Spy(train.Runner):
        def train(self, data, selection):
            seen[self.model.name] = (self.runtime, self.trained.config)

    monkeypatch.setattr(train, "Runner", Spy)
    runtime = Runtime(precision="bf16-mixed", tensorboard=tmp_path)
    (row,) = train_models([CNN], data_dir, tmp_path / "weights", "demo", runtime=runtime)
    used, config = seen[CNN.name]
    assert used == runtime.replace(tensorboard=tmp_path / CNN.name) and config == CNN.configure("demo")
    assert row["rows covered"] == "0%" and row["published CV"] == "0.01582 (treated)"


def test_a_score_counts_the_rows_of_the_published_one(dataset):
    oof = pd.DataFrame(0.01, dataset.scored.index[dataset.treated], dataset.scored.columns)
    old, new = score_row(PERCEPTRON, dataset, oof), score_row(recipe("simple-nn-new-cv"), dataset, oof)
    assert old["OOF, same rows"] == old["treated rows"] and old["published CV"] == "0.01585 (treated)"
    assert new["OOF, same rows"] == new["all rows"] < new["treated rows"] and new["published CV"] == "0.01572 (all) †"
    part = score_row(recipe("simple-nn-new-cv"), dataset, oof.iloc[1:])
    assert part["OOF, same rows"] == "–" and part["treated rows"] != "–"


def test_a_score_has_the_fields_measures(dataset):
    y = dataset.scored[dataset.treated]
    row = score_row(PERCEPTRON, dataset, y * 0.5 + 0.25)
    assert [row[name] for name in RANKING.values()] == ["1.000"] * len(RANKING)
    assert row["published CV"] == "0.01585 (treated)"
    assert score_row(PERCEPTRON, dataset, None)["ROC-AUC, micro"] == "–"
    nothing = score_row(PERCEPTRON, dataset, y[~y.any(axis=1)] * 0.5)
    assert nothing["ROC-AUC, macro"] == nothing["top 5"] == "–" != nothing["treated rows"]
