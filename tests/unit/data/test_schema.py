"""The schema: the competition's columns, other schemas, and files checked against them."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from moa.blending.submission import submission
from moa.data.assay import COMPETITION, Assay, Condition, Control, FeatureGroup
from moa.data.dataset import load_dataset, read_features
from moa.errors import DataError

OTHER = Assay(
    name="other",
    control=Control(column="kind", values=("vehicle",), treated=("drug",)),
    conditions=(Condition(column="dose", levels=(0.5, 10.0)), Condition(column="line", levels=("A549", "MCF7"))),
    groups=(FeatureGroup(name="proteins", prefix="p", columns=("p-0", "p-1")),),
)


def test_columns_of_the_competition():
    assert COMPETITION.features[:4] == ("cp_type", "cp_time", "cp_dose", "g-0") and len(COMPETITION.features) == 875
    assert COMPETITION.values == (*(f"g-{i}" for i in range(772)), *(f"c-{i}" for i in range(100)))
    assert [group.name for group in COMPETITION.groups] == ["genes", "cells"]
    assert COMPETITION.groups[1].columns == tuple(f"c-{i}" for i in range(100))
    assert COMPETITION.levels == {"cp_time": (24, 48, 72), "cp_dose": ("D1", "D2")}
    assert COMPETITION.widths == {"g": 772, "c": 100}
    assert COMPETITION.text_columns == ("sig_id", "cp_type", "cp_dose")
    assert OTHER.text_columns == ("sig_id", "kind", "line")


@pytest.mark.parametrize("schema", [COMPETITION, OTHER], ids=lambda schema: schema.name)
def test_a_schema_comes_back_from_json(schema):
    back = Assay.model_validate_json(schema.model_dump_json())
    assert back == schema and hash(back) == hash(schema)
    assert [type(level) for each in back.conditions for level in each.levels] == [
        type(level) for each in schema.conditions for level in each.levels
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": (*OTHER.groups, FeatureGroup(name="more", prefix="m", columns=("p-1",)))}, "column 'p-1'"),
        ({"groups": (*OTHER.groups, FeatureGroup(name="more", prefix="p", columns=("q-0",)))}, "prefix 'p'"),
        ({"groups": (*OTHER.groups, FeatureGroup(name="proteins", prefix="m", columns=("q",)))}, "group 'proteins'"),
        ({"conditions": (Condition(column="dose", levels=(1, 1)),)}, "level of 'dose' 1"),
        ({"conditions": (Condition(column="sig_id", levels=(1, 2)),)}, "column 'sig_id'"),
        ({"control": Control(column="kind", values=("a",), treated=("a",))}, "value of the control column 'a'"),
        ({"targets": 0}, "name at least one"),
        ({"groups": ()}, "at least 1"),
        ({"target": 3}, "Extra inputs"),
    ],
)
def test_a_schema_that_contradicts_itself_is_refused(change, message):
    with pytest.raises(ValidationError, match=message):
        Assay(**dict(OTHER) | change)


@pytest.mark.parametrize("levels", [(), ("A", 1), (True, False)])
def test_levels_are_of_one_type(levels):
    with pytest.raises(ValidationError):
        Condition(column="dose", levels=levels)


@pytest.fixture
def folder(tmp_path):
    """A data set of the other schema, its doses written as whole numbers and its columns in another order."""
    ids = [f"s{i}" for i in range(6)]
    values = {"p-0": range(6), "dose": ["10", "0.5"] * 3, "kind": ["drug", "drug", "vehicle"] * 2}
    table = pd.DataFrame({"sig_id": ids, **values, "line": ["MCF7", "A549"] * 3, "p-1": 0.25})
    table.iloc[:4].to_csv(tmp_path / "train_features.csv", index=False)
    table.iloc[4:].to_csv(tmp_path / "test_features.csv", index=False)
    labels = pd.DataFrame({"sig_id": ids[:4], "moa": [1, 0, 0, 1]})
    labels.to_csv(tmp_path / "train_targets_scored.csv", index=False)
    return tmp_path


def test_files_of_another_schema_are_read_in_its_order(folder):
    data = load_dataset(folder, schema=OTHER)
    assert data.schema == OTHER and data.nonscored is None and data.targets == ["moa"]
    assert list(data.features) == ["kind", "dose", "line", "p-0", "p-1"]
    assert data.features["dose"].tolist() == [10.0, 0.5, 10.0, 0.5] and data.features["p-0"].dtype == np.float64
    assert data.treated.tolist() == [True, True, False, True] and data.test_treated.tolist() == [True, False]
    table = submission(pd.DataFrame({"moa": 0.5}, data.test.index), data.test, ["moa"], OTHER)
    assert table["moa"].tolist() == [0.5, 0.0]


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("dose", "1", "'dose', line 2 .sig_id s4. holds '1.0': expected one of 0.5, 10.0"),
        ("line", "HeLa", "holds 'HeLa': expected one of A549, MCF7"),
        ("kind", "trt_cp", "holds 'trt_cp': expected one of vehicle, drug"),
        ("p-1", "high", "'p-1', line 2 .* a number"),
    ],
)
def test_a_cell_outside_the_schema_is_named(folder, column, value, expected):
    path = folder / "test_features.csv"
    table = pd.read_csv(path, dtype=str)
    table.loc[0, column] = value
    table.to_csv(path, index=False)
    with pytest.raises(DataError, match=expected):
        read_features(path, OTHER)


def test_a_file_read_before_by_another_schema_is_parsed_again(folder):
    schema = OTHER.model_copy(
        update={"conditions": (Condition(column="dose", levels=("1", "01")), OTHER.conditions[1])}
    )
    path = folder / "test_features.csv"
    path.write_text(path.read_text().replace(",10,", ",1,").replace(",0.5,", ",01,"))
    with pytest.raises(DataError, match="expected one of 0.5, 10.0"):
        read_features(path, OTHER)
    assert read_features(path, schema)["dose"].tolist() == ["1", "01"]


def test_files_of_another_schema_are_not_those_of_the_competition(folder):
    with pytest.raises(DataError, match="expected sig_id and 875 feature columns"):
        read_features(folder / "test_features.csv")
    fixed = OTHER.model_copy(update={"targets": 2})
    with pytest.raises(DataError, match="1 target columns; expected 2 besides sig_id"):
        load_dataset(folder, schema=fixed)
