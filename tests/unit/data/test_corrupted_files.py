"""Corrupted competition files are refused by name and place."""

import os

import pandas as pd
import pytest

from moa.data.dataset import load_dataset
from moa.data.schema import (
    CELLS,
    GENES,
    SAMPLE_SUBMISSION,
    TEST_FEATURES,
    TRAIN_DRUG,
    TRAIN_FEATURES,
    TRAIN_NONSCORED,
    TRAIN_SCORED,
)
from moa.errors import DataError
from support.competition_files import cell, edit, rewrite


def edited(change):
    return lambda path: edit(path, change)


def drop_row(row):
    return edited(lambda table: table.drop(index=row))


def lines(raw, keep):
    return b"".join(raw.splitlines(keepends=True)[:keep])


# name: (file, how it is corrupted, what the message must hold)
CORRUPTIONS = {
    "missing file": (TRAIN_FEATURES, os.remove, ["train_features.csv: missing"]),
    "missing labels": (TRAIN_SCORED, os.remove, ["train_targets_scored.csv: missing"]),
    "empty file": (TEST_FEATURES, rewrite(lambda raw: b""), ["test_features.csv", "empty"]),
    "header alone": (TEST_FEATURES, rewrite(lambda raw: lines(raw, 1)), ["test_features.csv", "no rows"]),
    "binary": (TRAIN_FEATURES, rewrite(lambda raw: bytes(range(256)) * 40), ["train_features.csv", "not UTF-8"]),
    "a zip by mistake": (TRAIN_SCORED, rewrite(lambda raw: b"PK\x03\x04" + b"\xff" * 99), ["train_targets_scored.csv"]),
    "another encoding": (
        TRAIN_FEATURES,
        rewrite(lambda raw: raw.replace(b"trt_cp", "trt_cp\u00e9".encode("latin-1"), 1)),
        ["train_features.csv", "UTF-8"],
    ),
    "another encoding in a number": (
        TRAIN_FEATURES,
        rewrite(lambda raw: raw.rstrip() + b"\xe9\n"),
        ["train_features.csv: line 65", "UTF-8"],
    ),
    "blank line between rows": (
        TRAIN_FEATURES,
        rewrite(lambda raw: raw.replace(b"\n", b"\n\n", 2).replace(b"\n\n", b"\n", 1)),
        ["1 problem ", "train_features.csv: line 3: blank"],
    ),
    "quote left open": (TEST_FEATURES, rewrite(lambda raw: b'"' + raw), ["test_features.csv: line 1"]),
    "cut in a row": (TRAIN_FEATURES, rewrite(lambda raw: raw[: len(raw) - 3000]), ["train_features.csv", "line 65"]),
    "cut after a row": (TRAIN_FEATURES, rewrite(lambda raw: lines(raw, 60)), ["train_targets_scored.csv", "not in"]),
    "a value too many": (
        TEST_FEATURES,
        rewrite(lambda raw: raw.replace(b"\n", b",1\n", 2).replace(b",1\n", b"\n", 1)),
        ["test_features.csv", "line 2 has 877 values", "expected 876"],
    ),
    "missing gene": (
        TRAIN_FEATURES,
        edited(lambda t: t.drop(columns="g-7")),
        ["train_features.csv", "missing", "'g-7'"],
    ),
    "missing condition": (
        TEST_FEATURES,
        edited(lambda t: t.drop(columns="cp_dose")),
        ["test_features.csv", "'cp_dose'"],
    ),
    "extra column": (
        TRAIN_FEATURES,
        edited(lambda t: t.assign(extra="1")),
        ["train_features.csv", "unknown", "'extra'"],
    ),
    "repeated column": (
        TEST_FEATURES,
        rewrite(lambda raw: raw.replace(b"g-1,", b"g-0,", 1)),
        ["test_features.csv", "repeated", "'g-0'"],
    ),
    "no sig_id": (TRAIN_SCORED, edited(lambda t: t.drop(columns="sig_id")), ["train_targets_scored.csv", "'sig_id'"]),
    "text in numbers": (TRAIN_FEATURES, edited(cell(5, "c-3", "high")), ["'c-3'", "line 7", "'high'", "a number"]),
    "decimal comma": (TEST_FEATURES, edited(cell(2, "g-9", "0,5")), ["test_features.csv", "'g-9'", "line 4", "'0,5'"]),
    "not a number": (TRAIN_FEATURES, edited(cell(8, "g-2", "NaN")), ["'g-2'", "line 10", "empty or NaN"]),
    "empty cell": (TRAIN_FEATURES, edited(cell(9, "c-99", "")), ["'c-99'", "line 11"]),
    "infinity": (TEST_FEATURES, edited(cell(1, "g-4", "inf")), ["test_features.csv", "'g-4'", "line 3", "infinity"]),
    "repeated sig_id": (
        TRAIN_FEATURES,
        edited(lambda t: cell(3, "sig_id", t.loc[2, "sig_id"])(t)),
        ["line 5", "repeated"],
    ),
    "empty sig_id": (TEST_FEATURES, edited(cell(3, "sig_id", "")), ["test_features.csv", "'sig_id'", "line 5"]),
    "unknown type": (TRAIN_FEATURES, edited(cell(0, "cp_type", "drug")), ["'cp_type'", "line 2", "'drug'", "trt_cp"]),
    "unknown time": (TRAIN_FEATURES, edited(cell(1, "cp_time", "36")), ["'cp_time'", "line 3", "'36'", "24, 48, 72"]),
    "word among times": (
        TRAIN_FEATURES,
        edited(cell(1, "cp_time", "24h")),
        ["'cp_time', line 3 (", "holds '24h': expected"],
    ),
    "unknown dose": (TEST_FEATURES, edited(cell(1, "cp_dose", "D3")), ["'cp_dose'", "line 3", "'D3'", "D1, D2"]),
    "label 2": (
        TRAIN_SCORED,
        edited(lambda t: cell(4, t.columns[9], "2")(t)),
        ["train_targets_scored.csv", "line 6", "0, 1"],
    ),
    "label one half": (
        TRAIN_NONSCORED,
        edited(lambda t: cell(4, t.columns[9], "0.5")(t)),
        ["nonscored", "line 6", "0, 1"],
    ),
    "label text": (TRAIN_SCORED, edited(lambda t: cell(4, t.columns[9], "yes")(t)), ["line 6", "'yes'"]),
    "fewer targets": (TRAIN_SCORED, edited(lambda t: t.iloc[:, :-1]), ["205 target columns", "expected 206"]),
    "labels lack a row": (TRAIN_SCORED, drop_row(6), ["train_targets_scored.csv", "missing"]),
    "features lack a row": (TRAIN_FEATURES, drop_row(6), ["train_targets_scored.csv", "not in train_features.csv"]),
    "drugs lack a row": (TRAIN_DRUG, drop_row(6), ["train_drug.csv", "missing"]),
    "drug without id": (TRAIN_DRUG, edited(cell(6, "drug_id", "")), ["train_drug.csv", "'drug_id'", "line 8"]),
    "drug columns": (
        TRAIN_DRUG,
        edited(lambda t: t.rename(columns={"drug_id": "drug"})),
        ["train_drug.csv", "drug_id"],
    ),
    "sample without an id": (
        SAMPLE_SUBMISSION,
        edited(cell(0, "sig_id", "")),
        ["1 problem ", "sample_submission.csv", "'sig_id'", "line 2"],
    ),
    "sample of other targets": (
        SAMPLE_SUBMISSION,
        edited(lambda t: t.rename(columns={t.columns[5]: "other"})),
        ["sample_submission.csv", "'other'"],
    ),
}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corrupted_file_is_refused_by_name_and_place(folder, name):
    file, corrupt, expected = CORRUPTIONS[name]
    corrupt(folder / file)
    with pytest.raises(DataError) as caught:
        load_dataset(folder, drugs=True)
    assert all(part in str(caught.value) for part in expected), str(caught.value)


def test_many_columns_alike_share_a_line(folder):
    edit(folder / TRAIN_FEATURES, lambda t: t.assign(**dict.fromkeys(GENES, "x"), **dict.fromkeys(CELLS, "")))
    with pytest.raises(DataError) as caught:
        load_dataset(folder)
    text, empty = caught.value.problems[:6], caught.value.problems[6:]
    assert "'g-4'" in text[4] and "767 more columns up to 'g-771'" in text[5] and text[5].endswith("a number")
    assert "'c-4'" in empty[4] and "95 more columns up to 'c-99'" in empty[5] and len(empty) == 6


def test_many_labelled_controls_are_counted(folder):
    def first_six_are_controls(table):
        table.loc[:5, "cp_type"] = "ctl_vehicle"
        return table

    edit(folder / TRAIN_FEATURES, first_six_are_controls)
    edit(folder / TRAIN_SCORED, lambda t: t.assign(**{c: "0" for c in t.columns[1:]}))
    edit(folder / TRAIN_NONSCORED, lambda t: t.assign(**{c: "0" for c in t.columns[1:]}))
    edit(folder / TRAIN_SCORED, lambda t: t.assign(**{t.columns[4]: "1"}))
    ids = pd.read_csv(folder / TRAIN_FEATURES, usecols=["sig_id", "cp_type"], index_col="sig_id")
    controls = ids.index[ids["cp_type"] == "ctl_vehicle"]
    column = pd.read_csv(folder / TRAIN_SCORED, nrows=0).columns[4]
    with pytest.raises(DataError) as caught:
        load_dataset(folder)
    (problem,) = caught.value.problems
    assert all(f"column '{column}', sig_id {sig_id}" in problem for sig_id in controls[:3])
    assert controls[3] not in problem and f"and {len(controls) - 3} more rows" in problem


def test_all_problems_are_reported_at_once_and_repeats_are_counted(folder):
    edit(folder / TRAIN_FEATURES, lambda t: t.assign(**{"g-0": "x"}))
    edit(folder / TEST_FEATURES, cell(0, "cp_time", "1"))
    edit(folder / TRAIN_SCORED, lambda t: cell(1, t.columns[1], "7")(t))
    with pytest.raises(DataError) as caught:
        load_dataset(folder)
    assert len(caught.value.problems) == 3
    assert "and 61 more" in caught.value.problems[0]
