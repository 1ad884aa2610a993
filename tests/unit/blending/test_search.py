"""The search for weights: planted weights are found, and the gain it reports is out of sample."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from moa.blending.blend import apply_blend, load_blend, save_blend
from moa.blending.members import Oof, comparable_rows
from moa.blending.options import SearchOptions
from moa.blending.search import search as search_with
from moa.errors import UserError
from moa.metrics.losses import competition_log_loss, log_loss, treated_to_all

PLANTED = np.array([0.5, 0.0, 0.3, 0.2])


def simulate(n_rows=4000, n_targets=12, weights=PLANTED, seed=0):
    """Members of independent probabilities; labels drawn from their planted mixture (per target where 2-d)."""
    rng = np.random.default_rng(seed)
    rows = pd.Index([f"id_{i:05d}" for i in range(n_rows)], name="sig_id")
    columns = [f"moa_{i}" for i in range(n_targets)]
    treated = pd.Series(np.arange(n_rows) % 8 > 0, index=rows)
    p = rng.beta(0.6, 3.0, size=(len(weights), n_rows, n_targets))
    mixture = np.einsum("mt,mrt->rt", np.broadcast_to(weights.T, (n_targets, len(weights))).T, p)
    y = pd.DataFrame((rng.random(mixture.shape) < mixture).astype(np.float32), index=rows, columns=columns)
    y[~treated] = 0.0
    oofs = [
        Oof(f"model-{m}", pd.DataFrame(p[m], index=rows, columns=columns)[treated], "multilabel-10")
        for m in range(len(weights))
    ]
    return oofs, y, treated


def search(oofs, y, treated, groups=None, **options):
    return search_with(oofs, y, treated, SearchOptions(**options), groups=groups)


@pytest.fixture(scope="module")
def data():
    return simulate()


@pytest.fixture(scope="module")
def found(data):
    return search(*data, methods=["slsqp", "per-target"], folds=4, bootstrap=300)


def test_search_recovers_planted_weights(data, found):
    assert list(found.first.weights.index) == [oof.name for oof in data[0]]
    np.testing.assert_allclose(found.first.weights, PLANTED, atol=0.04)
    assert found.first.weights["model-1"] < 0.03
    table = found.table()
    assert list(table.index) == ["best-single", "equal", "slsqp", "per-target"]
    assert table.loc["slsqp", "treated"] < table.loc["equal", "treated"] < table.loc["best-single", "treated"]
    assert 0.0 < found.first.interval[0] < found.first.gain < found.first.interval[1]
    assert found.best_single == "model-0"
    assert table.loc["slsqp", "nested"] >= table.loc["slsqp", "treated"]  # out of sample costs something


def test_reported_losses_are_the_metric(data, found):
    oofs, y, treated = data
    mixed = apply_blend(found.spec("mine", "Mine"), {oof.name: oof.predictions for oof in oofs})
    assert found.first.treated == pytest.approx(log_loss(y[treated], mixed), abs=1e-7)  # float32 members
    assert found.first.all_rows == pytest.approx(competition_log_loss(y, mixed, treated), abs=1e-7)
    counts = int(treated.sum()), len(treated)
    assert treated_to_all(found.first.treated, *counts) == pytest.approx(found.first.all_rows, abs=1e-15)
    assert found.singles["model-2"] == pytest.approx(log_loss(y[treated], oofs[2].predictions), abs=1e-7)


def test_a_blend_keeps_members_of_weight_0_and_what_the_search_found(found, tmp_path):
    weights = found.first.weights.mask(found.first.weights == found.first.weights.min(), 0.0)
    first = replace(found.first, weights=weights / weights.sum())
    save_blend(replace(found, methods=found.methods | {"slsqp": first}).spec("mine", "Mine"), tmp_path / "mine.yaml")
    spec = load_blend(tmp_path / "mine.yaml")
    assert list(spec.weights.index) == list(weights.index) and (spec.weights == 0).sum() == 1
    facts = spec.searched
    assert (facts.method, facts.rows, facts.best_single) == ("slsqp", found.n_rows, "model-0")
    assert (facts.loss, facts.nested, facts.gain) == (first.treated, first.nested, first.gain)
    assert facts.interval == pytest.approx(first.interval)
    tpe = replace(found, method="equal", methods=found.methods | {"equal": replace(first, nested=np.nan)})
    assert tpe.spec("mine", "Mine").searched.nested is None, "it was not cross-validated"


def test_tpe_through_search():
    oofs, y, treated = simulate(n_rows=400, n_targets=3)
    found = search(oofs, y, treated, methods=["tpe"], tpe_trials=20, folds=2, bootstrap=10)
    assert np.isnan(found.first.gain)
    assert found.first.treated < found.singles.max()
    nested = search(oofs, y, treated, methods=["tpe"], tpe_trials=20, folds=2, bootstrap=10, nested_tpe=True)
    assert np.isfinite(nested.first.gain)
    history = nested.history()["loss"]
    assert len(history) == 20 and history.min() == pytest.approx(nested.first.treated, abs=1e-6)
    assert "slsqp" not in nested.history()


def test_copies_gain_nothing(data):
    oofs, y, treated = data
    copies = [Oof(f"copy-{i}", oofs[0].predictions, "kfold-10") for i in range(3)]
    found = search(copies, y, treated, methods=["slsqp", "per-target"], folds=3, bootstrap=50)
    assert found.table()["gain"].abs().max() < 1e-7
    assert max(map(abs, found.first.interval)) < 1e-7


def test_noise_members_promise_in_sample_and_fail_out_of_sample():
    """With few rows the search fits noise: the in-sample gain is positive by construction, the nested one is not."""
    rng = np.random.default_rng(8)
    oofs, y, treated = simulate(n_rows=160, n_targets=2, weights=np.array([1.0]), seed=8)
    base = oofs[0].predictions
    noisy = [
        Oof(f"noisy-{i}", base.clip(0.01, 0.9) * np.exp(rng.normal(0, 0.05, base.shape)), "kfold-5") for i in range(12)
    ]
    found = search(noisy, y, treated, methods=["slsqp"], folds=8, bootstrap=200)
    in_sample = found.singles.min() - found.first.treated
    assert in_sample > 0.0
    assert found.first.gain < in_sample
    assert found.first.interval[0] < 0.0


def test_order_of_rows_and_columns_does_not_matter(data, found):
    oofs, y, treated = data
    moved = [
        Oof(o.name, o.predictions.sample(frac=1, random_state=i).sample(frac=1, axis=1, random_state=i), o.scheme)
        for i, o in enumerate(oofs)
    ]
    again = search(moved, y, treated.sample(frac=1, random_state=9), methods=["slsqp"], folds=4, bootstrap=300)
    np.testing.assert_array_equal(again.first.weights, found.first.weights)
    assert again.first.gain == found.first.gain
    assert again.first.interval == found.first.interval


def test_all_rows_and_partial_oof_meet_on_common_treated_rows(data, found):
    oofs, y, treated = data
    whole = oofs[0].predictions.reindex(y.index).fillna(0.7)  # a model that predicts controls too, and badly
    mixed = [Oof("model-0", whole, "multilabel-10", rows="all"), *oofs[1:]]
    same = search(mixed, y, treated, methods=["slsqp"], folds=4, bootstrap=10)
    np.testing.assert_array_equal(same.first.weights, found.first.weights)
    partial = [Oof("model-0", whole.iloc[:2000], "multilabel-10", rows="all"), *oofs[1:]]
    assert search(partial, y, treated, methods=["slsqp"], folds=4, bootstrap=10).n_rows == treated.iloc[:2000].sum()
    with pytest.raises(UserError, match="is a control row"):
        search([Oof("model-0", whole, "multilabel-10"), *oofs[1:]], y, treated)
    with pytest.raises(UserError, match="no control row"):
        search([Oof("model-0", oofs[0].predictions, "multilabel-10", rows="all"), *oofs[1:]], y, treated)


def test_mixed_schemes_are_refused(data):
    oofs, y, treated = data
    mixed = [Oof("new-cv", oofs[0].predictions, "drug-aware-5"), *oofs[1:]]
    with pytest.raises(UserError, match="new-cv.*not comparable.*unseen"):
        search(mixed, y, treated)
    assert search(mixed, y, treated, methods=["slsqp"], folds=2, bootstrap=10, mixed="allow").first.weights.size == 4
    row_wise = [Oof("k", oofs[0].predictions, "kfold-10"), *oofs[1:]]
    assert search(row_wise, y, treated, methods=["slsqp"], folds=2, bootstrap=10).first.weights.size == 4


def test_mixed_schemes_meet_on_comparable_rows(data):
    """Only rows of drugs that both have seen (over 18 rows) or neither (one row) count."""
    oofs, y, treated = data
    rows = y.index[treated]
    number = pd.Series(np.arange(len(rows)), index=rows)
    drugs = "single-" + number.astype(str)
    drugs[number % 3 == 0] = "large-" + (number // 60).clip(upper=57).astype(str)  # of 20 rows or more
    drugs[number % 3 == 2] = "pair-" + (number // 6).astype(str)
    drugs = drugs.reindex(y.index).fillna("vehicle")
    kept = comparable_rows(drugs[treated])
    assert set(kept) == set(rows[number % 3 < 2])
    spoilt = oofs[0].predictions.copy()
    spoilt.loc[rows.difference(kept)] = 0.99
    options = {"methods": ["slsqp"], "folds": 2, "bootstrap": 10, "groups": drugs, "mixed": "comparable"}
    mixed = [Oof("model-0", spoilt, "drug-aware-5"), *oofs[1:]]
    found = search(mixed, y, treated, **options)
    assert found.n_rows == len(kept)
    np.testing.assert_allclose(found.first.weights, PLANTED, atol=0.06)
    same_kind = search(oofs, y, treated, **options)
    assert same_kind.n_rows == len(rows), "nothing to make comparable"
    with pytest.raises(UserError, match="--mixed comparable: needs train_drug.csv"):
        search(mixed, y, treated, **(options | {"groups": None}))


def test_per_target_weights_follow_targets_and_shrink():
    weights = np.array([[0.9, 0.1], [0.1, 0.9]])  # (members, targets)
    oofs, y, treated = simulate(n_rows=6000, n_targets=2, weights=weights, seed=5)
    found = search(oofs, y, treated, methods=["per-target", "slsqp"], penalty=1.0, folds=3, bootstrap=100)
    np.testing.assert_allclose(found.first.weights, weights, atol=0.1)
    assert list(found.first.weights.columns) == list(y.columns)
    assert found.first.gain > found.methods["slsqp"].gain
    shrunk = search(oofs, y, treated, methods=["per-target", "slsqp"], penalty=1e7, folds=2, bootstrap=10)
    common = shrunk.methods["slsqp"].weights
    np.testing.assert_allclose(shrunk.first.weights, np.stack([common, common], axis=1), atol=1e-3)
    with pytest.raises(UserError, match="one weight per model"):
        found.spec("x", "X")


def test_groups_widen_the_interval(data):
    """Rows of a drug repeat one another: resampling drugs says less than resampling rows."""
    oofs, y, treated = simulate(n_rows=320, n_targets=4, seed=6)
    repeat = np.tile(np.arange(320), 8)
    index = pd.Index([f"row_{i}" for i in range(len(repeat))], name="sig_id")
    again = [Oof(o.name, o.predictions.reindex(y.index).iloc[repeat].set_axis(index).dropna(), o.scheme) for o in oofs]
    y, treated = y.iloc[repeat].set_axis(index), treated.iloc[repeat].set_axis(index)
    drugs = pd.Series([f"drug_{i}" for i in repeat], index=index)
    options = {"methods": ["slsqp"], "folds": 4, "bootstrap": 400}
    rows, grouped = search(again, y, treated, **options), search(again, y, treated, groups=drugs, **options)
    width = {
        name: found.first.interval[1] - found.first.interval[0] for name, found in [("rows", rows), ("drugs", grouped)]
    }
    assert width["drugs"] > 2 * width["rows"]
    with pytest.raises(UserError, match="groups"):
        search(again, y, treated, groups=drugs.iloc[:-1], **options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"methods": ["sqlsp"]}, "--method sqlsp: expected one of slsqp, tpe, per-target"),
        ({"folds": 1}, "--folds 1: expected at least 2"),
        ({"folds": 100_000}, "nested folds: expected 2 to"),
        ({"oofs": 1}, "at least two"),
        ({"scheme": "five"}, "unknown scheme"),
        ({"mixed": "yes"}, "--mixed yes: expected one of refuse, comparable, allow"),
    ],
)
def test_wrong_options(data, change, message):
    oofs, y, treated = data
    oofs = oofs[: change.pop("oofs", 4)]
    scheme = change.pop("scheme", None)
    oofs = [Oof(o.name, o.predictions, scheme or o.scheme) for o in oofs]
    with pytest.raises(UserError, match=message):
        search(oofs, y, treated, **change)
