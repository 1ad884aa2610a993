"""The synthetic data set: the competition's schema and proportions, and a signal that is there to be learned."""

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from moa.data.dataset import load_dataset
from moa.data.schema import SAMPLE_SUBMISSION, TEST_FEATURES, TRAIN_FEATURES
from moa.data.synthetic import TRUTH, is_synthetic, synthesize
from moa.errors import UserError
from moa.files import sha256


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic") / "data"
    synthesize(folder, rows=3000, test_rows=300, seed=0)
    return folder


@pytest.fixture(scope="module")
def data(folder):
    return load_dataset(folder, drugs=True)  # which checks the schema to the last cell


def test_proportions_are_those_of_the_competition(data):
    assert data.scored.shape == (3000, 206) and data.nonscored.shape == (3000, 402)
    assert 0.002 < data.scored.to_numpy().mean() < 0.008
    assert (data.scored.sum() > 0).all() and (data.nonscored.sum() > 0).sum() == 331
    assert data.scored.sum().max() > 10 * data.scored.sum().median()
    assert (~data.treated).mean() == pytest.approx(0.078, abs=0.005)
    assert not data.scored[~data.treated].any(axis=None)
    values = data.features.iloc[:, 3:]
    assert values.min().min() >= -10 and values.max().max() <= 10
    assert data.features.filter(like="c-").skew().mean() < -1


def test_drugs_repeat_over_times_and_doses_with_the_same_labels(data):
    treated = data.features[data.treated]
    drugs = data.drugs[data.treated]
    sizes = drugs.value_counts()
    assert sizes.median() == 6 and data.drugs[~data.treated].nunique() == 1
    assert data.scored[data.treated].groupby(drugs).nunique().max().max() == 1
    common = drugs[drugs.isin(sizes.index[sizes == 6])]
    covered = treated.loc[common.index].groupby(common)[["cp_time", "cp_dose"]].nunique()
    assert (covered == [3, 2]).all(axis=None)


def test_the_seed_decides_every_file(folder, tmp_path):
    for seed, other in ((0, tmp_path / "same"), (1, tmp_path / "different")):
        synthesize(other, rows=3000, test_rows=300, seed=seed)
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


def test_nonscored_targets_tell_of_scored_ones(data):
    """A drug with a nonscored target has scored ones more often than another."""
    treated = data.treated
    scored = data.scored[treated].any(axis=1)
    nonscored = data.nonscored[treated].any(axis=1)
    assert scored[nonscored].mean() > 1.3 * scored[~nonscored].mean()


def test_made_once_and_never_over_someone_elses_files(folder, tmp_path):
    before = (folder / TEST_FEATURES).stat().st_mtime_ns
    synthesize(folder, rows=3000, test_rows=300, seed=0)
    assert (folder / TEST_FEATURES).stat().st_mtime_ns == before and is_synthetic(folder)
    (tmp_path / "train_features.csv").write_text("sig_id\n")
    with pytest.raises(UserError, match="train_features.csv: not made by"):
        synthesize(tmp_path, rows=100, test_rows=10)
    with pytest.raises(UserError, match="at least 60"):
        synthesize(tmp_path / "new", rows=10, test_rows=10)
