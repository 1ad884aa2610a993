"""The synthetic data set: the competition's schema and proportions, and a signal that is there to be learned."""

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from moa import version
from moa.data import synthetic
from moa.data.dataset import load_dataset
from moa.data.schema import SAMPLE_SUBMISSION, TEST_FEATURES, TRAIN_FEATURES
from moa.data.synthetic import MARKER, TRUTH, WORLD, is_synthetic, synthesize
from moa.errors import UserError
from moa.files import read_json, sha256, write_json

ROWS, TEST_ROWS = 3000, 300


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic") / "data"
    synthesize(folder, rows=ROWS, test_rows=TEST_ROWS, seed=0)
    return folder


@pytest.fixture(scope="module")
def data(folder):
    return load_dataset(folder, drugs=True)  # which checks the schema to the last cell


def test_a_small_data_set_has_the_shares_of_the_large_one(data):
    """An eighth of the full size: see ``test_synthetic_world`` for the counts there."""
    assert data.scored.shape == (ROWS, 206) and data.nonscored.shape == (ROWS, 402)
    treated = data.scored[data.treated]
    assert treated.to_numpy().mean() == pytest.approx(0.003725, abs=0.0001)
    targets = treated.sum(axis=1)
    assert [(targets == count).mean() for count in (0, 1, 2)] == pytest.approx([0.342, 0.571, 0.070], abs=0.005)
    assert (treated.sum() > 0).all()
    assert (~data.treated).mean() == pytest.approx(1866 / 23_814, abs=0.001)
    assert not data.scored[~data.treated].any(axis=None) and not data.nonscored[~data.treated].any(axis=None)


def test_drugs_repeat_over_times_and_doses_with_the_same_labels(data):
    treated = data.features[data.treated]
    drugs = data.drugs[data.treated]
    sizes = drugs.value_counts()
    assert sizes.median() == 6 and data.drugs[~data.treated].nunique() == 1
    assert data.scored[data.treated].groupby(drugs).nunique().max().max() == 1
    common = drugs[drugs.isin(sizes.index[sizes == 6])]
    covered = treated.loc[common.index].groupby(common)[["cp_time", "cp_dose"]].nunique()
    assert (covered == [3, 2]).all(axis=None)


@pytest.mark.parametrize(("rows", "seed"), [(60, 0), (60, 1), (61, 2), (200, 3)])
def test_the_smallest_data_sets_are_complete_and_have_labels(tmp_path, rows, seed):
    synthesize(tmp_path / "data", rows=rows, test_rows=1, seed=seed)
    data = load_dataset(tmp_path / "data", drugs=True)
    labelled = data.scored[data.treated].any(axis=1)
    assert len(data.features) == rows and 0.4 < labelled.mean() < 0.8
    assert data.drugs[data.treated].nunique() > 8


def test_the_seed_decides_every_file(folder, tmp_path):
    for seed, other in ((0, tmp_path / "same"), (1, tmp_path / "different")):
        synthesize(other, rows=ROWS, test_rows=TEST_ROWS, seed=seed)
        assert (sha256(other / TRAIN_FEATURES) == sha256(folder / TRAIN_FEATURES)) == (seed == 0)


def test_truth_is_kept_apart_and_fits_the_test_rows(folder, data):
    truth = pd.read_csv(folder / TRUTH, index_col="sig_id")
    assert list(truth.index) == list(data.test.index) and list(truth.columns) == list(data.scored.columns)
    assert truth[data.test_treated].any(axis=None) and not truth[~data.test_treated].any(axis=None)
    assert list(pd.read_csv(folder / SAMPLE_SUBMISSION)["sig_id"]) == list(data.test.index)


def _losses(x, y, rng):
    """Held-out log loss of logistic regression, and of the prevalence, over the commoner targets."""
    rows = rng.permutation(len(x))
    fit, held = rows[: len(x) * 2 // 3], rows[len(x) * 2 // 3 :]
    model, prevalence = [], []
    for target in y.T:
        rate = np.clip(target[fit].mean(), 1e-4, None)
        found = LogisticRegression(C=0.05, max_iter=200).fit(x[fit], target[fit]).predict_proba(x[held])[:, 1]
        for losses, p in ((model, found), (prevalence, np.full(len(held), rate))):
            p = np.clip(p, 1e-6, 1 - 1e-6)
            losses.append(-np.mean(target[held] * np.log(p) + (1 - target[held]) * np.log(1 - p)))
    return np.mean(model), np.mean(prevalence)


def test_logistic_regression_learns_it_and_not_when_labels_are_shuffled(data):
    treated = data.features[data.treated].iloc[:, 3:].to_numpy()
    x = PCA(40, random_state=0).fit_transform(treated)
    x /= x.std(axis=0)
    y = data.scored[data.treated]
    y = y[y.sum().nlargest(15).index].to_numpy()
    rng = np.random.default_rng(0)
    model, prevalence = _losses(x, y, np.random.default_rng(1))
    assert model < 0.9 * prevalence
    shuffled, prevalence = _losses(x, y[rng.permutation(len(y))], np.random.default_rng(1))
    assert shuffled > 0.99 * prevalence


def test_made_once_and_never_over_someone_elses_files(folder, tmp_path):
    before = (folder / TEST_FEATURES).stat().st_mtime_ns
    synthesize(folder, rows=ROWS, test_rows=TEST_ROWS, seed=0)
    assert (folder / TEST_FEATURES).stat().st_mtime_ns == before and is_synthetic(folder)
    (tmp_path / "train_features.csv").write_text("sig_id\n")
    with pytest.raises(UserError, match="train_features.csv: not made by"):
        synthesize(tmp_path, rows=100, test_rows=10)
    with pytest.raises(UserError, match="at least 60"):
        synthesize(tmp_path / "new", rows=10, test_rows=10)


def test_the_number_of_the_world_and_not_the_version_decides_whether_data_are_made_again(tmp_path, monkeypatch):
    def made():
        before = (tmp_path / TEST_FEATURES).stat().st_mtime_ns
        synthesize(tmp_path, rows=60, test_rows=2)
        return (tmp_path / TEST_FEATURES).stat().st_mtime_ns != before

    synthesize(tmp_path, rows=60, test_rows=2)
    marker = read_json(tmp_path / MARKER)
    assert marker == {"rows": 60, "test_rows": 2, "seed": 0, "world": WORLD}
    monkeypatch.setattr(version, "__version__", "99.0")
    assert not made()
    write_json(tmp_path / MARKER, marker | {"version": "0.2.0"})  # as earlier versions wrote it
    assert not made()
    monkeypatch.setattr(synthetic, "WORLD", WORLD + 1)
    assert made() and read_json(tmp_path / MARKER)["world"] == WORLD + 1
