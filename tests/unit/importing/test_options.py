"""The options of an import: what names columns and controls, and what is stored of them."""

import json
from pathlib import Path

import pytest
import yaml

from moa.errors import UserError
from moa.importing.mapping import Mapping
from moa.importing.options import FIELD_OPTIONS, ImportOptions
from moa.options import flag


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
    assert (FIELD_OPTIONS["dose"], FIELD_OPTIONS["cell_line"]) == (
        "--dose",
        "cell_line",
    ) and ImportOptions().columns == {}


def test_no_clipping_and_conditions_with_commas():
    options = ImportOptions(clip=0, conditions="dose, batch")
    assert options.clip is None and options.conditions == ("dose", "batch")
    assert ImportOptions().clip == 10 and ImportOptions().conditions is None
    with pytest.raises(UserError, match="--level 6: expected one of auto, 3, 4, 5, raw, normalised"):
        ImportOptions(level="6")
    assert ImportOptions(level=3).level == "3" and ImportOptions(metadata="QC_a,b").metadata == ("QC_a,b",)


def test_what_the_command_line_has_not_is_explained_in_the_mapping():
    options = {name for name, field in ImportOptions.model_fields.items() if not flag(field).hidden}
    assert options == {
        *("wells", "mapping", "moa", "mechanism", "plate", "well", "compound", "dose", "control", "features"),
        *("level", "layer", "sites"),
    }
    text = Mapping(settings=ImportOptions().settings).text()
    for name, field in ImportOptions.model_fields.items():
        if name not in options:
            assert f"  # {field.description}\n" in text or name in text.partition("settings:")[0], name


def test_settings_are_written_so_that_they_are_read():
    odd = {
        "name": "a\n\nb: {c} # d",
        "moa_separator": "\n",
        "conditions": ["none", "a, b"],
        "level": "3",
        "group": "...",
    }
    settings = {**odd, "clip": None, "most_missing": 1e-7, "plate_pattern": "(?P<x>.)", "metadata": ["\x85*"]}
    assert yaml.safe_load(Mapping(settings=settings).text())["settings"] == settings


def test_a_setting_that_cannot_be_used_is_named_with_its_file():
    options = ImportOptions(mapping=Path("my.yaml"))
    for settings, message in (
        ({"least_compounds": 0}, "least_compounds 0: expected at least 1"),
        (
            {"least_compunds": 5},
            r"'least_compunds' is unknown \(did you mean least_compounds .*\); there are plate, .*",
        ),
        ({5: 5}, "'5' is unknown; there are plate, .*"),
        ({"moa": "hub.txt"}, "moa is no setting; type --moa"),
        ({"mapping": "other.yaml"}, "mapping is no setting; type --mapping"),
        ({"clip": True}, "clip True: expected a number"),  # YAML reads `clip: yes` so
        ({"least_compounds": True}, "least_compounds True: expected a number"),
        ({"most_missing": False}, "most_missing False: expected a number"),
    ):
        with pytest.raises(UserError, match=f"^settings of my.yaml: {message}$") as raised:
            options.reading(settings)
        assert "ImportOptions" not in str(raised.value)


def test_what_was_given_goes_before_a_setting_even_with_its_default():
    options = ImportOptions(sites="refuse", level="auto").reading({"sites": "average", "level": "raw", "clip": 0})
    assert (options.sites, options.level, options.clip) == ("refuse", "auto", None)
    again = options.reading({"sites": "average", "clip": 5, "least_compounds": 3})  # settings of weights come last
    assert (again.sites, again.clip, again.least_compounds) == ("refuse", None, 3)


def test_the_record_names_files_and_not_folders():
    options = ImportOptions(wells=("/home/me/map.csv",), moa=Path("/home/me/moa.txt"), control="role=k", dose="um")
    stored = json.loads(json.dumps(options.plain))
    assert stored["wells"] == ["map.csv"] and stored["moa"] == "moa.txt"
    assert stored["columns"] == {"dose": "um", "control": "role"} and stored["control_values"] == ["k"]
    assert "dose" not in stored and stored["clip"] == 10
