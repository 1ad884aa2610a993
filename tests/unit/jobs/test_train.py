"""Training by name: options of CNN training reach the learner, and no manifest."""

import pytest

from moa.errors import UserError
from moa.jobs.train import run_by, train_models
from moa.learners.deepinsight.learner import Runtime
from moa.models.registry import recipe
from moa.training.runner import Runner


def test_runtime_reaches_the_learner_and_no_manifest(tmp_path):
    model = recipe("deepinsight-resnest-v1")
    plain = model.configure("demo")
    config = run_by(Runtime(precision="bf16-mixed", tensorboard=tmp_path), model, plain)
    runtime = Runner(model, tmp_path, config).last.learner.runtime
    assert (runtime.precision, runtime.tensorboard) == ("bf16-mixed", tmp_path / model.name)
    assert config.model_dump(mode="json") == plain.model_dump(mode="json")
    assert run_by(None, model, plain) is plain
    with pytest.raises(UserError, match="simple-nn-old-cv is no CNN"):
        train_models([recipe("simple-nn-old-cv")], tmp_path, tmp_path, "demo", "cpu", runtime=Runtime(devices=2))
