"""An assay as a value: its JSON, its columns, and what is said of files that are wrong."""

import json
import os

import numpy as np
import pandas as pd
import pytest

from moa.data.assay import COMPETITION, Assay
from moa.data.assay_files import ASSAY, load_assay, save_assay
from moa.data.assay_parts import prefixes_of
from moa.errors import DataError, UserError

PLAIN = {
    "format": 1,
    "name": "screen",
    "groups": {"Cells": {"columns": ["a", "b"]}, "Cytoplasm": {"columns": ["c"]}, "Nuclei": {"columns": ["d"]}},
    "conditions": [
        {"name": "time", "column": "time", "levels": ["24", "48"]},
        {"name": "dose", "column": "dose", "numeric": "log10"},
    ],
    "control": {"column": "cp_type", "values": ["ctl_vehicle"]},
    "targets": ["kinase inhibitor", "HDAC inhibitor"],
    "compound": True,
    "value_range": [-10, 10],
}


def changed(**changes):
    return {name: value for name, value in (PLAIN | changes).items() if value is not ...}


def test_an_assay_comes_back_from_its_file(tmp_path):
    assay = Assay.model_validate(PLAIN)
    save_assay(tmp_path, assay)
    assert load_assay(tmp_path) == assay
    assert json.loads((tmp_path / ASSAY).read_text())["groups"]["Cells"] == {"columns": ["a", "b"]}
    save_assay(tmp_path, COMPETITION)
    assert load_assay(tmp_path) == COMPETITION
    assert list(tmp_path.iterdir()) == [tmp_path / ASSAY]


def test_without_a_file_the_assay_is_the_competitions(tmp_path):
    assert load_assay(tmp_path) is COMPETITION and COMPETITION.of_competition
    assert not Assay.model_validate(PLAIN).of_competition


def test_columns_and_how_controls_are_recognised():
    assay = Assay.model_validate(PLAIN)
    assert assay.features == ("cp_type", "time", "dose", "a", "b", "c", "d")
    assert assay.levels == {"time": ("24", "48")} and assay.numeric_conditions == ("dose",)
    assert assay.text_columns == ("sig_id", "cp_type", "time")
    assert assay.widths == {"ce": 2, "cy": 1, "n": 1} and assay.n_targets == 2 and assay.n_nonscored == 0
    kinds = pd.DataFrame({"cp_type": ["trt_cp", "ctl_vehicle", "trt_poscon"]}, index=list("xyz"))
    assert assay.is_treated(kinds).tolist() == [True, False, True]
    assert Assay.model_validate(changed(control=None)).is_treated(kinds).all()
    assert [condition.dtype for condition in assay.conditions] == [str, np.float64]


def test_conditions_that_are_numbers_come_after_those_with_levels():
    assay = Assay.model_validate(changed(conditions=PLAIN["conditions"][::-1]))
    assert assay.condition_columns == ("time", "dose")


@pytest.mark.parametrize(
    ("names", "prefixes"),
    [
        (["genes", "cells"], ["g", "c"]),
        (["Cells", "Cytoplasm", "Nuclei"], ["ce", "cy", "n"]),
        (["gene", "genes"], ["gene", "genes"]),
        (["x"], ["x"]),
    ],
)
def test_prefixes_are_short_and_differ(names, prefixes):
    assert prefixes_of(names) == prefixes


def test_some_groups_of_an_assay():
    genes = COMPETITION.only(["genes"])
    assert len(genes.values) == 772 and genes.unused == COMPETITION.groups[1].columns and genes.of_competition
    assert Assay.model_validate(genes.plain) == genes
    for groups, expected in (
        (["gene"], "no group 'gene'; choose of genes, cells"),
        (["genes", "genes"], "each group once"),
    ):
        with pytest.raises(UserError, match=expected):
            COMPETITION.only(groups)


def test_the_form_of_version_0_2_is_read():
    former = {
        "name": "lish-moa",
        "treatment": {"column": "cp_type", "treated": "trt_cp", "control": "ctl_vehicle"},
        "conditions": [{"column": "cp_time", "levels": [24, 48, 72]}, {"column": "cp_dose", "levels": ["D1", "D2"]}],
        "groups": [
            {"name": "genes", "prefix": "g", "columns": list(COMPETITION.groups[0].columns)},
            {"name": "cells", "prefix": "c", "columns": list(COMPETITION.groups[1].columns)},
        ],
        "n_scored": 206,
        "n_nonscored": 402,
    }
    found = Assay.model_validate(former)
    assert found.features == COMPETITION.features and found.of_competition and found.n_targets == 206
    assert found.levels == COMPETITION.levels and found.control == COMPETITION.control


# content of the file: what the only problem must say, after the file's name
MALFORMED = {
    "not JSON": ("{'name': 1}", "line 1, column 2: not JSON"),
    "cut short": (json.dumps(PLAIN)[:80], "not JSON"),
    "empty": ("", "line 1, column 1: not JSON"),
    "not UTF-8": (b'{"name": "\xe9"}', "not UTF-8 text"),
    "nested brackets": ("[" * 100_000, "nested too deeply"),
    "a list": ("[]", r"the whole file: expected an object in braces, found \[\]"),
    "twice": ('{"name": "a", "name": "b"}', '"name" occurs twice in one object'),
    "no name": (changed(name=...), "name: missing; add it"),
    "empty name": (changed(name=""), 'name: expected a text that is not empty, found ""'),
    "another format": (changed(format=2), "format: expected 1, found 2"),
    "misspelt field": (changed(target=["a"]), "target: unknown; remove it"),
    "no groups": (changed(groups=...), "groups: missing; add it"),
    "empty groups": (changed(groups={}), "groups: expected at least 1, found"),
    "groups as a list of names": (changed(groups=["Cells"]), "groups: group 'Cells' is no object"),
    "group without columns": (changed(groups={"Cells": {}}), "groups.Cells.columns: missing; add it"),
    "group of no columns": (changed(groups={"Cells": {"columns": []}}), "groups.Cells.columns: expected at least 1"),
    "group as a list": (changed(groups={"Cells": ["a"]}), "groups: group 'Cells' is no object; write"),
    "number as column": (
        changed(groups={"Cells": {"columns": ["a", 1]}}),
        "groups.Cells.columns.1: expected a text, found 1",
    ),
    "column twice": (changed(groups={"x": {"columns": ["a", "a"]}}), "column 'a' occurs twice"),
    "column in two groups": (
        changed(groups={"x": {"columns": ["a"]}, "y": {"columns": ["a"]}}),
        "column 'a' occurs twice",
    ),
    "sig_id as feature": (changed(groups={"x": {"columns": ["sig_id"]}}), "column 'sig_id' occurs twice"),
    "condition without column": (changed(conditions=[{"levels": ["a"]}]), "conditions.0.column: missing; add it"),
    "condition of neither kind": (changed(conditions=[{"column": "x"}]), "conditions.0: give either"),
    "condition of both kinds": (
        changed(conditions=[{"column": "x", "levels": ["a"], "numeric": "log10"}]),
        "conditions.0: give either",
    ),
    "mixed levels": (
        changed(conditions=[{"column": "x", "levels": ["a", 1]}]),
        "conditions.0.levels: expected a list of levels",
    ),
    "no levels": (changed(conditions=[{"column": "x", "levels": []}]), "conditions.0: give at least one level"),
    "level twice": (changed(conditions=[{"column": "x", "levels": ["a", "a"]}]), "level of 'x' 'a' occurs twice"),
    "another scale": (
        changed(conditions=[{"column": "x", "numeric": "ln"}]),
        "conditions.0.numeric: expected 'log10', found",
    ),
    "control without values": (changed(control={"column": "x", "values": []}), "control.values: expected at least 1"),
    "control as a name": (changed(control="DMSO"), 'control: expected an object in braces, found "DMSO"'),
    "targets as a text": (changed(targets="kinase"), 'targets: expected a list of names, found "kinase"'),
    "no targets": (changed(targets=[]), "targets: name at least one"),
    "target twice": (changed(targets=["a", "a"]), "target 'a' occurs twice"),
    "target scored and not": (changed(nonscored=["HDAC inhibitor"]), "target 'HDAC inhibitor' occurs twice"),
    "compound as a text": (changed(compound="yes"), 'compound: expected true or false, found "yes"'),
    "range upside down": (changed(value_range=[10, -10]), "value_range: the first number must be below"),
    "range of one": (changed(value_range=[10]), "value_range"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_file_is_reported_in_one_line_with_place_and_fix(name, tmp_path):
    content, expected = MALFORMED[name]
    raw = (
        content
        if isinstance(content, bytes)
        else (content if isinstance(content, str) else json.dumps(content)).encode()
    )
    (tmp_path / ASSAY).write_bytes(raw)
    with pytest.raises(DataError, match=f"{ASSAY}: .*{expected}") as caught:
        load_assay(tmp_path)
    assert len(caught.value.problems) == 1 and "\n" not in caught.value.problems[0], caught.value.problems


def test_all_mistakes_are_reported_at_once(tmp_path):
    (tmp_path / ASSAY).write_text(json.dumps(changed(name=3, compound="no", control=1)))
    with pytest.raises(DataError) as caught:
        load_assay(tmp_path)
    assert [problem.split(": ")[1] for problem in caught.value.problems] == ["name", "control", "compound"]


def test_a_link_that_leads_nowhere_is_not_taken_for_the_competition(tmp_path):
    os.symlink("nothing.json", tmp_path / ASSAY)
    with pytest.raises(DataError, match="assay.json: cannot be read"):
        load_assay(tmp_path)
