"""Noise control: where profiles change places between treatments, calibrated predictions of held-out compounds are no
better than chance. Folds, priors and calibration must not say which mechanism was held out.
"""

import dataclasses

import numpy as np
import pytest

from moa.data.wells import TREATMENT, describe_rows
from moa.jobs.fitting import fit_models
from moa.metrics.controls import exchanged_profiles
from moa.metrics.ranking import column_areas, micro_areas
from moa.models.registry import recipe
from moa.training.runner import Runner
from moa.training.unit_progress import Silent
from moa.weights.trained import Trained
from support.screens import SMALL, screen

#: Fewer settings than usual to compare, which takes less time.
FEW = {"seeds": (0,), "learner": {"shrinkages": (0.3,), "penalties": (30.0,), "temperatures": (0.1, 0.2)}}
SETTINGS = {
    **dict.fromkeys(["any-assay", "profile-logistic", "profile-neighbours"], FEW),
    "simple-nn-new-cv": {**SMALL["simple-nn-new-cv"], "seeds": (0,)},
}
#: Draws whose mean is taken, since one of so few compounds can be right by chance: the AUC of a draw has a standard
#: deviation of 0.05.
DRAWS = {**dict.fromkeys(SETTINGS, 8), "simple-nn-new-cv": 3}


@pytest.fixture(scope="module")
def data():
    return screen(compounds=90, wells=2, controls=12)


def exchanged(data, seed):
    known = describe_rows(data.features, data.schema, data.drugs, data.wells)
    rows, values = data.features.index[data.treated], list(data.schema.values)
    features = data.features.copy()
    features.loc[rows, values] = exchanged_profiles(features.loc[rows, values], known.loc[rows, TREATMENT], seed)
    return dataclasses.replace(data, features=features)


def calibrated(name, data, folder):
    """Labels, and calibrated OOF predictions, of treated rows."""
    model = recipe(name)
    config = model.configure("demo", SETTINGS[name])
    plan = fit_models([model], {name: config}, data, ("compound",), 5, quiet=True)[name]
    trained = Trained(model, folder, plan.config, data.schema, hold_out=plan.hold_out)
    runner = Runner(trained, "demo", watch=Silent(), describes=False)
    runner.train_units(data)
    runner.calibrate(data)
    y = data.scored[data.treated]
    return y, trained.calibrated_oof(y).loc[y.index]


@pytest.mark.parametrize("name", list(SETTINGS))
def test_profiles_in_exchange_say_nothing(name, data, tmp_path):
    found = [
        micro_areas(*calibrated(name, exchanged(data, seed), tmp_path / str(seed)))[0] for seed in range(DRAWS[name])
    ]
    assert np.mean(found) <= 0.53, found


def test_profiles_in_their_places_do(data, tmp_path):
    """One of the two mechanisms can be seen in the profiles."""
    assert column_areas(*calibrated("any-assay", data, tmp_path))["roc_auc"]["kinase"] > 0.8
