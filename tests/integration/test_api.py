"""The package as functions: what a notebook calls, from data to tables."""

import inspect
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import moa
from moa.data.dataset import load_dataset
from moa.errors import DataError, UserError
from moa.jobs.model_scores import score_model
from moa.metrics.losses import log_loss
from moa.metrics.pooling import pool
from moa.models.registry import recipe
from support import TESTS
from support.any_table import RECIPE


@pytest.fixture(scope="module")
def place(tmp_path_factory, synthetic):
    """A folder with data, and a model of one's own trained there by its file."""
    folder = tmp_path_factory.mktemp("place")
    synthetic(folder / "data", rows=80, test_rows=8, seed=3)
    shutil.copyfile(TESTS / "support" / "my_small.py", folder / "my_small.py")
    return folder


@pytest.fixture(scope="module")
def scores(place):
    return moa.train(place / "my_small.py", place / "data", place / "weights", device="cpu")


@pytest.fixture(scope="module")
def model(place, scores):
    return moa.load(place / "my_small.py", place / "weights", device="cpu")


@pytest.fixture(scope="module")
def data(place):
    return load_dataset(place / "data", drugs=True)


def test_training_returns_a_table_of_numbers(scores):
    row = scores.loc["my-small"]
    names = ["title", "treated rows", "all rows", "prevalence", "rows covered"]
    assert list(scores.columns) == [*names, "as published", "published CV", "remarks"] and row["remarks"] == ""
    assert 0 < row["treated rows"] < 1 and row["rows covered"] == 1
    assert np.isnan(row["published CV"]) and np.isnan(row["as published"])


def test_a_published_score_says_what_it_contains(data, monkeypatch):
    y = data.scored[data.treated]
    model = recipe("two-heads")
    scores = score_model(model, data, y * 0.2 + 0.01, y * 0.3 + 0.01)
    monkeypatch.setattr("moa.jobs.train.train_models", lambda *_: [scores])
    row = moa.train("two-heads").loc["two-heads"]
    assert row["as published"] == log_loss(y, y * 0.3 + 0.01) < row["treated rows"] and row["published CV"] == 0.01589
    assert row["remarks"].startswith("‡ After phase 3, which was fitted on the validation fold")


def test_a_part_is_trained_with_other_settings(place):
    options = {"settings": {"learner": {"hidden": 4}}, "seeds": [0], "fold": 1, "device": "cpu"}
    found = moa.train("my-small", place / "data", place / "part", **options)
    assert found.loc["my-small", "rows covered"] < 1 and np.isnan(found.loc["my-small", "all rows"])
    assert moa.load("my-small", place / "part").settings["my-small"]["learner"]["hidden"] == 4
    with pytest.raises(UserError, match="did you mean learner.hidden"):
        moa.train("my-small", place / "data", place / "part", settings={"learner": {"hiden": 4}})


def test_predictions_of_any_table_of_rows(model, data, place):
    found = model.predict(data.test)
    assert found.shape == (8, 206) and list(found.columns) == data.targets == model.targets
    assert found.index.equals(data.test.index) and (found.dtypes == np.float32).all()
    assert (found[~data.test_treated] == 0).all(axis=None) and (found[data.test_treated] > 0).all(axis=None)
    column = data.test.iloc[::-1, ::-1].reset_index()
    pd.testing.assert_frame_equal(model.predict(column).loc[found.index], found, rtol=1e-5)
    pd.testing.assert_frame_equal(model.predict(place / "data" / "test_features.csv"), found)
    pd.testing.assert_frame_equal(moa.predict(data.test, "my-small", place / "weights", device="cpu"), found)
    numbered = data.test.set_axis(range(8))
    assert list(model.predict(numbered).index) == [str(i) for i in range(8)]


def test_wrong_rows_are_named(model, data):
    with pytest.raises(DataError, match="features: missing column 'g-3'"):
        model.predict(data.test.drop(columns="g-3"))
    with pytest.raises(DataError, match="'cp_dose'.*'D7'"):
        model.predict(data.test.assign(cp_dose="D7"))
    with pytest.raises(DataError, match="no rows"):
        model.predict(data.test.iloc[:0])


def test_tables_of_a_model(model, data):
    oof = model.oof()
    assert oof.index.sort_values().equals(data.features.index[data.treated].sort_values())
    history = model.history()
    assert list(history.columns[:4]) == ["model", "stage", "seed", "fold"] and len(history) == 2
    assert model.assay.values == data.schema.values and "my-small" in repr(model)


def test_compounds_are_answered_from_the_predictions_of_their_wells(model, data):
    p = model.predict(data.test)
    names = ["a", "A", "a", "a", *["b"] * (len(p) - 4)]
    tables = model.answers(p, names, [f"{name.lower()} @ {i % 2}" for i, name in enumerate(names)], top=3)
    treated = data.test_treated.to_numpy()
    pooled = pool(p[treated], pd.Series(names, p.index).str.lower()[treated])
    first = tables["compounds"].query("rank == 1")
    assert first["moa"].tolist() == pooled.idxmax(axis=1).tolist()
    np.testing.assert_allclose(first["probability"], pooled.max(axis=1), rtol=1e-4)
    assert set(tables["treatments"]["treatment"]) <= {"a @ 0", "a @ 1", "b @ 0", "b @ 1"}
    assert set(tables["mechanisms"]["compound"]) == set(first["compound"])
    again = model.answers(p, pd.Series(names, p.index).sample(frac=1, random_state=0))
    assert again["compounds"].query("rank == 1")["moa"].tolist() == first["moa"].tolist(), "a series goes by sig_id"
    with pytest.raises(UserError, match="compounds: 1 for 8 rows"):
        model.answers(p, ["a"])


def test_columns_for_obs_of_anndata(model, data):
    p = model.predict(data.test)
    ranked, found = model.ranked(p, top=2), model.obs(p)
    assert found.index.equals(p.index) and ranked["rank"].max() == 2
    treated = p.index[data.test_treated]
    assert found.loc[treated, "moa_1"].tolist() == p.loc[treated].idxmax(axis=1).tolist()
    assert found.loc[~data.test_treated, "moa_1"].isna().all() and ranked["caution"].ne("").any()
    assert model.reliability.rows == data.treated.sum()


def test_scores_of_models_and_of_tables(model, data, place):
    folders = {"data": place / "data", "weights": place / "weights"}
    table = moa.score("my-small", **folders)
    assert {"my-small"} < set(table["prediction"]) and "log_loss" in table
    treated = data.scored[data.treated]
    again = moa.score(model.oof(), treated).set_index("prediction")
    expected = table.set_index("prediction").loc["my-small", "log_loss"]
    assert again.loc["predictions", "log_loss"] == pytest.approx(expected)
    several = moa.score({"a": model.oof(), "b": model.oof() / 2}, treated, baselines=False)
    assert list(several["prediction"]) == ["a", "b"]
    with pytest.raises(UserError, match="truth="):
        moa.score(model.oof())
    with pytest.raises(UserError, match="predictions: holds no target of the labels, such as"):
        moa.score(model.oof().add_prefix("x"), treated)


def test_a_blend_is_one_model(place, scores, model, data):
    moa.train(RECIPE, place / "data", place / "weights", device="cpu", settings={"learner": {"epochs": 2}})
    (place / "own.yaml").write_text(
        "name: own\ntitle: Own\nmembers: [{model: my-small, weight: 0.25}, {model: any-table, weight: 0.75}]\n"
    )
    blend = moa.load(place / "own.yaml", place / "weights", device="cpu")
    parts = [moa.load(name, place / "weights", device="cpu") for name in ("my-small", RECIPE)]
    for use in (lambda each: each.predict(data.test), lambda each: each.oof()):
        mixed, (first, second) = use(blend), [use(part) for part in parts]
        pd.testing.assert_frame_equal(mixed, (0.25 * first + 0.75 * second).loc[mixed.index], rtol=1e-4)
    assert set(blend.history()["model"]) == {"my-small", "any-table"}
    with pytest.raises(UserError, match="no trained weights of any member of best-lb"):
        moa.load("best-lb", place / "weights")


def test_the_report_is_written(place, scores, model):
    folder = place / "predictions" / "my-small"
    folder.mkdir(parents=True)
    model.oof().to_parquet(folder / "oof.parquet")
    page = moa.report(place, data=place / "data", weights=place / "weights", predictions=place / "predictions")
    assert page == place / "report.html" and "My small model" in page.read_text(encoding="utf-8")


def test_folders_default_to_those_of_the_command_line(place, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(place / "data")
    moa.train(place / "my_small.py", device="cpu")
    assert (tmp_path / "output" / "kaggle" / "weights" / "my-small" / "manifest.json").exists()
    assert moa.predict(tmp_path / "data" / "test_features.csv", "my-small").shape == (8, 206)


def test_importing_is_light():
    heavy = ("numpy", "pandas", "scipy", "sklearn", "torch", "typer", "matplotlib")
    code = f"import sys, moa; print(dir(moa), set({heavy!r}) & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("set()") and "predict" in done.stdout and "MoAClassifier" in done.stdout
    with pytest.raises(AttributeError, match="nothing"):
        moa.nothing  # noqa: B018


@pytest.mark.parametrize("name", [name for name in moa.__all__ if not name.startswith("_")])
def test_every_public_name_says_what_it_takes_and_returns(name):
    what = getattr(moa, name)
    documented = [what, *(each for key, each in vars(what).items() if not key.startswith("_") and callable(each))]
    for each in documented if isinstance(what, type) else [what]:
        assert each.__doc__ and len(each.__doc__) > 20, each
    if not isinstance(what, type):
        signature = inspect.signature(what)
        assert "Raises:" in what.__doc__ and "Returns:" in what.__doc__
        assert all(parameter.annotation is not inspect.Parameter.empty for parameter in signature.parameters.values())
        assert all(parameter in what.__doc__ for parameter in signature.parameters)
