"""Data of the page about new plates, against plain pandas on a small screen."""

import json

import numpy as np
import pandas as pd
import pytest

from moa.blending.explained import Explained, packed, unpacked
from moa.blending.reliability import measured
from moa.data.wells import described_wells
from moa.features import TrainingEvidence
from moa.features.evidence import evidence_table
from moa.reporting.plate_data import PlateInputs, plate_data
from support.screens import screen


@pytest.fixture
def inputs():
    """Sixteen new wells of a screen, two replicates of each compound and dose, and a training set."""
    data, rng = screen(seed=1), np.random.default_rng(2)
    treated = data.features[data.treated]
    table = evidence_table(treated, data.drugs[data.treated], list(data.schema.values))
    evidence = TrainingEvidence().fit(table, data.scored[data.treated].to_numpy())
    new = screen(compounds=4, wells=4, controls=2, seed=3)
    features = new.features.copy()
    features.index = [f"new{number}" for number in range(len(features))]
    features["dose"] = [*np.tile([0.1, 0.1, 10.0, 10.0], 4), np.nan, np.nan]
    p = pd.DataFrame(rng.random((18, 2)).astype(np.float32), features.index, ["kinase", "HDAC"])
    members = {"one": p * 0.5, "two": p * 1.5}
    samples = pd.DataFrame(
        {
            "cp_type": features["cp_type"],
            "distance": 3.25,
            "share_nearer": [0.9995, *[0.25] * 17],
            "warning": ["far outside the training data", *[""] * 17],
            "Metadata_Plate": "plate <1>",
            "Metadata_WELL": [f"{'AB'[number // 9]}{number % 9 + 1:02d}" for number in range(18)],
            "Metadata_compound": [*np.repeat([*"wxyz"], 4), "DMSO", "DMSO"],
            "Metadata_dose": features["dose"].map(lambda value: "" if np.isnan(value) else f"{value:.1f}"),
            "Metadata_Compound": "another column",
        },
        features.index,
    )
    strongest = pd.Series(["f1 +3.0", *[""] * 17], features.index)
    y = evidence.labels(["kinase", "HDAC"])
    reliability = measured(y, y * 0.6 + 0.1)
    explained = Explained(samples, p, members, features, strongest)
    prevalence = pd.Series({"HDAC": 0.25, "kinase": 0.5})
    return PlateInputs(explained, data.schema, {"one": "One"}, prevalence, evidence, reliability), data


def test_wells_ranks_and_spread(inputs):
    found, p = plate_data(inputs[0]), inputs[0].explained.probabilities
    json.dumps(found, allow_nan=False)
    assert found["targets"] == ["kinase", "HDAC"] and found["members"] == ["One", "two"]
    assert found["prevalence"] == [0.5, 0.25] and found["plates"] == ["plate <1>"]
    first = found["wells"][0]
    assert (first["id"], first["compound"], first["dose"], first["well"]) == ("new0", "w", "0.1", "A01")
    assert (first["row"], first["column"], first["warning"]) == (0, 0, "far outside the training data")
    assert first["strongest"] == "f1 +3.0" and first["share"] == 0.9995
    for well in found["wells"][:16]:
        row = p.loc[well["id"]]
        order = list(row.sort_values(ascending=False).index)
        assert [found["targets"][target] for target in well["moa"]] == order
        np.testing.assert_allclose(well["p"], row[order], rtol=6e-3)
        np.testing.assert_allclose(well["low"], row[order] * 0.5, rtol=6e-3)
        np.testing.assert_allclose(well["high"], row[order] * 1.5, rtol=6e-3)
    for control in found["wells"][16:]:
        assert control["control"] == 1 and not {"p", "near", "treatment"} & set(control)


def test_nearest_training_compounds(inputs):
    found, data = plate_data(inputs[0]), inputs[1]
    values = data.features[data.treated][list(data.schema.values)]
    medians = values.groupby(data.drugs[data.treated]).median()
    carried = data.scored[data.treated].groupby(data.drugs[data.treated]).max()
    new = inputs[0].explained.features[list(data.schema.values)]
    for well in found["wells"][:16]:
        row = new.loc[well["id"]]
        cosine = medians @ row / np.linalg.norm(medians, axis=1) / np.linalg.norm(row)
        best = cosine.sort_values(ascending=False)[:5]
        compounds = [found["compounds"][place] for place in well["near"]]
        names = [each["name"] for each in compounds]
        assert names[0] == best.index[0] and len(set(names)) == 5
        np.testing.assert_allclose(well["cosine"], best, atol=2e-3)
        np.testing.assert_allclose(cosine[names], best, atol=2e-3)
        assert {each["rows"] for each in compounds} == {4}
        labels = carried.loc[compounds[0]["name"]]
        assert [found["targets"][target] for target in compounds[0]["moa"]] == list(labels.index[labels > 0])


def test_replicates_are_wells_of_a_compound_at_a_dose(inputs):
    found = plate_data(inputs[0])
    assert [(each["name"], each["wells"]) for each in found["treatments"]] == [
        (f"{compound} @ {dose}", 2) for compound in "wxyz" for dose in ("0.1", "10.0")
    ]
    new = inputs[0].explained.features[list(inputs[1].schema.values)].iloc[2:4]
    np.testing.assert_allclose(found["treatments"][1]["correlation"], np.corrcoef(new)[0, 1], rtol=6e-3)
    assert found["wells"][3]["treatment"] == 1 and found["wells"][4]["treatment"] == 2


def test_reliability_is_that_of_each_target(inputs):
    found, y = plate_data(inputs[0])["reliability"], inputs[0].evidence.labels(["kinase", "HDAC"])
    assert found["rows"] == 96 and found["positives"] == y.sum().tolist() and found["auc"] == [1.0, 1.0]
    assert [sum(row) for row in found["counts"]] == [96, 96]
    assert [row[-1] for row in found["hits"]] == y.sum().tolist(), "0.7 is in the last range"


def test_without_evidence_members_or_wells(inputs):
    explained = inputs[0].explained
    bare = explained.samples[["cp_type", "distance", "share_nearer", "warning"]].assign(distance=np.nan)
    one = {"one": explained.members["one"]}
    less = Explained(bare, explained.probabilities, one, explained.features, explained.strongest)
    found = plate_data(PlateInputs(less, inputs[0].schema, {}))
    json.dumps(found, allow_nan=False)
    assert found["compounds"] is found["reliability"] is found["prevalence"] is None
    assert found["plates"] == found["treatments"] == [] and found["members"] == ["one"]
    assert not {"low", "near", "plate", "well", "compound", "distance"} & set(found["wells"][0])
    assert found["wells"][0]["dose"] == "0.1", "the condition of the schema"


def test_what_the_file_says_of_wells(inputs):
    explained = inputs[0].explained
    known = described_wells(explained.samples, explained.features, inputs[0].schema)
    assert known["compound"].iloc[0] == "w" and known["plate"].iloc[0] == "plate <1>" and known["well"].iloc[1] == "A02"
    assert known["time"].iloc[0].startswith("24 hours") and known["treatment"].iloc[0] == "w @ 0.1"


def test_members_and_features_come_back_from_storage(inputs):
    explained = inputs[0].explained
    members, features = unpacked(packed(explained.members, explained.features), ["one", "two"], ["kinase", "HDAC"])
    for name, table in explained.members.items():
        pd.testing.assert_frame_equal(members[name], table)
    assert list(features) == list(explained.features)
    np.testing.assert_allclose(features["f3"], explained.features["f3"], rtol=1e-6)
    assert features["time"].tolist() == explained.features["time"].tolist()
