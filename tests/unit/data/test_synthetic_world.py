"""The synthetic data set at full size has the counts and the moments of the competition's data."""

import numpy as np
import pandas as pd
import pytest

from moa.data.dataset import load_dataset
from moa.data.synthetic import TRUTH, draw_samples, synthesize

GENES = [f"g-{place}" for place in range(772)]
CELLS = [f"c-{place}" for place in range(100)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world") / "data"
    synthesize(folder)
    return folder


@pytest.fixture(scope="module")
def data(folder):
    return load_dataset(folder, drugs=True)


@pytest.fixture(scope="module")
def drugs(data):
    """Drug of each treated training row."""
    return data.drugs[data.treated]


@pytest.fixture(scope="module")
def scored(data):
    return data.scored[data.treated]


@pytest.fixture(scope="module")
def nonscored(data):
    return data.nonscored[data.treated]


def _near(values, expected, share):
    assert np.asarray(values) == pytest.approx(np.asarray(expected), rel=share)


def test_rows_of_drugs(data, drugs):
    """Exactly the competition's drug sizes."""
    assert len(data.features) == 23_814 and (~data.treated).sum() == 1866 and len(data.test) == 3982
    rows = drugs.value_counts()
    assert len(rows) == 3288 and rows.sum() == 21_948
    counts = rows.value_counts()
    assert counts[[6, 7, 1, 5, 12, 13]].tolist() == [2774, 196, 129, 66, 64, 25]
    assert all(3 <= counts[size] <= 6 for size in (8, 11, 14, 18)) and counts[[2, 3, 4]].sum() == 8
    assert sorted(rows[rows > 18]) == [19, 178, 186, 194, 196, 202, 203, 246, 718]


def test_labels_never_differ_inside_a_drug(drugs, scored, nonscored):
    for labels in (scored, nonscored):
        assert labels.groupby(drugs).nunique().max().max() == 1


def test_scored_targets_of_a_row(scored):
    """Exact up to one row: none 34.2 %, one 57.1 %, and a mean of 0.003725."""
    counts = scored.sum(axis=1).value_counts()
    assert counts[[0, 1, 2, 3, 4, 5, 7]].to_numpy() == pytest.approx([7501, 12_532, 1538, 303, 55, 13, 6], abs=1)
    assert scored.to_numpy().mean() == pytest.approx(0.003725, abs=2e-6)


def test_positives_and_drugs_of_scored_targets(drugs, scored):
    positives = np.sort(scored.sum().to_numpy())[::-1]
    _near(positives[:6], [832, 726, 435, 424, 404, 402], 0.1)
    _near(positives[6:20], [367, 360, 340, 336, 316, 301, 297, 283, 281, 279, 273, 270, 267, 266], 0.12)
    assert np.median(positives) == pytest.approx(38.5, abs=2.5)
    assert ((positives >= 13) & (positives <= 18)).sum() == pytest.approx(16, abs=6)
    assert ((positives >= 6) & (positives <= 12)).sum() == pytest.approx(31, abs=4)
    assert (positives == 1).sum() == 2 and positives.min() == 1
    of_target = np.sort(scored.groupby(drugs).max().sum().to_numpy())[::-1]
    _near(of_target[:7], [74, 69, 68, 63, 60, 60, 48], 0.07)
    assert np.median(of_target) == pytest.approx(6.5, abs=0.5)
    assert (of_target == 1).sum() == pytest.approx(19, abs=3) and (of_target == 2).sum() == pytest.approx(16, abs=4)


def test_log_loss_of_the_prevalence(scored):
    rate = scored.mean().to_numpy()
    loss = -(rate * np.log(rate) + (1 - rate) * np.log1p(-rate)).mean()
    assert loss == pytest.approx(0.022197, abs=1.5e-4)


def test_positives_of_nonscored_targets(nonscored):
    positives = np.sort(nonscored.sum().to_numpy())[::-1]
    assert (positives > 0).sum() == 331
    _near(positives[:8], [91, 78, 74, 72, 67, 60, 60, 56], 0.15)
    assert np.median(positives[positives > 0]) == 12


def test_moments_of_genes(data):
    values = data.features[GENES].to_numpy().ravel()
    assert values.mean() == pytest.approx(0.009, abs=0.02) and values.std() == pytest.approx(1.236, abs=0.05)
    assert np.percentile(values, [25, 50, 75]) == pytest.approx([-0.492, 0.0, 0.507], abs=0.03)
    assert values.min() == -10 and values.max() == 10


def test_moments_of_cells(data):
    values = data.features[CELLS].to_numpy().ravel()
    assert values.mean() == pytest.approx(-0.432, abs=0.06) and values.std() == pytest.approx(1.905, abs=0.15)
    assert np.percentile(values, [25, 50, 75]) == pytest.approx([-0.561, -0.005, 0.457], abs=0.05)
    assert values.min() == -10 and values.max() == pytest.approx(6.412, abs=1.5)


def _correlations(values):
    return np.corrcoef(values.to_numpy().T)[np.triu_indices(values.shape[1], 1)]


def test_correlations_of_genes(data):
    sizes = np.abs(_correlations(data.features[GENES]))
    shares = np.histogram(sizes, [0, 0.2, 0.4, 0.6, 0.8, 1])[0] / len(sizes)
    assert shares[:2] == pytest.approx([0.630, 0.263], abs=0.04) and shares[2] == pytest.approx(0.093, abs=0.025)
    assert 0.004 < shares[3] < 0.025 and shares[4] < 0.001


def test_correlations_of_cell_lines(data):
    found = _correlations(data.features[CELLS])
    assert 0.55 < found.min() < 0.75 and 0.89 < found.max() < 0.95


def test_half_of_the_drugs_hardly_act(data, drugs):
    """The mean profile of their six rows is hardly larger than that of six controls."""
    treated = data.features.loc[drugs.index, GENES]
    usual = drugs[drugs.map(drugs.value_counts()) == 6]
    size = treated.loc[usual.index].groupby(usual).mean().std(axis=1)
    controls = data.features[~data.treated][GENES].to_numpy()[:1860].reshape(310, 6, -1).mean(axis=1).std(axis=1)
    assert 0.4 < (size < np.percentile(controls, 99)).mean() < 0.7
    assert (size > 3 * np.median(controls)).mean() > 0.08


def test_nonscored_targets_tell_of_scored_ones(drugs, scored, nonscored):
    """For half of the nonscored targets with five drugs, some scored target has them five times as often as chance."""
    by_drug = pd.DataFrame(np.hstack([nonscored, scored])).groupby(drugs.to_numpy()).max()
    first, second = by_drug.iloc[:, :402].to_numpy(float), by_drug.iloc[:, 402:].to_numpy(float)
    common = first[:, first.sum(axis=0) >= 5]
    lift = (common.T @ second) / np.outer(common.sum(axis=0), second.mean(axis=0))
    together = common.T @ second
    assert (np.where(together >= 2, lift, 0).max(axis=1) > 5).mean() > 0.5


def test_test_rows_have_the_label_frequencies_of_the_training_rows(folder, data, scored):
    truth = pd.read_csv(folder / TRUTH, index_col="sig_id")[data.test_treated]
    assert truth.to_numpy().mean() == pytest.approx(scored.to_numpy().mean(), rel=0.1)
    assert np.corrcoef(truth.mean(), scored.mean())[0, 1] > 0.9


def test_test_rows_have_the_large_drugs_some_known_ones_and_mostly_new_ones():
    drugs, train, test = draw_samples(np.random.default_rng(0), 23_814, 3982)
    treated = test.drug[test.drug >= 0]
    assert len(test.drug) == 3982 and len(treated) == 3624
    large, known = treated < drugs.n_large, np.isin(treated, train.drug)
    assert large.mean() == pytest.approx(2123 / 21_948, abs=0.003)
    assert known[~large].mean() == pytest.approx(0.2, abs=0.03)
