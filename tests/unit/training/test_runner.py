"""What a runner gives to the units of a stage."""

import pickle

import pandas as pd
import torch

from moa.learners.base import Fitted
from moa.models.registry import recipe
from moa.training.runner import Runner
from moa.weights.trained import Trained
from moa.weights.units import UnitResult


def test_a_unit_is_given_what_the_earlier_stage_left_for_it_also_on_another_machine(tmp_path):
    trained = Trained(recipe("two-heads"), tmp_path)
    assert trained.last.starts_from == "phase1"
    oof = pd.DataFrame({"a": [0.5]}, index=pd.Index(["id_1"], name="sig_id"))
    for fold, start in ((0, {"w": torch.zeros(2)}), (1, None)):
        fitted = Fitted({"w": torch.ones(2)}, start=start)
        trained.store.save_unit("phase1", UnitResult(23, fold, fitted, None, oof, 1.0, 1))
    runner = Runner(trained)
    for fold, expected in ((0, 0.0), (1, 1.0)):
        unit = pickle.loads(pickle.dumps(runner._unit(trained.last, 23, fold)))
        starting = unit.initial.start or unit.initial.tensors
        assert (starting["w"] == expected).all() and (unit.initial.tensors["w"] == 1).all()
        assert trained.unit("phase1", 23, fold).fitted.start is None, "predictions do not read it"
