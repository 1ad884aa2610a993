"""Training by name: options of CNN training reach CNNs only, and no manifest."""

import pytest

from moa.errors import UserError
from moa.jobs import train
from moa.jobs.train import train_models
from moa.learners.runtime import Runtime
from moa.models.registry import recipe

CNN, PERCEPTRON = recipe("deepinsight-resnest-v1"), recipe("simple-nn-old-cv")


def test_options_of_cnn_training_are_refused_for_other_models(tmp_path):
    with pytest.raises(UserError, match="simple-nn-old-cv is no CNN and takes no options of CNN training"):
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
    assert row["rows covered"] == "0%" and row["published CV"] == "0.01582"
