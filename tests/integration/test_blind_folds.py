"""Outside the competition nothing of training sees a held-out fold: its labels can change, and its OOF does not."""

import dataclasses

import numpy as np
import pytest

from moa.data.holdout import HoldOut
from moa.jobs.fitting import fit_models
from moa.models.registry import recipe
from moa.training.runner import Runner
from moa.weights.selection import Selection
from moa.weights.trained import Trained, open_trained
from support.screens import SMALL, screen

#: In the 3-stage NN the inputs of stage 3 are predictions of models that were trained on other folds, as in any stack.
STAGE = {"three-stage-nn-5fold": "stage2"}


PROFILES = {"any-assay": {}, "profile-logistic": {}, "profile-neighbours": {}}


def oof_of_first_fold(name, data, weights, hold_out=("compound",), parts="each"):
    model = recipe(name)
    plan = fit_models([model], {name: model.configure("demo", (SMALL | PROFILES)[name])}, data, hold_out, parts)[name]
    runner = Runner(Trained(model, weights, plan.config, data.schema, hold_out=plan.hold_out))
    runner.train_units(data, Selection(seeds=1, fold=0), until=STAGE.get(name))
    return runner.trained.oof(stage=STAGE.get(name))


def relabelled(data, rows):
    """Other labels for some rows: none for those that have one, both for the others."""
    scored = data.scored.copy()
    scored.loc[rows] = np.where(scored.loc[rows].any(axis=1).to_numpy()[:, None], 0, 1)
    return dataclasses.replace(data, scored=scored)


@pytest.mark.parametrize("name", [*SMALL, *PROFILES])
def test_oof_does_not_depend_on_the_labels_of_its_fold(name, tmp_path):
    data = screen()
    held = HoldOut.of(("compound",), None, data)
    rows = data.features.index[(held.assign(data, data.features.index).fold == 0) & data.treated.to_numpy()]
    first = oof_of_first_fold(name, data, tmp_path / "a")
    again = oof_of_first_fold(name, relabelled(data, rows), tmp_path / "b")
    assert set(rows) <= set(first.index) and first.equals(again)
    others = data.features.index[data.treated].difference(rows)[:20]
    assert not first.equals(oof_of_first_fold(name, relabelled(data, others), tmp_path / "c"))


@pytest.mark.parametrize("name", ["simple-nn-new-cv", "two-heads"])
def test_a_model_of_its_own_folds_is_blind_too_outside_the_competition(name, tmp_path):
    model, data = recipe(name), dataclasses.replace(screen(), drugs=None)
    overlay = SMALL[name] | {"folds": {"scheme": "kfold", "n_splits": 4, "seed": 0}}
    config = fit_models([model], {name: model.configure("demo", overlay)}, data)[name].config

    def oof(data, weights):
        runner = Runner(Trained(model, weights, config, data.schema))
        runner.train_units(data, Selection(seeds=1, fold=0))
        return runner.trained.oof()

    first = oof(data, tmp_path / "a")
    assert first.equals(oof(relabelled(data, first.index), tmp_path / "b"))


def test_perceptrons_keep_the_last_epoch_and_others_choose_one_inside_the_training_rows(tmp_path):
    data = screen()
    for name in ("simple-nn-new-cv", "two-heads"):
        oof_of_first_fold(name, data, tmp_path, parts=3)
    perceptron, two_heads = (open_trained(name, tmp_path, whole=False) for name in ("simple-nn-new-cv", "two-heads"))
    assert perceptron.hold_out.label == two_heads.hold_out.label == "compound-3"
    (unit,) = perceptron.units(perceptron.last)
    assert len(perceptron.store.unit_facts("nn", *unit).history) == 3
    assert not two_heads.store.unit_facts("phase2", *two_heads.units(two_heads.last)[0]).variants
