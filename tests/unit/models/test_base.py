"""Recipes and their profiles."""

import pytest

from moa.data.assay import COMPETITION
from moa.errors import UserError
from moa.learners.perceptron.learner import MLPLearner
from moa.learners.runtime import PRECISIONS
from moa.models.registry import recipe, recipes
from moa.models.remarks import footnotes

NAME = "simple-nn-old-cv"


def test_profiles_are_overlays():
    model = recipe(NAME)
    assert model.configure("demo").learner.max_lr == model.configure("kaggle").learner.max_lr
    assert model.configure("demo").learner.hidden < model.configure("kaggle").learner.hidden
    with pytest.raises(UserError, match="profile 'prod'"):
        model.configure("prod")


def test_every_learner_names_the_precisions_it_predicts_at():
    for model in recipes().values():
        for stage in model.stages(model.configure("demo"), COMPETITION):
            precisions = set(stage.learner.precisions)
            assert {"auto", "32-true", "bf16-mixed"} <= precisions <= set(PRECISIONS), model.name
            assert ("16-mixed" in precisions) == (not isinstance(stage.learner, MLPLearner)), model.name


def test_a_model_names_the_optional_files_it_needs():
    needs = {name: model.needs(model.config) for name, model in recipes().items()}
    assert [name for name, need in needs.items() if need["drugs"]] == ["simple-nn-new-cv"]
    without = {name for name, need in needs.items() if not need["nonscored"]}
    assert without == {name for name in needs if name.startswith(("simple-nn", "deepinsight"))}


def test_a_cv_that_was_printed_over_207_targets_is_corrected_and_explained():
    marked = {name: model.published for name, model in recipes().items() if "†" in model.published.cv_text}
    assert set(marked) == {"simple-nn-new-cv", "two-stage-nn-tabnet"}
    assert all(figures.cv == round(figures.printed * 207 / 206, 5) for figures in marked.values())
    note = footnotes(recipes().values())[0]
    assert "0.01564 (Simple NN, new CV) and 0.01615 (2-stage NN + TabNet)" in note and "207 columns" in note
    assert footnotes([recipe(NAME)]) == []
    assert [name for name, model in recipes().items() if model.published.cv_rows == "all"] == ["simple-nn-new-cv"]
