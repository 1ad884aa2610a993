"""Training by name: options of CNN training reach CNNs only, and no manifest."""

import pytest

from moa.environment import Folders
from moa.errors import UserError
from moa.jobs import train
from moa.jobs.options import TrainOptions
from moa.jobs.train import train_models
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
