"""Feature pipelines: selection by name and place, rows fitted on, restoring from a store."""

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.preprocessing import StandardScaler

from moa.data.assay import COMPETITION
from moa.errors import UserError
from moa.features.condition_steps import keep_treated
from moa.features.fits import NoStore
from moa.features.pipeline import FeaturePipeline, Step, drop, excluding, named, positions, starting


@pytest.fixture
def frames():
    rng = np.random.default_rng(0)
    columns = ["kind", "a-0", "a-1", "b-0"]

    def make(rows, prefix):
        index = pd.Index([f"{prefix}{i}" for i in range(rows)], name="sig_id")
        return pd.DataFrame(rng.normal(size=(rows, 4)), index, columns)

    return make(30, "train"), make(10, "test")


def test_selectors():
    columns = ["kind", "a-0", "a-1", "b-0"]
    assert starting("a-")(columns) == ["a-0", "a-1"]
    assert excluding("kind", "b-0")(columns) == ["a-0", "a-1"]
    assert positions(1, 3)(columns) == ["a-0", "a-1"]
    assert named("b-0")(columns) == ["b-0"]


def test_steps_do_what_they_say(frames):
    train, test = frames
    pipeline = FeaturePipeline(
        [
            Step("scale", StandardScaler(), starting("a-"), "in place", fit_on="train"),
            Step("pc", PCA(1), starting("a-"), prefix="new:"),
            drop("kind", named("kind")),
            Step("both", StandardScaler(), named("b-0"), "replace"),
        ]
    )
    x, z = pipeline.fit_transform(train, test)
    assert list(x.columns) == ["a-0", "a-1", "new:pc-0", "both-0"] and x.dtypes.eq(np.float32).all()
    assert pipeline.widths_ == {"scale": 5, "pc": 6, "kind": 5, "both": 5}
    np.testing.assert_allclose(x["a-0"].mean(), 0, atol=1e-6)
    assert abs(z["a-0"].mean()) > 1e-3
    together = pd.concat([train["b-0"], test["b-0"]])
    np.testing.assert_allclose(x["both-0"], (train["b-0"] - together.mean()) / together.std(ddof=0), rtol=1e-5)
    assert x.index.equals(train.index) and z.index.equals(test.index)


def test_transform_equals_what_fitting_gave_and_does_not_depend_on_the_batch(frames):
    train, test = frames
    pipeline = FeaturePipeline(
        [Step("pc", PCA(2), excluding("kind")), Step("scale", StandardScaler(), positions(0, 3), "in place")]
    )
    x, z = pipeline.fit_transform(train, test)
    pd.testing.assert_frame_equal(pipeline.transform(test), z)
    shuffled = test.iloc[::-1][["b-0", "a-1", "a-0", "kind"]]
    pd.testing.assert_frame_equal(pipeline.transform(shuffled).loc[test.index], z)
    np.testing.assert_allclose(pipeline.transform(test.iloc[[3]]), z.iloc[[3]], rtol=1e-5)
    assert pipeline.transform(test.iloc[:0]).shape == (0, x.shape[1])


def test_rows_that_a_step_is_fitted_on_get_the_fits_own_values_where_it_says_so(frames):
    """The randomised solver without power iterations is far from exact, so that both values differ."""
    noise = np.random.default_rng(1)
    train, test = (pd.DataFrame(noise.normal(size=(len(frame), 20)), frame.index).add_prefix("a-") for frame in frames)
    pca = PCA(3, svd_solver="randomized", iterated_power=0, n_oversamples=1, random_state=5)
    scale = Step("scale", StandardScaler(), starting("pc-"), "in place", fit_on="train")
    found = {}
    for rows in ("transform", "fit_transform"):
        steps = [Step("pc", pca, starting("a-"), fit_on="train", training_rows=rows), scale]
        pipeline, fits = FeaturePipeline(steps, dtype=np.float64), NoStore()
        fitted = pipeline.fit_train(train, fits=fits)
        again, new = pipeline.fit_transform(train, test)
        pd.testing.assert_frame_equal(fitted, again)
        restored = FeaturePipeline.restore(pipeline.describe(), fits)
        found[rows] = fitted.filter(like="pc-"), restored.transform(test).filter(like="pc-"), restored.transform(train)
        pd.testing.assert_frame_equal(new.filter(like="pc-"), found[rows][1])
    own, new, replayed = found["fit_transform"]
    components = pca.fit_transform(train.to_numpy())
    mean, deviation = components.mean(axis=0), components.std(axis=0)
    np.testing.assert_allclose(own, (components - mean) / deviation, rtol=1e-9)
    np.testing.assert_allclose(new, (pca.transform(test.to_numpy()) - mean) / deviation, rtol=1e-9)
    assert (own - replayed.filter(like="pc-")).abs().mean(axis=None) > 0.05, "stored, it knows no training rows"
    pd.testing.assert_frame_equal(found["transform"][2].filter(like="pc-"), found["transform"][0])


def test_a_fit_that_is_shared_has_no_values_of_its_own(frames):
    class Shared:
        fit = load = None

    step = Step("pc", PCA(1), starting("a-"), training_rows="fit_transform")
    with pytest.raises(UserError, match=r"step 'pc' has training_rows=\"fit_transform\", which is for .* units"):
        FeaturePipeline([step]).fit(frames[0], fits=Shared())


def test_select_keeps_supported_columns(frames):
    train, test = frames
    train["a-0"], test["a-0"] = 0.0, 0.0
    x, _ = FeaturePipeline([Step("vary", VarianceThreshold(0.1), excluding("kind"), "select")]).fit_transform(
        train, test
    )
    assert list(x.columns) == ["kind", "a-1", "b-0"]


@pytest.fixture
def with_controls(frames):
    found = []
    for frame in frames:
        kinds = np.where(np.arange(len(frame)) % 5 == 0, "ctl_vehicle", "trt_cp")
        found.append(frame.drop(columns="kind").assign(cp_type=kinds))
    return found


def test_steps_before_the_controls_leave_are_fitted_with_them_and_later_ones_without(with_controls):
    train, test = with_controls
    treated_train, treated_test = (frame[frame["cp_type"] == "trt_cp"] for frame in with_controls)
    steps = [
        Step("all", StandardScaler(), named("a-0"), "in place", fit_on="train"),
        Step("both", StandardScaler(), named("a-1"), "in place"),
        keep_treated(COMPETITION),
        Step("treated", StandardScaler(), named("b-0"), "in place", fit_on="train"),
    ]
    fits = NoStore()
    pipeline = FeaturePipeline(steps, dtype=np.float64)
    x, z = pipeline.fit_transform(train, test, fits)
    assert x.index.equals(treated_train.index) and z.index.equals(treated_test.index)
    assert list(x) == list(z) == ["a-0", "a-1", "b-0"] and pipeline.widths_["treated rows"] == 4
    both = pd.concat([train["a-1"], test["a-1"]])
    for column, fitted_on in (("a-0", train["a-0"]), ("a-1", both), ("b-0", treated_train["b-0"])):
        for table, raw in ((x, treated_train), (z, treated_test)):
            expected = (raw[column] - fitted_on.mean()) / fitted_on.std(ddof=0)
            np.testing.assert_allclose(table[column], expected, rtol=1e-9)
    back = FeaturePipeline.restore(pipeline.describe(), fits)
    pd.testing.assert_frame_equal(back.transform(test), z)
    assert back.transform(test[test["cp_type"] == "ctl_vehicle"]).shape == (0, 3)


def test_labels_of_a_selector_follow_the_rows_that_stay(with_controls):
    train, _ = with_controls
    y = ((train["a-1"] > 0) & (train["cp_type"] == "trt_cp")).astype(int).to_numpy()
    best = Step("best", SelectKBest(k=1), excluding(), "select", fit_on="train")
    pipeline = FeaturePipeline([keep_treated(COMPETITION), best]).fit(train, y)
    kept = (train["cp_type"] == "trt_cp").to_numpy()
    alone = FeaturePipeline([best]).fit(train[kept].drop(columns="cp_type"), y[kept])
    assert pipeline.feature_names_ == alone.feature_names_ == ["a-1"]


def test_columns_that_controls_lack_may_be_used_after_the_controls_have_left(with_controls):
    train, test = (f.assign(p=np.where(f["cp_type"] == "trt_cp", f["a-0"], np.nan)) for f in with_controls)
    scale = Step("scale", StandardScaler(), named("p"), "in place", fit_on="train")
    x, z = FeaturePipeline([keep_treated(COMPETITION), scale]).fit_transform(train, test)
    assert np.isfinite(x.to_numpy()).all() and np.isfinite(z.to_numpy()).all()


def test_restored_from_description_and_fits(frames):
    train, test = frames
    fits = NoStore()
    pipeline = FeaturePipeline([Step("pc", PCA(2), excluding("kind"))])
    _, z = pipeline.fit_transform(train, test, fits)
    pd.testing.assert_frame_equal(FeaturePipeline.restore(pipeline.describe(), fits).transform(test), z)


def test_a_missing_column_is_named(frames):
    train, test = frames
    pipeline = FeaturePipeline([Step("pc", PCA(1), starting("a-"))])
    pipeline.fit_transform(train, test)
    with pytest.raises(UserError, match="'a-1'"):
        pipeline.transform(test.drop(columns="a-1"))


def test_a_step_over_no_columns_is_left_out(frames):
    train, test = frames
    steps = [
        Step("absent", PCA(2), named()),
        drop("nothing", starting("z-")),
        Step("scale", StandardScaler(), starting("z-"), "in place"),
        Step("pc", PCA(1), starting("a-")),
    ]
    pipeline = FeaturePipeline(steps)
    x, z = pipeline.fit_transform(train, test)
    alone = FeaturePipeline(steps[-1:])
    expected, _ = alone.fit_transform(train, test)
    pd.testing.assert_frame_equal(x, expected)
    pd.testing.assert_frame_equal(pipeline.transform(test), z)
    assert pipeline.widths_ == {"pc": 6} and pipeline.describe() == alone.describe()


def test_fitted_on_train_alone(frames):
    train, test = frames
    step = Step("scale", StandardScaler(), excluding(), "in place", fit_on="train+test")
    x = FeaturePipeline([step]).fit(train).transform(train)
    np.testing.assert_allclose(x.mean(), 0, atol=1e-6)
    labelled = FeaturePipeline([Step("best", SelectKBest(k=1), excluding(), "select", fit_on="train")])
    y = (train["a-1"] > 0).astype(int).to_numpy()
    assert list(labelled.fit(train, y).transform(test)) == ["a-1"]


def test_the_type_of_the_result_is_kept(frames):
    train, test = frames
    step = Step("pc", PCA(1), starting("a-"))
    for dtype in (np.float32, np.float64):
        fits = NoStore()
        pipeline = FeaturePipeline([step], dtype=dtype)
        x, z = pipeline.fit_transform(train, test, fits)
        back = FeaturePipeline.restore(pipeline.describe(), fits)
        assert {*x.dtypes, *z.dtypes, *back.transform(test).dtypes} == {np.dtype(dtype)}


def test_each_step_is_announced(frames):
    seen = []
    FeaturePipeline([Step("pc", PCA(1), starting("a-")), drop("kind", named("kind"))]).fit_transform(
        *frames, on_step=lambda *step: seen.append(step)
    )
    assert seen == [("pc", 0, 2), ("kind", 1, 2)]
