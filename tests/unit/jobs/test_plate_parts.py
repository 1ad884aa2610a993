"""Mechanisms and features ranked by hand, and which samples get a warning."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from moa.blending.answers import rank_mechanisms
from moa.blending.catalogue import plate_blend
from moa.blending.reliability import Trust
from moa.data.assay import COMPETITION
from moa.jobs import plate_parts
from moa.jobs.plate_parts import FAR_AWAY, MIXED, PROBABILITIES, RANKED, SAMPLES, PartPredictor, strongest_features


def test_ranking_by_hand():
    table = pd.DataFrame([[0.1, 0.4, 0.2], [0.3, 0.0, 0.3]], index=["a", "b"], columns=["x", "y", "z"])
    ranked = rank_mechanisms(table, pd.Series({"z": 0.1, "y": 0.2, "x": 0.5}), 2)
    assert ranked.drop(columns=["probability", "caution"]).to_numpy().tolist() == [
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
        first = lambda values: np.c_[values[:, 0], values[:, 0]]  # noqa: E731
        second = lambda values: np.c_[values[:, 1], values[:, 1]]  # noqa: E731
        return SimpleNamespace(mean_=0.0, scale_=1.0, transform=first, unexplained=second, unusual_=0.99)

    def prevalence(self):
        return None

    def identities(self):
        return None

    def predict(self, part, quiet, raw):
        return pd.DataFrame(0.5, part.index, ["one", "two", "three"])


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.setattr(plate_parts, "open_trained", lambda *_, **__: Model())
    weights, spec = SimpleNamespace(open=lambda: None), plate_blend("simple-nn-old-cv")
    cautions, distances = pd.Series({"two": "2 training compounds"}), np.array([[0.9, 9], [0.8, 8], *[[0.1, 7]] * 3])
    trust = Trust(cautions, distances, frozenset(["near"]), frozenset(["aspirin"]))
    predictor = PartPredictor(weights, ["simple-nn-old-cv"], spec, 2, trust, None)
    part = pd.DataFrame(0.0, ["far", "near", "mixed", "control"], COMPETITION.values)
    part[COMPETITION.values[0]] = [0.9995, 0.6, 0.1, 0.9995]
    part[COMPETITION.values[1]] = [0.995, 0.5, 0.995, 0.995]
    conditions = pd.DataFrame(
        {"cp_type": ["trt_cp", "trt_cp", "trt_cp", "ctl_vehicle"], "cp_time": 24, "cp_dose": "D1"}, part.index
    )
    conditions["Metadata_compound"] = ["new", "new", "ASPIRIN", "DMSO"]
    return predictor.predict(conditions.join(part), COMPETITION)


def test_treated_samples_that_lie_far_outside_get_a_warning_and_controls_none(tables):
    warnings = tables[SAMPLES].set_index("sig_id")["warning"]
    assert warnings.to_dict() == {"far": f"{FAR_AWAY}; {MIXED}", "near": "", "mixed": MIXED, "control": ""}


def test_samples_say_how_often_others_as_far_away_were_right_and_whether_they_were_in_training(tables):
    samples = tables[SAMPLES].set_index("sig_id")
    assert samples["right_at_distance"].tolist() == [0.1, 0.8, 0.9, 0.1]
    assert samples["in_training"].tolist() == ["", "well", "compound", ""]


def test_a_mechanism_that_cannot_be_relied_on_is_marked_wherever_it_is_ranked(tables):
    assert tables[RANKED].drop_duplicates("moa").set_index("moa")["caution"].to_dict() == {
        "one": "", "two": "2 training compounds"
    }  # fmt: skip


def test_controls_have_probabilities_of_zero_and_no_ranks(tables):
    p = tables[PROBABILITIES].set_index("sig_id").mean(axis=1)
    assert p.to_dict() == {"far": 0.5, "near": 0.5, "mixed": 0.5, "control": 0}
    assert tables[RANKED]["sig_id"].tolist() == ["far", "far", "near", "near", "mixed", "mixed"]
