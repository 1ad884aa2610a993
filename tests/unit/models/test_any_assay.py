"""Recipes for any assay: names, defaults, refusals, and what they are fitted on."""

import dataclasses

import numpy as np
import pytest

from moa.data.assay import COMPETITION
from moa.errors import UserError
from moa.jobs.fitting import fit_models
from moa.models.any_assay import NAME
from moa.models.base import DataFacts
from moa.models.registry import any_assay_recipes, known_recipes, package_recipes, recipe, recipes
from moa.training.runner import Runner
from moa.weights.selection import Selection
from moa.weights.trained import Trained
from support.screens import screen


def test_they_are_known_by_name_and_no_part_of_all():
    names = list(any_assay_recipes())
    assert names == [NAME, "profile-logistic", "profile-neighbours"]
    assert set(names) <= set(known_recipes()) and not set(names) & set(recipes()) and len(package_recipes()) == 10
    assert recipe("profile-logistic").config.learner.members == ("regression",)


@pytest.mark.parametrize("name", list(any_assay_recipes()))
def test_the_competition_is_refused_in_one_line(name):
    model = recipe(name)
    with pytest.raises(UserError, match="is for other assays than the competition's; .* moa models") as refused:
        model.fit_to(model.config, DataFacts(COMPETITION, 100, True, controls=9))
    assert "\n" not in str(refused.value)


def trained(data, folder, **overlay):
    model = recipe(NAME)
    config = model.configure("kaggle", overlay)
    plan = fit_models([model], {NAME: config}, data, ("compound",), 3, quiet=True)[NAME]
    runner = Runner(Trained(model, folder, plan.config, data.schema, hold_out=plan.hold_out))
    runner.train_units(data, Selection(seeds=1))
    return runner.trained


def test_controls_are_the_reference_where_there_are_six(tmp_path):
    data = screen(controls=8)
    found = trained(data, tmp_path)
    assert found.config.reference == "controls"
    assert [step.name for step in found.pipeline("profiles").fitted_][-1] == "axes"
    assert found.store.unit_facts("profiles", 940, 0).features is None
    probabilities = found.predict(data.features)
    assert (probabilities[~data.treated] == 0).all(axis=None) and (probabilities[data.treated] > 0).all(axis=None)


def test_else_the_training_rows_of_each_fold_are(tmp_path):
    data = screen(controls=3)
    found = trained(data, tmp_path)
    assert found.config.reference == "training rows"
    assert [step.name for step in found.pipeline("profiles").fitted_] == ["conditions"]
    steps = found.store.load_unit("profiles", 940, 0).features
    assert steps is not None and steps.fitted_[-1].name == "axes"
    other = dataclasses.replace(data, features=data.features.copy())
    held = found.store.load_oof("profiles", 940, 0).index
    rows = held.intersection(data.features.index[data.treated])
    other.features.loc[rows, list(data.schema.values)] *= 3
    again = trained(other, tmp_path / "again")
    first, second = (each.store.load_unit("profiles", 940, 0).fitted for each in (found, again))
    assert first.meta == second.meta and first.tensors["profiles"].equal(second.tensors["profiles"])


def test_it_finds_the_mechanism_that_can_be_seen(tmp_path):
    data = screen(compounds=36)
    oof = trained(data, tmp_path).oof().loc[data.features.index[data.treated]]
    y = data.scored[data.treated]
    order = oof["kinase"].rank() / len(oof)
    assert order[y["kinase"] == 1].mean() - order[y["kinase"] == 0].mean() > 0.4
    assert np.isfinite(oof).all(axis=None)
