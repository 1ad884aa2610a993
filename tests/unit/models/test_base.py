"""Recipes and their profiles."""

import pytest

from moa.errors import UserError
from moa.models.registry import recipe, recipes

NAME = "simple-nn-old-cv"


def test_profiles_are_overlays():
    model = recipe(NAME)
    assert model.configure("demo").learner.max_lr == model.configure("kaggle").learner.max_lr
    assert model.configure("demo").learner.hidden < model.configure("kaggle").learner.hidden
    with pytest.raises(UserError, match="profile 'prod'"):
        model.configure("prod")


def test_every_model_says_what_it_takes():
    for name, model in recipes().items():
        config = model.configure("demo")
        changed = config.at_precision("bf16-mixed")
        assert changed.model_dump() == config.model_dump(), "weights do not depend on how they predict"
        if name.startswith("two-heads"):
            assert changed is config
            continue
        assert changed != config and changed.at_precision("auto") == config
        if not name.startswith("deepinsight"):
            with pytest.raises(UserError, match="16-mixed: perceptrons have 32-true and bf16-mixed"):
                config.at_precision("16-mixed")
