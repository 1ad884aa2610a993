"""The metric against scikit-learn, hand-computed values, and the alignment rules."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss as sklearn_log_loss

from moa.errors import UserError
from moa.metrics import losses as metrics


@pytest.fixture
def tables():
    rng = np.random.default_rng(3)
    rows = pd.Index([f"id_{i}" for i in range(5000)], name="sig_id")  # more than two blocks
    columns = [f"moa_{i}" for i in range(7)]
    treated = pd.Series(rng.random(len(rows)) < 0.9, index=rows)
    y = pd.DataFrame(rng.random((len(rows), 7)) < 0.05, index=rows, columns=columns).astype(np.float32)
    y[~treated] = 0.0
    p = pd.DataFrame(rng.beta(0.3, 5, size=y.shape), index=rows, columns=columns)
    p.iloc[0, 0], p.iloc[1, 0] = 0.0, 1.0  # clipped cells
    return y, p, treated


def shuffled(frame, seed=0):
    return frame.sample(frac=1, random_state=seed).sample(frac=1, axis=1, random_state=seed)


def reference(y, p):
    """Column by column through scikit-learn, on probabilities clipped as the competition did."""
    p = p.clip(1e-15, 1 - 1e-15)
    return pd.Series({c: sklearn_log_loss(y[c].astype(int), p[c].to_numpy(float), labels=[0, 1]) for c in y})


def test_column_log_loss_agrees_with_sklearn(tables):
    y, p, _ = tables
    ours = metrics.column_log_loss(y, p)
    pd.testing.assert_series_equal(ours, reference(y, p), rtol=1e-12, check_names=False)
    assert metrics.log_loss(y, p) == pytest.approx(reference(y, p).mean(), rel=1e-12)


def test_hand_computed_value_and_clipping():
    y = pd.DataFrame({"a": [1, 0], "b": [0, 1]}, index=["x", "y"])
    p = pd.DataFrame({"a": [0.5, 0.25], "b": [0.0, 0.0]}, index=["x", "y"])
    loss = metrics.column_log_loss(y, p)
    assert loss["a"] == pytest.approx((np.log(2) - np.log(0.75)) / 2)
    assert loss["b"] == pytest.approx(-np.log(1e-15) / 2)


def test_float32_predictions_are_summed_in_float64(tables):
    y, p, _ = tables
    p32 = p.astype(np.float32)
    assert metrics.log_loss(y, p32) == pytest.approx(reference(y, p32.astype(float)).mean(), rel=1e-12)


def test_order_never_matters(tables):
    y, p, treated = tables
    assert metrics.log_loss(y, shuffled(p)) == metrics.log_loss(y, p)
    assert metrics.competition_log_loss(y, shuffled(p), shuffled(treated.to_frame())[0]) == (
        metrics.competition_log_loss(y, p, treated)
    )


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p: p.drop(index="id_7"), "1 row.s. missing.*id_7"),
        (lambda p: p.rename(columns={"moa_2": "other"}), "1 column.s. missing.*moa_2"),
        (lambda p: p.assign(extra=0.0), "not expected.*extra"),
        (lambda p: pd.concat([p, p.iloc[[4]]]), "id_4.*twice"),
        (lambda p: p.drop(index="id_4500").reindex(p.index), "id_4500.*nan"),
        (lambda p: p * 8, "probability"),
    ],
)
def test_mismatch_is_a_user_error(tables, spoil, message):
    y, p, _ = tables
    with pytest.raises(UserError, match=message):
        metrics.log_loss(y, spoil(p))


def test_labels_other_than_0_and_1_are_refused(tables):
    y, p, _ = tables
    y.loc["id_4000", "moa_3"] = 0.5
    with pytest.raises(UserError, match="id_4000.*moa_3.*0.5"):
        metrics.log_loss(y, p)


def test_competition_loss_counts_controls_as_zero(tables):
    y, p, treated = tables
    zeroed = p.copy()
    zeroed[~treated] = 0.0
    expected = reference(y, zeroed).mean()
    assert 0 < (~treated).sum() < len(treated)
    assert metrics.competition_log_loss(y, p, treated) == pytest.approx(expected, abs=1e-14)  # overridden
    assert metrics.competition_log_loss(y, p[treated], treated) == pytest.approx(expected, abs=1e-14)  # missing
    with pytest.raises(UserError, match="missing"):
        metrics.competition_log_loss(y, p.drop(index=treated.index[treated.to_numpy()][3]), treated)
    with pytest.raises(UserError, match="not expected.*stranger"):
        metrics.competition_log_loss(y, p.rename(index={treated.index[~treated.to_numpy()][0]: "stranger"}), treated)


def test_treated_and_all_rows_convert(tables):
    y, p, treated = tables
    over_treated = metrics.treated_log_loss(y, p, treated)
    over_all = metrics.competition_log_loss(y, p, treated)
    assert over_treated == pytest.approx(reference(y[treated], p[treated]).mean(), rel=1e-12)
    counts = int(treated.sum()), len(treated)
    assert metrics.treated_to_all(over_treated, *counts) == pytest.approx(over_all, abs=1e-12)
    assert metrics.treated_to_all(0.01644, 21_948, 23_814) == pytest.approx(0.01515, abs=1e-5)
    with pytest.raises(UserError):
        metrics.treated_to_all(0.1, 5, 4)


def test_treated_must_be_boolean_and_complete(tables):
    y, p, treated = tables
    with pytest.raises(UserError, match="True/False"):
        metrics.competition_log_loss(y, p, treated.astype(int))
    with pytest.raises(UserError, match="treated: 1 row"):
        metrics.competition_log_loss(y, p, treated.iloc[1:])


def test_rows_have_losses_of_their_own(tables):
    y, p, _ = tables
    losses = metrics.row_log_loss(y, shuffled(p))
    assert losses.index.equals(y.index) and losses.mean() == pytest.approx(metrics.log_loss(y, p), rel=1e-12)
    assert losses["id_9"] == pytest.approx(reference(y.loc[["id_9"]], p.loc[["id_9"]]).mean(), rel=1e-12)
    cells = metrics.cell_log_loss(np.array([[True, False]]), np.array([[0.25, 0.0]]))
    np.testing.assert_allclose(cells, [[np.log(4), 1e-15]], atol=1e-15)


def test_bootstrap_draws_groups_whole():
    """Six equal rows weigh as one: the interval is as wide as that of the groups' means."""
    rng = np.random.default_rng(0)
    means = rng.normal(size=200)
    rows, groups = np.repeat(means, 6), np.repeat(np.arange(200), 6)
    low, high = metrics.bootstrap_interval(rows, groups)
    assert metrics.bootstrap_interval(means) == (low, high)
    assert low < means.mean() < high and high - low == pytest.approx(2 * 1.96 * means.std() / 200**0.5, rel=0.1)
    narrow = metrics.bootstrap_interval(rows)
    assert (high - low) / (narrow[1] - narrow[0]) == pytest.approx(6**0.5, rel=0.15)


def test_prevalence_is_the_best_constant(tables):
    y, _, _ = tables
    base = metrics.prevalence_baseline(y, y.index)
    assert base.iloc[0].to_numpy() == pytest.approx(y.to_numpy(float).mean(axis=0))
    best = metrics.log_loss(y, base)
    assert best < metrics.log_loss(y, base * 1.1)
    assert best < metrics.log_loss(y, base * 0.9)
