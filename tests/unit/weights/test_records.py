"""The schemas of the JSON files: steps of a pipeline follow one another, and no name leads out of the folder."""

import pytest

from moa.errors import StoreError
from moa.files import write_json
from moa.weights.records import PipelineRecord, StageRecord, UnitRecord, read_record

KEY = "0" * 20


def step(**changes):
    return {"name": "s", "output": "append", "inputs": ["a"], "outputs": ["s-0"], "key": KEY} | changes


def pipeline(names, *steps, columns=("a", "b")):
    return {
        "input_columns": list(columns),
        "feature_names": names,
        "dtype": "float32",
        "widths": {},
        "steps": list(steps),
    }


def stage(**changes):
    facts = {"targets": ["t"], "sources": {}, "inputs": KEY, "folds": {}, "rows": 3}
    return facts | {"pipeline": pipeline(["a", "b", "s-0"], step())} | changes


def read(tmp_path, schema, value):
    write_json(tmp_path / "record.json", value)
    return read_record(tmp_path / "record.json", schema)


@pytest.mark.parametrize(
    ("names", "change"),
    [
        (["a", "b", "s-0"], {}),
        (["b", "s-0"], {"output": "replace"}),
        (["a", "b"], {"output": "in place", "outputs": ["a"]}),
        (["a", "b"], {"output": "select", "outputs": ["a"]}),
        (["b"], {"output": "drop", "outputs": [], "key": None}),
        (["b"], {"output": "rows", "outputs": []}),
    ],
)
def test_columns_after_each_kind_of_step(names, change, tmp_path):
    assert read(tmp_path, PipelineRecord, pipeline(names, step(**change))).feature_names == names
    with pytest.raises(
        StoreError, match="record.json: not as this package writes it .*do not lead to the feature names"
    ):
        read(tmp_path, PipelineRecord, pipeline([*names, "more"], step(**change)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": ["c"]}, "step 's' needs column 'c'"),
        ({"key": None}, "step 's' has no key"),
        ({"output": "in place"}, "its outputs are not its inputs"),
        ({"output": "select"}, "selects columns that are not its inputs"),
        ({"output": "rows"}, "of output 'rows' has outputs"),
        ({"outputs": ["b"]}, "column 'b' occurs twice"),
        ({"key": "../escape"}, "steps.0.key"),
    ],
)
def test_steps_that_cannot_follow_one_another_are_refused(change, message, tmp_path):
    with pytest.raises(StoreError, match=message):
        read(tmp_path, PipelineRecord, pipeline(["a", "b", "s-0"], step(**change)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"targets": ["t", "t"]}, "target 't' occurs twice"),
        ({"sources": {"../nn": []}}, "sources"),
        ({"pipeline": pipeline(["a", "b", "s-0"], step(key="fit-0"))}, "the key fit-0, which is not that of a shared"),
    ],
)
def test_a_stage_names_targets_once_and_fits_that_are_shared(change, message, tmp_path):
    assert read(tmp_path, StageRecord, stage()).targets == ["t"]
    with pytest.raises(StoreError, match=message):
        read(tmp_path, StageRecord, stage(**change))


def test_fields_of_another_version_are_kept_and_files_of_a_unit_have_plain_names(tmp_path):
    unit = {"stage": "nn", "seed": 1, "fold": 0, "seconds": 1.5, "cluster": "nine machines"}
    assert read(tmp_path, UnitRecord, unit).to_json() == unit
    with pytest.raises(StoreError, match="sha256"):
        read(tmp_path, UnitRecord, unit | {"sha256": {"../weights": "0" * 64}})
