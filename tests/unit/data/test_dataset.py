"""Reading the competition files: tables come in aligned, and what is wrong is named with its place."""

import os

import numpy as np
import pandas as pd
import pytest

from moa.data.assay import COMPETITION
from moa.data.dataset import load_dataset, load_test, read_features, summary
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


def test_everything_is_aligned_by_sig_id_in_any_order(clean, folder):
    expected = load_dataset(clean, drugs=True)
    for name in (TRAIN_SCORED, TRAIN_NONSCORED, TRAIN_DRUG):
        edit(folder / name, lambda table: table.sample(frac=1, random_state=0))
    edit(folder / TRAIN_FEATURES, lambda table: table[list(table.columns[::-1])])
    found = load_dataset(folder, drugs=True)
    pd.testing.assert_frame_equal(found.features, expected.features)
    pd.testing.assert_frame_equal(found.scored, expected.scored)
    pd.testing.assert_frame_equal(found.nonscored, expected.nonscored)
    pd.testing.assert_series_equal(found.drugs, expected.drugs)
    assert list(found.features.columns) == list(COMPETITION.features)
    assert found.targets == list(pd.read_csv(clean / TRAIN_SCORED, nrows=0).columns[1:])
    assert found.features[[*GENES, *CELLS]].dtypes.eq(np.float64).all() and found.scored.dtypes.eq(np.uint8).all()


def test_values_are_those_of_the_file(clean):
    found = load_dataset(clean)
    plain = pd.read_csv(clean / TRAIN_FEATURES, index_col="sig_id")
    np.testing.assert_array_equal(found.features[list(GENES)], plain[list(GENES)])
    assert (found.treated == (plain["cp_type"] == "trt_cp")).all()
    assert dict(summary(found))["training rows"].startswith("64")


def test_the_second_reading_takes_the_parsed_copy_and_a_damaged_copy_is_made_again(clean, tmp_path, monkeypatch):
    monkeypatch.setenv("MOA_CACHE", str(tmp_path))
    first = read_features(clean / TEST_FEATURES)
    (copy,) = tmp_path.iterdir()
    with monkeypatch.context() as patch:
        patch.setattr("moa.data.input_tables.parse_csv", lambda *a: pytest.fail("parsed again"))
        pd.testing.assert_frame_equal(read_features(clean / TEST_FEATURES), first)
    good = copy.read_bytes()
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 64  # in the numbers: the copy can still be parsed
    for damaged in (b"torn", good[:-100], bytes(flipped)):
        copy.write_bytes(damaged)
        pd.testing.assert_frame_equal(read_features(clean / TEST_FEATURES), first)
        assert copy.read_bytes() == good


def test_a_changed_file_is_not_taken_for_its_old_copy(folder):
    before = read_features(folder / TEST_FEATURES)
    edit(folder / TEST_FEATURES, cell(0, "g-0", "1.25"))
    assert read_features(folder / TEST_FEATURES)["g-0"].iloc[0] == 1.25 != before["g-0"].iloc[0]


def test_a_cache_that_cannot_be_written_is_no_error(clean, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MOA_CACHE", str(tmp_path / "file" / "below"))
    assert len(read_features(clean / TEST_FEATURES)) == 16


def test_a_user_without_a_home_is_no_error(clean, monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("MOA_CACHE")
    monkeypatch.setattr("moa.data.input_tables.Path.home", no_home)
    assert len(read_features(clean / TEST_FEATURES)) == 16


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: b"\xef\xbb\xbf" + raw,  # the byte order mark of spreadsheets
        lambda raw: raw + b"\n\n",
        lambda raw: raw.rstrip(),
        lambda raw: raw.replace(b"\n", b"\r\n"),
    ],
    ids=["byte order mark", "blank lines at the end", "no line end at the end", "windows"],
)
def test_harmless_differences_change_nothing(clean, folder, change):
    rewrite(change)(folder / TEST_FEATURES)
    pd.testing.assert_frame_equal(read_features(folder / TEST_FEATURES), read_features(clean / TEST_FEATURES))


def test_optional_files(folder):
    os.remove(folder / SAMPLE_SUBMISSION)
    os.remove(folder / TRAIN_DRUG)
    data = load_dataset(folder)
    assert data.sample_submission is None and data.drugs is None
    with pytest.raises(DataError, match="train_drug.csv: missing; only the models on drug-aware folds"):
        load_dataset(folder, drugs=True)


def test_test_files_alone_are_read_and_checked_without_the_training_files(clean, folder):
    expected = load_dataset(clean)
    for path in folder.glob("train_*"):
        path.unlink()
    test, sample, _ = load_test(folder, expected.targets)
    pd.testing.assert_frame_equal(test, expected.test)
    pd.testing.assert_frame_equal(sample, expected.sample_submission)
    edit(folder / SAMPLE_SUBMISSION, lambda table: table.rename(columns={table.columns[5]: "other"}))
    edit(folder / TEST_FEATURES, cell(0, "cp_dose", "D3"))
    with pytest.raises(DataError, match="(?s)test_features.csv: column 'cp_dose', line 2 .*'D3'"):
        load_test(folder, expected.targets)
    edit(folder / TEST_FEATURES, cell(0, "cp_dose", "D1"))
    with pytest.raises(DataError, match="sample_submission.csv: unknown column 'other'"):
        load_test(folder, expected.targets)
    edit(folder / SAMPLE_SUBMISSION, lambda table: table.iloc[1:])
    assert load_test(folder, expected.targets)[1] is None, "one of other rows is left out"
    (folder / SAMPLE_SUBMISSION).unlink()
    assert load_test(folder, expected.targets)[1] is None


def test_features_alone_of_one_row(folder):
    edit(folder / TEST_FEATURES, lambda table: table.iloc[[4]])
    assert read_features(folder / TEST_FEATURES).shape == (1, 875)


def test_labelled_controls_and_shared_ids_are_refused(folder):
    features = pd.read_csv(folder / TRAIN_FEATURES, usecols=["sig_id", "cp_type"])
    control = features.index[features["cp_type"] == "ctl_vehicle"][0]
    edit(folder / TRAIN_SCORED, lambda t: cell(control, t.columns[1], "1")(t))
    with pytest.raises(DataError, match=f"{features['sig_id'][control]}.*control"):
        load_dataset(folder)
    edit(folder / TRAIN_SCORED, lambda t: cell(control, t.columns[1], "0")(t))
    edit(folder / TEST_FEATURES, cell(0, "sig_id", features["sig_id"][0]))
    with pytest.raises(DataError, match=f"test_features.csv.*{features['sig_id'][0]}.*is in train_features.csv too"):
        load_dataset(folder)
