"""Calibration outside of the competition: fitted from stored predictions, kept with the model, and applied."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from moa.data.assay import COMPETITION
from moa.data.stored_tables import read_table
from moa.errors import StoreError
from moa.jobs.fitting import fit_models
from moa.metrics.calibration import BETAS, GAMMAS, Calibration, cell_losses, prior_of
from moa.models.registry import recipe
from moa.training.runner import Runner
from moa.weights.calibrating import fit_calibration
from moa.weights.merge import merge_weights
from moa.weights.selection import Selection
from moa.weights.trained import Trained, open_trained
from support.screens import SMALL, screen

NAME = "simple-nn-new-cv"
#: Trained long enough to be too sure of itself.
SURE = {**SMALL[NAME], "learner": {"hidden": 64, "epochs": 12, "smoothing": 0.0}, "seeds": (0, 1)}


def train(name, settings, data, folder):
    model = recipe(name)
    plan = fit_models([model], {name: model.configure("demo", settings)}, data, ("compound",), 3, quiet=True)[name]
    runner = Runner(Trained(model, folder, plan.config, data.schema, hold_out=plan.hold_out), "demo")
    return runner.trained, runner.train(data)


@pytest.fixture(scope="module")
def data():
    return screen(compounds=30)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    return train(NAME, SURE, data, tmp_path_factory.mktemp("calibrated"))


def test_a_refit_from_stored_predictions_gives_the_same_numbers(trained, data):
    model, _ = trained
    record = model.calibration()
    again = open_trained(NAME, model.store.layout.path.parent, whole=False)
    assert fit_calibration(again) == record == fit_calibration(again, data.scored[data.treated])
    assert record.beta in BETAS and record.gamma in GAMMAS and record.folds == "compound-3"
    assert record.rows == data.treated.sum() and record.positives == data.scored[data.treated].sum().to_dict()


def test_the_net_is_less_sure_and_better_after_it(trained, data):
    model, predictions = trained
    record, y = model.calibration(), data.scored[data.treated]
    assert record.beta < 1 and record.after.log_loss < record.before.log_loss
    raw, calibrated = model.oof().loc[y.index], model.calibrated_oof().loc[y.index]
    for table, scores in ((raw, record.before), (calibrated, record.after)):
        assert cell_losses(table.to_numpy(), y.to_numpy() > 0).mean() == pytest.approx(scores.log_loss, rel=1e-5)
    pd.testing.assert_frame_equal(predictions.oof, model.calibrated_oof())
    layout = model.store.layout
    assert read_table(layout.prediction("oof")).equals(predictions.oof)
    assert read_table(layout.prediction("oof-raw")).equals(model.oof())


def test_each_fold_is_calibrated_by_what_the_others_choose(trained, data):
    """The rows of a fold get the β and γ that have the lowest loss over the rows of the other folds."""
    model, _ = trained
    y = data.scored[data.treated]
    raw, found = model.oof().loc[y.index], model.calibrated_oof().loc[y.index]
    folds = model.store.held_out_folds("nn", model.units(model.last)).loc[y.index]
    priors = {}
    for seed in folds:
        for fold in folds[seed].unique():
            others = y[folds[seed] != fold]
            priors[seed, fold] = prior_of(others.sum().to_numpy(), len(others))
    prior = np.mean([np.stack([priors[seed, fold] for fold in folds[seed]]) for seed in folds], axis=0)
    first, q, positive = folds[folds.columns[0]].to_numpy(), raw.to_numpy(float), y.to_numpy() > 0
    pairs = [Calibration(False, beta, gamma) for gamma in GAMMAS for beta in BETAS]
    losses = np.stack([cell_losses(each.apply(q, prior), positive) for each in pairs])
    for fold in np.unique(first):
        best = pairs[losses[:, first != fold].sum(axis=1).argmin()]
        inside = first == fold
        assert np.allclose(best.apply(q, prior)[inside], found.to_numpy()[inside], atol=1e-6)


def test_predictions_are_calibrated_unless_raw_ones_are_asked_for(trained, data):
    model, _ = trained
    record = model.calibration()
    rows = data.features.iloc[[0, 1, 2, -1]]
    raw, found = model.predict(rows, quiet=True, raw=True), model.predict(rows, quiet=True)
    prior = prior_of(np.array(list(record.positives.values())), record.rows)
    expected = Calibration(record.one, record.beta, record.gamma).apply(raw.to_numpy(float)[:3], prior)
    assert np.allclose(found.to_numpy()[:3], expected, atol=1e-6) and (found.iloc[3] == 0).all()


def test_perfect_predictions_are_left_alone(trained, data, monkeypatch):
    model, _ = trained
    perfect = data.scored[data.treated].astype(np.float32)
    monkeypatch.setattr(Trained, "oof", lambda self, *a, **k: perfect)
    record = fit_calibration(model, data.scored[data.treated])
    assert record.beta is None and record.gamma is None and record.after == record.before


def test_recipes_that_calibrate_themselves_are_left_as_they_are(data, tmp_path):
    model, predictions = train("any-assay", {"seeds": (0,)}, data, tmp_path)
    record = model.calibration()
    assert record.beta is None and record.one is False and record.before == record.after
    assert predictions.oof.equals(model.oof()) and not model.store.layout.prediction("oof-raw").exists()
    rows = data.features.iloc[:4]
    assert model.predict(rows, quiet=True).equals(model.predict(rows, quiet=True, raw=True))


def test_a_calibration_of_other_targets_is_refused(trained, data):
    model, _ = trained
    path = model.store.layout.calibration
    facts = json.loads(path.read_text())
    path.write_text(json.dumps(facts | {"positives": {"other": 3}}))
    try:
        with pytest.raises(StoreError, match="of other targets than nn"):
            model.predict(data.features.iloc[:2], quiet=True)
    finally:
        path.write_text(json.dumps(facts))


def test_units_know_what_they_were_trained_on(trained, data):
    model, _ = trained
    facts = model.store.unit_facts("nn", 0, 1)
    rows = data.features.index[data.treated].difference(model.store.load_oof("nn", 0, 1).index)
    assert facts.trained_on.rows == len(rows)
    assert facts.trained_on.positives == data.scored.loc[rows].sum().tolist()


def test_the_competition_is_not_calibrated(tmp_path):
    model = recipe(NAME)
    found = Trained(model, tmp_path, model.config, COMPETITION)
    assert fit_calibration(found, pd.DataFrame()) is None and found.calibration() is None


def test_merged_parts_are_calibrated_together(data, tmp_path):
    """Two folders with a part of the folds each, and the folder that they make."""
    model = recipe(NAME)
    settings = SURE | {"seeds": (0,), "learner": {"hidden": 16, "epochs": 4}}
    plan = fit_models([model], {NAME: model.configure("demo", settings)}, data, ("compound",), 3, quiet=True)[NAME]

    def runner(folder):
        return Runner(Trained(model, folder, plan.config, data.schema, hold_out=plan.hold_out), "demo")

    runner(tmp_path / "first").train(data, Selection(folds=1))
    shutil.copytree(tmp_path / "first" / "shared", tmp_path / "rest" / "shared")
    for fold in (1, 2):
        runner(tmp_path / "rest").train(data, Selection(fold=fold))
    whole = runner(tmp_path / "whole")
    whole.train(data)
    merge_weights([tmp_path / "first", tmp_path / "rest"], tmp_path / "merged")
    found = open_trained(NAME, tmp_path / "merged").calibration()
    assert found == whole.trained.calibration()
    assert open_trained(NAME, tmp_path / "first", whole=False).calibration().oof != found.oof
