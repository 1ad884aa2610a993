"""Files as they come: packed, parquet, with columns that programs add, and values that are not to be expected."""

import builtins
import gzip
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import moa
from moa.data.assay import COMPETITION
from moa.data.checks import Unusual
from moa.data.csv_files import parse_csv
from moa.data.dataset import load_dataset, load_test, read_features
from moa.data.input_tables import find_table
from moa.data.problems import Problems
from moa.data.schema import SAMPLE_SUBMISSION, TEST_FEATURES, TRAIN_DRUG, TRAIN_FEATURES, TRAIN_SCORED
from moa.errors import DataError
from support.competition_files import edit, rewrite


def notes_of(capsys, read):
    """What a function prints, on one line."""
    found = read()
    return found, " ".join(capsys.readouterr().err.split())


def packed(path):
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def as_parquet(path, index=False):
    table = pd.read_csv(path)
    if index:
        table = table.set_index("sig_id")
    table.to_parquet(path.with_suffix(".parquet"))
    path.unlink()


@pytest.mark.parametrize("change", [packed, as_parquet, lambda path: as_parquet(path, index=True)])
def test_packed_and_parquet_files_are_read_as_the_csv_file(clean, folder, change):
    for name in (TRAIN_FEATURES, TRAIN_SCORED, TRAIN_DRUG, TEST_FEATURES, SAMPLE_SUBMISSION):
        change(folder / name)
    found, expected = load_dataset(folder, drugs=True), load_dataset(clean, drugs=True)
    for name in ("features", "scored", "nonscored", "test", "sample_submission"):
        pd.testing.assert_frame_equal(getattr(found, name), getattr(expected, name))
    assert found.drugs.equals(expected.drugs) and found.fingerprint.keys() == expected.fingerprint.keys()
    assert found.fingerprint[TRAIN_FEATURES] != expected.fingerprint[TRAIN_FEATURES]


@pytest.mark.parametrize("damage", [lambda raw: raw[: len(raw) // 2], lambda raw: raw[:2] + b"no gzip at all"])
def test_a_damaged_packed_file_is_named(folder, damage):
    packed(folder / TEST_FEATURES)
    rewrite(damage)(find_table(folder, TEST_FEATURES))
    with pytest.raises(DataError, match="test_features.csv.gz: a gzip file that is damaged or cut short"):
        load_dataset(folder)


def test_a_damaged_parquet_file_is_named(folder):
    as_parquet(folder / TEST_FEATURES)
    rewrite(lambda raw: raw[: len(raw) // 2])(find_table(folder, TEST_FEATURES))
    with pytest.raises(DataError, match="test_features.parquet: a parquet file that is damaged or cut short"):
        load_dataset(folder)


@pytest.mark.parametrize(
    "add",
    [lambda t: t.reset_index(), lambda t: t.assign(**{"Unnamed: 0": range(len(t))}), lambda t: t.assign(**{"": 1})],
)
def test_row_numbers_are_set_aside_with_a_note(clean, folder, capsys, add):
    for name in (TRAIN_FEATURES, TRAIN_SCORED, TRAIN_DRUG):
        edit(folder / name, add)
    found, notes = notes_of(capsys, lambda: load_dataset(folder, drugs=True))
    pd.testing.assert_frame_equal(found.features, load_dataset(clean).features)
    pd.testing.assert_frame_equal(found.scored, load_dataset(clean).scored)
    assert notes.count("holds row numbers (an index saved with the table): set aside") == 3


def test_metadata_is_set_aside_and_kept_and_any_other_column_is_refused(folder, capsys):
    def described(table):
        return table.assign(Metadata_plate="P1", Metadata_well=[f"A{i}" for i in range(len(table))])

    edit(folder / TRAIN_FEATURES, described)
    edit(folder / TEST_FEATURES, described)
    found, notes = notes_of(capsys, lambda: load_dataset(folder))
    assert list(found.features) == list(COMPETITION.features) and list(found.metadata) == [
        "Metadata_plate",
        "Metadata_well",
    ]
    assert found.metadata.loc[found.features.index[3], "Metadata_well"] == "A3"
    assert "test_features.csv: Metadata_ columns are set aside and copied into the outputs" in notes
    edit(folder / TRAIN_FEATURES, lambda t: t.assign(plate="P1"))
    with pytest.raises(DataError, match="train_features.csv: unknown column 'plate'"):
        load_dataset(folder)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda raw: raw.replace(b",", b";"), "separated by semicolons; save it with commas"),
        (
            lambda raw: raw.replace(b",", b";").replace(b".", b","),
            "separated by semicolons, and numbers have decimal commas",
        ),
        (lambda raw: raw.replace(b",", b"\t"), "separated by tabs"),
    ],
)
def test_another_separator_is_named(folder, change, expected):
    rewrite(change)(folder / TEST_FEATURES)
    with pytest.raises(DataError, match=f"test_features.csv: line 1: columns are {expected}"):
        load_dataset(folder)


def test_decimal_commas_in_quotes_are_named(folder):
    edit(folder / TEST_FEATURES, lambda t: t.assign(**{"g-3": t["g-3"].str.replace(".", ",", regex=False)}))
    with pytest.raises(DataError, match="'g-3', line 2 .*expected a number with a decimal point"):
        load_dataset(folder)


def test_a_packed_data_set_is_pointed_to(folder, tmp_path):
    (folder / TRAIN_FEATURES).unlink()
    (folder / "lish-moa.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match="train_features.csv: missing; unpack lish-moa.zip, which lies beside it"):
        load_dataset(folder)
    (folder / "lish-moa.zip").unlink()
    shutil.move(folder, tmp_path / "outer" / "lish-moa")
    with pytest.raises(DataError, match="test_features.csv: missing; there is one in .*lish-moa: give that folder"):
        load_dataset(tmp_path / "outer")


@pytest.mark.parametrize("name", [SAMPLE_SUBMISSION, TRAIN_DRUG, TRAIN_FEATURES])
@pytest.mark.parametrize("loop", [False, True])
def test_a_link_that_leads_nowhere_is_reported(folder, name, loop):
    (folder / name).unlink()
    os.symlink(name if loop else "nothing.csv", folder / name)
    expected = "cannot be read" if loop else "a link to nothing.csv, which points to nothing"
    with pytest.raises(DataError, match=f"{name}: {expected}"):
        load_dataset(folder, drugs=True)


def test_a_header_of_millions_of_columns_is_refused_at_once(tmp_path):
    problems = Problems()
    assert parse_csv(b"sig_id," + b"x," * 10_000_000 + b"y\n", "wide.csv", ["sig_id"], problems) is None
    assert problems == ["wide.csv: line 1: 10,000,002 columns; at most 100,000 are read (is the table transposed?)"]


@pytest.mark.parametrize(
    ("above", "below", "expected"),
    [("1", "2", [1, 2]), ("1", "0.5", [1.0, 0.5]), ("", "0.5", [None, 0.5]), ("1", "x", ["1", "x"])],
    ids=["alike", "whole numbers first", "empty first", "numbers first"],
)
def test_the_cells_below_those_that_are_parsed_first_may_be_of_another_type(monkeypatch, above, below, expected):
    def parsed(block):
        monkeypatch.setattr("moa.data.csv_files._PIECE", 4 * block)
        monkeypatch.setattr("moa.data.csv_files._BLOCK", block)
        rows = "".join(f"id_{row:03d},{above if row < 50 else below}\n" for row in range(100))
        problems = Problems()
        table = parse_csv(f"sig_id,value\n{rows}".encode(), "a.csv", ["sig_id"], problems)
        assert not problems
        return table.to_pandas()

    found = parsed(200)
    pd.testing.assert_frame_equal(found, parsed(1 << 20))
    assert found["value"].iloc[[0, -1]].astype(object).replace({np.nan: None}).tolist() == expected


def test_a_short_row_below_those_that_are_parsed_first_is_named(monkeypatch):
    monkeypatch.setattr("moa.data.csv_files._PIECE", 800)
    monkeypatch.setattr("moa.data.csv_files._BLOCK", 200)
    problems = Problems()
    rows = "".join(f"id_{row:03d},{row if row < 90 else 'x'}\n" for row in range(100))
    assert parse_csv(f"sig_id,value\n{rows}id_100\n".encode(), "a.csv", ["sig_id"], problems) is None
    assert problems == ["a.csv: line 102 has 1 value: expected 2, one per column (is the file cut short?)"]


def test_a_stale_sample_submission_is_left_out_everywhere(folder, capsys):
    targets = load_dataset(folder).targets
    edit(folder / SAMPLE_SUBMISSION, lambda table: table.iloc[1:])
    for read in (lambda: load_dataset(folder).sample_submission, lambda: load_test(folder, targets)[1]):
        found, notes = notes_of(capsys, read)
        assert (
            found is None and "sample_submission.csv: has other rows than test_features.csv, so it is left out" in notes
        )


def test_controls_alone_are_refused(folder):
    edit(folder / TRAIN_FEATURES, lambda t: t.assign(cp_type="ctl_vehicle"))
    for name in (TRAIN_SCORED, "train_targets_nonscored.csv"):
        edit(folder / name, lambda t: t.assign(**dict.fromkeys(t.columns[1:], "0")))
    with pytest.raises(DataError, match="no treated row: column 'cp_type' holds ctl_vehicle in every row"):
        load_dataset(folder)


def test_unusual_values_are_counted_and_reported(folder, capsys):
    def change(table):
        table.loc[:2, "g-5"] = "-666"
        table.loc[1:4, "c-9"] = "12.5"
        return table.assign(**{"g-7": "0", "g-8": "1.5"})

    edit(folder / TRAIN_FEATURES, change)
    _, notes = notes_of(capsys, lambda: load_dataset(folder))
    assert "3 cells in 3 rows hold -666, the missing value of LINCS" in notes
    assert "4 values in 4 rows lie outside -10 to 10, the range of lish-moa (the first: column 'c-9'" in notes
    assert "2 feature columns hold one value in every row, 1 of them 0 alone: 'g-7', 'g-8'" in notes


def test_counts_of_parts_add_up(clean):
    table = read_features(clean / TEST_FEATURES).copy()
    table.iloc[3, 10] = table.iloc[9, 500] = 11.0
    table.iloc[12, 20] = -666.0
    whole = Unusual.of(table, COMPETITION)
    parts = Unusual.of(table.iloc[:8], COMPETITION) + Unusual.of(table.iloc[8:], COMPETITION)
    assert whole == parts == Unusual(1, 1, 2, 2, (table.columns[10], table.index[3]))


def test_no_open_temporary_file_is_opened_again_by_its_name(clean, tmp_path, monkeypatch):
    """On Windows that fails."""
    package = Path(moa.__file__).parent
    for path in package.rglob("*.py"):
        assert "NamedTemporaryFile" not in path.read_text(encoding="utf-8"), path
    still_open: set[str] = set()
    make = tempfile.mkstemp

    def mkstemp(*arguments, **options):
        handle, name = make(*arguments, **options)
        still_open.add(os.path.realpath(name))
        handles[handle] = name
        return handle, name

    handles: dict[int, str] = {}
    close = os.close

    def closing(handle):
        still_open.discard(os.path.realpath(handles.pop(handle, "")))
        close(handle)

    opened = []
    watching = [True]

    def watch(event, arguments):
        if (
            watching[0]
            and event == "open"
            and isinstance(arguments[0], (str, os.PathLike))
            and (
                os.path.realpath(arguments[0]) in still_open
                and arguments[2] is not None
                and not arguments[2] & os.O_EXCL
            )
        ):
            opened.append(arguments[0])

    monkeypatch.setattr(tempfile, "mkstemp", mkstemp)
    monkeypatch.setattr(os, "close", closing)
    monkeypatch.setenv("MOA_CACHE", str(tmp_path / "cache"))
    sys.addaudithook(watch)
    try:
        from moa.files import write_json

        load_dataset(clean)
        write_json(tmp_path / "x.json", {"a": 1})
        assert not opened
        handle, name = tempfile.mkstemp(dir=tmp_path)
        with builtins.open(name):
            pass
        assert opened == [name], "the test itself finds such a file"
        os.close(handle)
    finally:
        watching[0] = False
    assert np.isfinite(load_dataset(clean).features[list(COMPETITION.values)]).all(axis=None)
