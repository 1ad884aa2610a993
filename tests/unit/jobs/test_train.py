"""Training by name: options of CNN training reach CNNs only, and no manifest."""

from types import SimpleNamespace

import pytest

from moa.data.dataset import load_dataset
from moa.environment import Folders
from moa.errors import UserError
from moa.jobs import train
from moa.jobs.options import TrainOptions
from moa.jobs.train import train_models
from moa.metrics.losses import log_loss
from moa.models.registry import recipe

CNN, PERCEPTRON = recipe("deepinsight-resnest-v1"), recipe("simple-nn-old-cv")


def test_options_of_cnn_training_are_refused_for_other_models(tmp_path):
    where = Folders.find("demo", tmp_path, weights=tmp_path)
    with pytest.raises(UserError, match="simple-nn-old-cv is not a CNN, so options of CNN training do not apply"):
        train_models([CNN, PERCEPTRON], where, TrainOptions(device="cpu", devices=2))
    assert not any(tmp_path.iterdir())


def test_the_runtime_reaches_the_training_and_no_settings(tmp_path, data_dir, monkeypatch):
    seen = {}

    class Spy(train.Runner):
        def train(self, data, selection):
            seen[self.model.name] = (self.trained.runtime, self.trained.config)

    monkeypatch.setattr(train, "Runner", Spy)
    options = TrainOptions(device="cpu", precision="bf16-emulated", tensorboard=tmp_path)
    (scores,) = train_models([CNN], Folders.find("demo", data_dir, weights=tmp_path / "weights"), options)
    used, config = seen[CNN.name]
    assert used == options.runtime.replace(tensorboard=tmp_path / CNN.name) and config == CNN.configure("demo")
    assert used.precision == "bf16-mixed" and scores.covered == 0
    assert scores.words()["rows covered"] == "0%" and scores.words()["published CV"] == "0.01582 (treated)"


def test_the_predictions_that_the_published_figure_is_of_are_scored_too(tmp_path, data_dir, monkeypatch):
    data = load_dataset(data_dir, nonscored=False)
    y = data.scored[data.treated]

    class Trained(train.Runner):
        def train(self, data, selection):
            self.trained.oof_as_published = lambda: y * 0.3 + 0.01
            return SimpleNamespace(oof=y * 0.2 + 0.01)

    monkeypatch.setattr(train, "Runner", Trained)
    where = Folders.find("demo", data_dir, weights=tmp_path / "weights")
    (scores,) = train_models([recipe("two-heads")], where, TrainOptions(device="cpu"))
    assert scores.as_published == log_loss(y, y * 0.3 + 0.01) < scores.treated_rows == log_loss(y, y * 0.2 + 0.01)
