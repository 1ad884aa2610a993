"""The options of an import: what names columns and controls, and what is stored of them."""

import json
from pathlib import Path

import pytest

from moa.errors import UserError
from moa.importing.options import FIELD_OPTIONS, ImportOptions


@pytest.mark.parametrize(
    ("control", "column", "values"),
    [
        ("role=k", "role", ("k",)),
        ("role=k, m,", "role", ("k", "m")),
        ("a=b=c", "a=b", ("c",)),
        ("DMSO", None, ("DMSO",)),
        (None, None, ()),
    ],
)
def test_how_controls_are_named(control, column, values):
    options = ImportOptions(control=control)
    assert options.columns.get("control") == column and options.control_values == values


def test_columns_that_are_named_are_known_by_field():
    options = ImportOptions(dose="Metadata_dose", cell_line="line")
    assert options.columns == {"dose": "Metadata_dose", "cell_line": "line"}
    assert FIELD_OPTIONS["cell_line"] == "--cell-line" and ImportOptions().columns == {}


def test_no_clipping_and_conditions_with_commas():
    options = ImportOptions(clip=0, conditions="dose, batch")
    assert options.clip is None and options.conditions == ("dose", "batch")
    assert ImportOptions().clip == 10 and ImportOptions().conditions is None
    with pytest.raises(UserError, match="--level 6: expected one of auto, 3, 4, 5, raw, normalised"):
        ImportOptions(level="6")


def test_the_record_names_files_and_not_folders():
    options = ImportOptions(wells=("/home/me/map.csv",), moa=Path("/home/me/moa.txt"), control="role=k", dose="um")
    stored = json.loads(json.dumps(options.plain))
    assert stored["wells"] == ["map.csv"] and stored["moa"] == "moa.txt"
    assert stored["columns"] == {"dose": "um", "control": "role"} and stored["control_values"] == ["k"]
    assert "dose" not in stored and stored["clip"] == 10
