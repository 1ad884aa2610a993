"""The weight search: its gradient, planted weights, and the honesty of the gain it reports."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from moa.blending.blend import apply_blend, load_blend
from moa.blending.loss import SMALL, BlendLoss, slsqp, tpe
from moa.blending.search import Oof, comparable_rows, search
from moa.cli import app
from moa.data.table_files import read_table, write_table
from moa.errors import UserError
from moa.jobs.blend import blend_submission
from moa.metrics import all_to_treated, competition_log_loss, log_loss, treated_to_all

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


@pytest.fixture(scope="module")
def data():
    return simulate()


@pytest.fixture(scope="module")
def found(data):
    return search(*data, methods=["slsqp", "per-target"], folds=4, bootstrap=300)


def competition_like(n_members=5, n_cells=40_000, seed=1):
    """Cells on both sides of the series' limit, rare positives."""
    rng = np.random.default_rng(seed)
    cells = np.maximum(rng.beta(0.2, 20.0, size=(n_members, n_cells)), 1e-3).astype(np.float32)
    labels = rng.random(n_cells) < cells.mean(axis=0)
    share = (cells.max(axis=0) > SMALL).mean()
    assert 0.05 < share < 0.95
    assert labels.sum() > 100
    return cells, labels


def naive(cells, labels, weights):
    p = np.clip(weights @ cells.astype(np.float64), 1e-15, 1 - 1e-15)
    return -np.log(np.where(labels, p, 1 - p)).mean()


@pytest.mark.parametrize("weights", [[0.2] * 5, [0.0, 0.7, 0.1, 0.2, 0.0], [0.4, 0.3, 0.0, 0.6, 0.2]])
def test_loss_and_gradient(weights):
    cells, labels = competition_like()
    weights = np.array(weights)
    loss = BlendLoss(cells, labels)
    value, gradient = loss(weights)
    assert value == pytest.approx(naive(cells, labels, weights), abs=2e-9)
    step = 1e-6
    for m, direction in enumerate(np.eye(5)):
        slope = (loss(weights + step * direction)[0] - loss(weights - step * direction)[0]) / (2 * step)
        exact = (
            naive(cells, labels, weights + step * direction) - naive(cells, labels, weights - step * direction)
        ) / (2 * step)
        assert gradient[m] == pytest.approx(slope, rel=1e-5, abs=1e-9)
        assert gradient[m] == pytest.approx(exact, rel=1e-4, abs=1e-7)


def test_parts_merge_to_the_whole():
    cells, labels = competition_like()
    parts = [BlendLoss(cells[:, part], labels[part]) for part in np.array_split(np.arange(len(labels)), 7)]
    weights = np.array([0.1, 0.2, 0.3, 0.15, 0.25])
    (value, gradient), (whole, slope) = BlendLoss.merge(parts)(weights), BlendLoss(cells, labels)(weights)
    assert value == pytest.approx(whole, rel=1e-12)
    np.testing.assert_allclose(gradient, slope, rtol=1e-10)


def test_slsqp_finds_the_minimum_on_the_simplex():
    cells, labels = competition_like()
    loss = BlendLoss(cells, labels)
    weights = slsqp(loss, members=5)
    assert weights.sum() == pytest.approx(1.0, abs=1e-12)
    assert weights.min() >= 0.0
    rng = np.random.default_rng(2)
    for other in [*rng.dirichlet(np.ones(5), 200), *np.eye(5)]:
        assert loss(weights)[0] <= loss(0.99 * weights + 0.01 * other)[0] + 1e-10  # nearby, and by convexity anywhere


def test_free_weights_are_no_worse():
    cells, labels = competition_like()
    loss = BlendLoss(cells * np.float32(0.5), labels)  # halved probabilities want a sum above 1
    free, bound = slsqp(loss, simplex=False, members=5), slsqp(loss, members=5)
    assert free.sum() > 1.2
    assert loss(free)[0] < loss(bound)[0]
    assert ((free >= 0) & (free <= 1)).all()


def test_search_recovers_planted_weights(data, found):
    assert list(found.weights.index) == [oof.name for oof in data[0]]
    np.testing.assert_allclose(found.weights, PLANTED, atol=0.04)
    assert found.weights["model-1"] < 0.03
    table = found.table()
    assert list(table.index) == ["best-single", "equal", "slsqp", "per-target"]
    assert table.loc["slsqp", "treated"] < table.loc["equal", "treated"] < table.loc["best-single", "treated"]
    assert 0.0 < found.interval[0] < found.nested_gain < found.interval[1]
    assert found.best_single == "model-0"
    assert table.loc["slsqp", "nested"] >= table.loc["slsqp", "treated"]  # out of sample costs something


def test_reported_losses_are_the_metric(data, found):
    oofs, y, treated = data
    mixed = apply_blend(found.spec("mine", "Mine"), {oof.name: oof.predictions for oof in oofs})
    assert found.log_loss_treated == pytest.approx(log_loss(y[treated], mixed), abs=1e-7)  # float32 members
    assert found.log_loss_all == pytest.approx(competition_log_loss(y, mixed, treated), abs=1e-7)
    counts = int(treated.sum()), len(treated)
    assert treated_to_all(found.log_loss_treated, *counts) == pytest.approx(found.log_loss_all, abs=1e-15)
    assert all_to_treated(found.log_loss_all, *counts) == pytest.approx(found.log_loss_treated, abs=1e-15)
    assert found.singles["model-2"] == pytest.approx(log_loss(y[treated], oofs[2].predictions), abs=1e-7)


def test_tpe_comes_close_to_slsqp():
    cells, labels = competition_like(n_members=3)
    loss = BlendLoss(cells, labels)
    best, tried = slsqp(loss, members=3), tpe(loss, 3, trials=150, seed=4)
    assert tried.sum() == pytest.approx(1.0)
    assert 0 <= loss(tried)[0] - loss(best)[0] < 0.1 * (loss(np.full(3, 1 / 3))[0] - loss(best)[0]) + 1e-4
    np.testing.assert_array_equal(tried, tpe(loss, 3, trials=150, seed=4))


def test_tpe_through_search():
    oofs, y, treated = simulate(n_rows=400, n_targets=3)
    found = search(oofs, y, treated, methods=["tpe"], tpe_trials=20, folds=2, bootstrap=10)
    assert np.isnan(found.nested_gain)
    assert found.log_loss_treated < found.singles.max()
    nested = search(oofs, y, treated, methods=["tpe"], tpe_trials=20, folds=2, bootstrap=10, nested_tpe=True)
    assert np.isfinite(nested.nested_gain)


def test_copies_gain_nothing(data):
    oofs, y, treated = data
    copies = [Oof(f"copy-{i}", oofs[0].predictions, "kfold-10") for i in range(3)]
    found = search(copies, y, treated, methods=["slsqp", "per-target"], folds=3, bootstrap=50)
    assert found.table()["gain"].abs().max() < 1e-7
    assert max(map(abs, found.interval)) < 1e-7


def test_noise_members_promise_in_sample_and_fail_out_of_sample():
    """With few rows the search fits noise: the in-sample gain is positive by construction, the nested one is not."""
    rng = np.random.default_rng(8)
    oofs, y, treated = simulate(n_rows=160, n_targets=2, weights=np.array([1.0]), seed=8)
    base = oofs[0].predictions
    noisy = [
        Oof(f"noisy-{i}", base.clip(0.01, 0.9) * np.exp(rng.normal(0, 0.05, base.shape)), "kfold-5") for i in range(12)
    ]
    found = search(noisy, y, treated, methods=["slsqp"], folds=8, bootstrap=200)
    in_sample = found.singles.min() - found.log_loss_treated
    assert in_sample > 0.0
    assert found.nested_gain < in_sample
    assert found.interval[0] < 0.0


def test_order_of_rows_and_columns_does_not_matter(data, found):
    oofs, y, treated = data
    moved = [
        Oof(o.name, o.predictions.sample(frac=1, random_state=i).sample(frac=1, axis=1, random_state=i), o.scheme)
        for i, o in enumerate(oofs)
    ]
    again = search(moved, y, treated.sample(frac=1, random_state=9), methods=["slsqp"], folds=4, bootstrap=300)
    np.testing.assert_array_equal(again.weights, found.weights)
    assert again.nested_gain == found.nested_gain
    assert again.interval == found.interval


def test_all_rows_and_partial_oof_meet_on_common_treated_rows(data, found):
    oofs, y, treated = data
    whole = oofs[0].predictions.reindex(y.index).fillna(0.7)  # a model that predicts controls too, and badly
    mixed = [Oof("model-0", whole, "multilabel-10", rows="all"), *oofs[1:]]
    same = search(mixed, y, treated, methods=["slsqp"], folds=4, bootstrap=10)
    np.testing.assert_array_equal(same.weights, found.weights)
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
    assert search(mixed, y, treated, methods=["slsqp"], folds=2, bootstrap=10, mixed="allow").weights.size == 4
    row_wise = [Oof("k", oofs[0].predictions, "kfold-10"), *oofs[1:]]
    assert search(row_wise, y, treated, methods=["slsqp"], folds=2, bootstrap=10).weights.size == 4


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
    np.testing.assert_allclose(found.weights, PLANTED, atol=0.06)
    same_kind = search(oofs, y, treated, **options)
    assert same_kind.n_rows == len(rows), "nothing to make comparable"
    with pytest.raises(UserError, match="train_drug.csv is needed"):
        search(mixed, y, treated, **(options | {"groups": None}))


def test_per_target_weights_follow_targets_and_shrink():
    weights = np.array([[0.9, 0.1], [0.1, 0.9]])  # (members, targets)
    oofs, y, treated = simulate(n_rows=6000, n_targets=2, weights=weights, seed=5)
    found = search(oofs, y, treated, methods=["per-target", "slsqp"], penalty=1.0, folds=3, bootstrap=100)
    np.testing.assert_allclose(found.weights, weights, atol=0.1)
    assert list(found.weights.columns) == list(y.columns)
    assert found.nested_gain > found.methods["slsqp"].gain
    shrunk = search(oofs, y, treated, methods=["per-target", "slsqp"], penalty=1e7, folds=2, bootstrap=10)
    common = shrunk.methods["slsqp"].weights
    np.testing.assert_allclose(shrunk.weights, np.stack([common, common], axis=1), atol=1e-3)
    with pytest.raises(UserError, match="one weight a model"):
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
    width = {name: found.interval[1] - found.interval[0] for name, found in [("rows", rows), ("drugs", grouped)]}
    assert width["drugs"] > 2 * width["rows"]
    with pytest.raises(UserError, match="groups"):
        search(again, y, treated, groups=drugs.iloc[:-1], **options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"methods": ["sqlsp"]}, "sqlsp is unknown"),
        ({"folds": 1}, "nested folds"),
        ({"oofs": 1}, "at least two"),
        ({"scheme": "five"}, "unknown scheme"),
        ({"mixed": "yes"}, "mixed folds: 'yes' is unknown"),
    ],
)
def test_wrong_options(data, change, message):
    oofs, y, treated = data
    oofs = oofs[: change.pop("oofs", 4)]
    scheme = change.pop("scheme", None)
    oofs = [Oof(o.name, o.predictions, scheme or o.scheme) for o in oofs]
    with pytest.raises(UserError, match=message):
        search(oofs, y, treated, **change)


@pytest.fixture(scope="module")
def planted_predictions(dataset, tmp_path_factory):
    """A predictions folder whose members are truths behind noise: those named first know more."""
    folder = tmp_path_factory.mktemp("planted")
    rng = np.random.default_rng(3)
    y = dataset.scored.to_numpy()
    models = {"deepinsight-resnest-v1": 0.3, "three-stage-nn-10fold": 0.2, "simple-nn-new-cv": 0.1}
    for name, signal in models.items():
        p = np.clip((0.004 + signal * y * rng.random(y.shape)) * np.exp(rng.normal(0, 0.7, y.shape)), 1e-5, 0.9)
        table = pd.DataFrame(p.astype(np.float32), dataset.scored.index, dataset.scored.columns)
        write_table(folder / name / "oof.parquet", table if name.startswith("deep") else table[dataset.treated])
        test = pd.DataFrame(rng.random((len(dataset.test), y.shape[1])) / 9, dataset.test.index, table.columns)
        write_table(folder / name / "test.parquet", test)
    return folder


def run_search(data_dir, predictions, *arguments):
    folders = ["--data", data_dir, "--predictions", predictions, "--weights", "/nowhere"]
    done = CliRunner().invoke(app, ["blend", "search", *map(str, [*arguments, *folders])])
    return done, " ".join(done.output.split())


def test_command_line_searches_and_writes_a_blend_that_can_be_applied(data_dir, planted_predictions, tmp_path):
    methods = ["--method", "slsqp", "--method", "per-target", "--method", "tpe", "--trials", "10", "--bootstrap", "50"]
    path = tmp_path / "My Blend.yaml"
    done, text = run_search(data_dir, planted_predictions, "best-cv", "--folds", 2, "--out", path, *methods)
    assert done.exit_code == 0, done
    assert "without" in text and "deepinsight-resnest-v2" in text, "members that are missing are said"
    for word in ("best-single", "equal", "per-target", "tpe", "multilabel-10", "95 % interval", "optimistic"):
        assert word in text
    spec = load_blend(path)
    assert spec.name == "my-blend" and set(spec.weights.index) <= {"deepinsight-resnest-v1", "three-stage-nn-10fold"}
    assert spec.weights.sum() == pytest.approx(1.0, abs=1e-9)
    written, _ = blend_submission(str(path), data_dir, planted_predictions, tmp_path)
    mixed = pd.read_csv(written, index_col="sig_id")
    parts = sum(
        weight * read_table(planted_predictions / model / "test.parquet") for model, weight in spec.weights.items()
    )
    treated = (mixed > 0).all(axis=1)
    np.testing.assert_allclose(mixed[treated], parts.loc[mixed.index][treated], rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["best-cv", "simple-nn-new-cv"], "simple-nn-new-cv (drug-aware-5)"),
        (["three-stage-nn-10fold"], "OOF predictions of three-stage-nn-10fold; a blend needs at least two"),
        (["best-cv", "simple-nn-old-cv"], "simple-nn-old-cv/oof.parquet: not found"),
        (["best-cv", "--free", "--out", "x.yaml"], "a blend file holds one weight a model"),
        (["best-cv", "--method", "per-target", "--out", "x.yaml"], "a blend file holds one weight a model"),
        (["best-cv", "--method", "newton"], "newton is unknown"),
        (["best-cv", "--mixed", "maybe"], "'maybe' is unknown"),
    ],
)
def test_command_line_refuses_with_the_reason(data_dir, planted_predictions, arguments, message):
    done, _ = run_search(data_dir, planted_predictions, *arguments)
    assert isinstance(done.exception, UserError)
    assert message in str(done.exception)


def test_command_line_searches_mixed_folds_on_comparable_rows(data_dir, dataset, planted_predictions):
    models = ["simple-nn-new-cv", "three-stage-nn-10fold"]
    done, text = run_search(data_dir, planted_predictions, *models, "--mixed", "comparable", "--folds", 2)
    drugs = dataset.drugs[dataset.treated]
    size = drugs.map(drugs.value_counts())
    assert done.exit_code == 0, done
    assert f"over {((size == 1) | (size > 18)).sum():,} treated rows" in text
