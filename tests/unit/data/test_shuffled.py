"""A data set with exchanged labels: compounds keep together, and nothing else changes."""

import numpy as np
import pandas as pd
import pytest

from moa.data.dataset import load_dataset
from moa.data.shuffled import exchange_data, shuffle_data
from moa.errors import UserError


@pytest.fixture(scope="module")
def shuffled(data_dir, tmp_path_factory):
    out = tmp_path_factory.mktemp("shuffled") / "data"
    return out, shuffle_data(data_dir, out, seed=3)


def test_each_compound_has_the_labels_of_another_and_controls_have_none(shuffled, dataset):
    out, compounds = shuffled
    found = load_dataset(out, drugs=True)
    treated = dataset.treated
    drugs = dataset.drugs[treated]
    assert compounds == drugs.nunique() and (found.scored[~treated] == 0).all(axis=None)
    both = pd.concat([found.scored, found.nonscored], axis=1)[treated]
    assert (both.groupby(drugs).nunique() == 1).all(axis=None)
    before = pd.concat([dataset.scored, dataset.nonscored], axis=1)[treated].groupby(drugs).first()
    after = both.groupby(drugs).first()
    rows = [sorted(map(tuple, table.to_numpy().tolist())) for table in (before, after)]
    assert rows[0] == rows[1], "each compound's labels once, scored and nonscored together"
    moved = (before != after).any(axis=1) & before.any(axis=1)
    assert moved.sum() > 0.9 * before.any(axis=1).sum()


def test_features_and_other_files_are_those_of_the_source(shuffled, dataset, data_dir, tmp_path):
    out, _ = shuffled
    found = load_dataset(out, drugs=True)
    pd.testing.assert_frame_equal(found.features, dataset.features)
    pd.testing.assert_frame_equal(found.test, dataset.test)
    names = sorted(path.relative_to(data_dir) for path in data_dir.rglob("*"))
    assert sorted(path.relative_to(out) for path in out.rglob("*")) == names
    shuffle_data(data_dir, tmp_path / "again", seed=3)
    again = (tmp_path / "again" / "train_targets_scored.csv").read_bytes()
    assert again == (out / "train_targets_scored.csv").read_bytes()
    assert not np.array_equal(found.scored, dataset.scored)


def test_each_treatment_has_the_profiles_of_another_and_all_else_stays(data_dir, dataset, tmp_path):
    count = exchange_data(data_dir, tmp_path / "out", seed=1)
    found = load_dataset(tmp_path / "out", drugs=True)
    treated, columns = dataset.treated, list(dataset.schema.values)
    conditions = [column for column in dataset.features if column not in columns]
    pd.testing.assert_frame_equal(found.features[conditions], dataset.features[conditions])
    pd.testing.assert_frame_equal(found.features[~treated], dataset.features[~treated])
    pd.testing.assert_frame_equal(found.scored, dataset.scored)
    of = (dataset.drugs + dataset.features["cp_dose"])[treated]
    assert count == of.nunique()
    known = {
        row.tobytes(): name for name, row in zip(of, dataset.features.loc[treated, columns].to_numpy(), strict=True)
    }
    source = pd.Series([known[row.tobytes()] for row in found.features.loc[treated, columns].to_numpy()], of.index)
    assert (source.groupby(of).nunique() == 1).all() and (source != of).mean() > 0.9


def test_a_folder_with_files_is_left_alone(shuffled, data_dir):
    out, _ = shuffled
    with pytest.raises(UserError, match="holds files already"):
        shuffle_data(data_dir, out)


def test_the_command_says_what_it_did(moa_here, data_dir, dataset, tmp_path):
    done = moa_here("data", "shuffle", tmp_path / "out", "--data", data_dir)
    profiles = moa_here("data", "shuffle", tmp_path / "profiles", "--data", data_dir, "--profiles")
    treatments = (dataset.drugs + dataset.features["cp_dose"])[dataset.treated].nunique()
    assert f"the profiles of {treatments} treatments are exchanged" in " ".join(profiles.stdout.split())
    assert f"labels of {dataset.drugs[dataset.treated].nunique()} compounds are exchanged" in " ".join(
        done.stdout.split()
    )
