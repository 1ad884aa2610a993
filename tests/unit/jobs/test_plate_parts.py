"""Mechanisms and features ranked by hand, and which samples get a warning."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from moa.blending.catalogue import plate_blend
from moa.data.assay import COMPETITION
from moa.jobs import plate_parts
from moa.jobs.plate_parts import PROBABILITIES, RANKED, SAMPLES, PartPredictor, rank_mechanisms, strongest_features


def test_ranking_by_hand():
    table = pd.DataFrame([[0.1, 0.4, 0.2], [0.3, 0.0, 0.3]], index=["a", "b"], columns=["x", "y", "z"])
    ranked = rank_mechanisms(table, pd.Series({"z": 0.1, "y": 0.2, "x": 0.5}), 2)
    assert ranked.drop(columns="probability").to_numpy().tolist() == [
        ["a", 1, "y", 2.0], ["a", 2, "z", 2.0], ["b", 1, "x", 0.6], ["b", 2, "z", 3.0]
    ]  # fmt: skip
    assert rank_mechanisms(table, None, 9)["times_prevalence"].isna().all()
    never = rank_mechanisms(table, pd.Series({"x": 0.0, "y": 0.2, "z": 0.1}), 3)
    assert never["times_prevalence"].isna().equals(never["moa"] == "x")


def test_the_features_furthest_from_the_mean_are_named():
    deviations = np.array([[0.1, -7.25, 3.0, 0.0, 1.0, 2.0, -0.5], [0, 0, 0, 0, 0, 0, -9.96]])
    first, second = strongest_features(deviations, ["a", "b", "c", "d", "e", "f", "g"])
    assert first == "b -7.2, c +3.0, f +2.0, e +1.0, g -0.5" and second.startswith("g -10.0, a +0.0")
    assert list(strongest_features(deviations[:, :1], ["a"])) == ["a +0.1", "a +0.0"]


class Model:
    """Predicts 0.5 for everything; how far samples lie is their first value."""

    schema = COMPETITION
    mean_, scale_ = 0.0, 1.0

    def keep(self):
        return self

    def familiarity(self):
        return SimpleNamespace(mean_=0.0, scale_=1.0, transform=lambda values: np.c_[values[:, 0], values[:, 0]])

    def prevalence(self):
        return None

    def identities(self):
        return None

    def predict(self, part, quiet):
        return pd.DataFrame(0.5, part.index, ["one", "two", "three"])


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.setattr(plate_parts, "open_trained", lambda *_, **__: Model())
    weights, spec = SimpleNamespace(open=lambda: None), plate_blend("simple-nn-old-cv")
    predictor = PartPredictor(weights, ["simple-nn-old-cv"], spec, 2, None)
    part = pd.DataFrame(0.0, ["far", "near", "control"], COMPETITION.values)
    part[COMPETITION.values[0]] = [0.9995, 0.998, 0.9995]
    conditions = pd.DataFrame(
        {"cp_type": ["trt_cp", "trt_cp", "ctl_vehicle"], "cp_time": 24, "cp_dose": "D1"}, part.index
    )
    return predictor.predict(conditions.join(part), COMPETITION)


def test_treated_samples_that_lie_far_outside_get_a_warning_and_controls_none(tables):
    warnings = tables[SAMPLES].set_index("sig_id")["warning"]
    assert warnings.to_dict() == {"far": "far outside the training data", "near": "", "control": ""}


def test_controls_have_probabilities_of_zero_and_no_ranks(tables):
    assert tables[PROBABILITIES].set_index("sig_id").mean(axis=1).to_dict() == {"far": 0.5, "near": 0.5, "control": 0}
    assert tables[RANKED]["sig_id"].tolist() == ["far", "far", "near", "near"]
