"""The classifier with scikit-learn's interface: scikit-learn's own checks, and what they do not know of."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification, make_multilabel_classification
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict, cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from moa import MoAClassifier
from moa.data.assay import COMPETITION
from moa.data.dataset import load_dataset
from moa.data.synthetic import synthesize
from support.any_table import RECIPE

#: Checks of scikit-learn that are expected to fail, with the reason; there is none.
EXPECTED: dict[str, str] = {}
SMALL = {"seeds": [0], "folds": {"n_splits": 2}, "learner": {"hidden": 8, "epochs": 2, "batch_size": 32}}
SIMPLE = {**SMALL, "gene_factors": 2, "cell_factors": 2, "gene_clusters": None, "cell_clusters": None}


@parametrize_with_checks([MoAClassifier(recipe=RECIPE, device="cpu")], expected_failed_checks=lambda _: EXPECTED)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def small(**options):
    return MoAClassifier(recipe=RECIPE, settings={"learner": {"epochs": 3}}, device="cpu", **options)


@pytest.fixture(scope="module")
def labels():
    return make_multilabel_classification(60, 6, n_classes=3, random_state=0)


def test_several_targets_of_a_frame_keep_their_names(labels):
    X, y = labels
    names = ["one", "two", "three"]
    fitted = small().fit(X, pd.DataFrame(y, columns=names))
    found = fitted.predict_proba(X)
    assert fitted.targets_ == names and found.shape == (60, 3) and fitted.oof_.shape == (60, 3)
    assert np.isfinite(fitted.oof_).all() and not np.allclose(fitted.oof_, found, atol=1e-3), "each row held out"
    assert set(np.unique(fitted.predict(X))) <= {0, 1}


def test_labels_of_any_kind_come_back():
    X, y = make_classification(90, 6, n_informative=4, n_classes=3, random_state=0)
    words = np.array(["high", "low", "none"])[y]
    fitted = MoAClassifier(recipe=RECIPE, device="cpu").fit(X, words)
    assert list(fitted.classes_) == ["high", "low", "none"] and set(fitted.predict(X)) <= set(words)
    assert np.allclose(fitted.predict_proba(X).sum(axis=1), 1) and fitted.score(X, words) > 0.6
    two = small().fit(X, words == "low")
    assert two.predict_proba(X).shape == (90, 2) and two.predict(X).dtype == bool


def test_it_goes_with_the_tools_of_scikit_learn(labels):
    X, y = labels
    assert len(cross_val_score(small(), X, y[:, 0], cv=2, scoring="roc_auc")) == 2
    assert clone(small()).get_params()["recipe"] == RECIPE


def test_folds_hold_out_whole_compounds(labels):
    X, y = labels
    compounds = np.repeat([f"drug {i}" for i in range(15)], 4)
    fitted = small().fit(X, y, groups=compounds)
    store = fitted._trained().store
    held = [set(compounds[[int(row[4:]) for row in store.load_oof("nn", 0, fold).index]]) for fold in range(2)]
    assert held[0] and held[1] and not held[0] & held[1]


PROFILES = ["profile-logistic", "profile-neighbours", "any-assay"]


@pytest.fixture(scope="module")
def plate():
    """120 wells of 40 compounds with one of four mechanisms, 30 features with noise that 20 controls share."""
    rng = np.random.default_rng(0)
    compound, shared = np.repeat(np.arange(40), 3), 1.5 * rng.normal(size=(2, 30))
    X = 2 * rng.normal(size=(4, 30))[compound % 4] + rng.normal(size=(120, 30)) + rng.normal(size=(120, 2)) @ shared
    controls = rng.normal(size=(20, 30)) + rng.normal(size=(20, 2)) @ shared
    return X, np.array(["actin", "DNA", "kinase", "tubulin"])[compound % 4], compound, controls


@pytest.mark.parametrize("name", PROFILES)
def test_recipes_of_any_assay_go_with_grid_searches_and_cross_validation(name, plate):
    X, y, compounds, _ = plate
    model = MoAClassifier(recipe=name, settings={"seeds": [0]}, device="cpu")
    model.fit(X, y, groups=compounds)
    p = cross_val_predict(
        model, X, y, groups=compounds, cv=GroupKFold(3), method="predict_proba", params={"groups": compounds}
    )
    assert np.allclose(p.sum(axis=1), 1) and (np.unique(y)[p.argmax(axis=1)] == y).mean() > 0.7
    if name == "profile-logistic":
        grid = {"settings": [{"seeds": [0], "learner": {"penalties": [c]}} for c in (3.0, 300.0)]}
        search = GridSearchCV(model, grid, cv=GroupKFold(3)).fit(X, y, groups=compounds)
        assert search.best_score_ > 0.7 and search.best_estimator_.classes_.tolist() == sorted(set(y))


def test_two_classes_of_profiles(plate):
    X, y, compounds, _ = plate
    two = y == "actin"
    model = MoAClassifier(recipe="profile-logistic", settings={"seeds": [0]}, device="cpu")
    p = model.fit(X, two, groups=compounds).predict_proba(X)
    assert p.shape == (120, 2) and np.allclose(p.sum(axis=1), 1) and (model.predict(X) == two).mean() > 0.95


def test_controls_are_rows_or_profiles_of_their_own(plate):
    X, y, compounds, controls = plate
    model = MoAClassifier(recipe="profile-logistic", settings={"seeds": [0]}, device="cpu")
    without = model.fit(X, y, groups=compounds).predict_proba(X)
    beside = model.fit(X, y, groups=compounds, controls=controls)
    found = beside.predict_proba(X)
    assert not np.allclose(found, without) and beside.oof_.shape == (120, 4) and np.isfinite(beside.oof_).all()
    whole, labels = np.vstack([X, controls]), [*y, *["DMSO"] * 20]
    marks = np.arange(140) >= 120
    rows = model.fit(whole, labels, groups=[*compounds, *range(40, 60)], controls=marks)
    assert "DMSO" not in rows.classes_ and np.isnan(rows.oof_[120:]).all() and rows.controls_.sum() == 20
    np.testing.assert_allclose(rows.predict_proba(X), found, atol=1e-6)
    for wrong, message in ((np.ones(3, bool), "shape"), (controls[:, :4], "30 columns"), (np.ones(120, bool), "every")):
        with pytest.raises(ValueError, match=message):
            model.fit(X, y, controls=wrong)


def test_a_table_of_probabilities_has_names(plate, labels):
    X, y, compounds, _ = plate
    frame = pd.DataFrame(X, [f"well {i}" for i in range(120)], [f"f{i}" for i in range(30)])
    model = MoAClassifier(recipe="profile-neighbours", settings={"seeds": [0]}, device="cpu").fit(frame, y)
    found = model.predict_frame(frame)
    assert list(found.index) == list(frame.index) and list(found) == ["DNA", "actin", "kinase", "tubulin"]
    assert isinstance(model.predict_proba(frame), np.ndarray)
    np.testing.assert_array_equal(found, model.predict_proba(frame))
    several = small().fit(labels[0], pd.DataFrame(labels[1], columns=["one", "two", "three"]))
    assert list(several.predict_frame(labels[0])) == ["one", "two", "three"]


def test_pickled_it_takes_its_weights_along(labels, tmp_path):
    X, y = labels
    fitted = small().fit(X, y)
    expected, packed = fitted.predict_proba(X), pickle.dumps(fitted)
    del fitted
    assert np.array_equal(pickle.loads(packed).predict_proba(X), expected)


def test_a_folder_keeps_what_is_trained(labels, tmp_path, monkeypatch):
    X, y = labels
    first = small(weights=tmp_path / "w").fit(X, y)
    monkeypatch.setattr(type(RECIPE.config.learner), "fit", lambda *_: pytest.fail("trained again"))
    assert np.array_equal(small(weights=tmp_path / "w").fit(X, y).predict_proba(X), first.predict_proba(X))
    with pytest.raises(ValueError, match="made with other data"):
        small(weights=tmp_path / "w").fit(X + 1, y)


def test_rows_of_the_competition_are_taken_as_such(tmp_path):
    synthesize(tmp_path, rows=90, test_rows=8, seed=3)
    data = load_dataset(tmp_path, drugs=True, nonscored=False)
    model = MoAClassifier("simple-nn-old-cv", settings=SIMPLE, device="cpu")
    fitted = model.fit(data.features, data.scored)
    found = fitted.predict_proba(data.test)
    control = ~data.test_treated.to_numpy()
    assert found.shape == (8, 206) and (found[~control] > 0).all() and (found[control] == 0).all()
    assert list(fitted.feature_names_in_) == list(COMPETITION.features) and fitted.targets_ == data.targets
    shuffled = data.test.iloc[::-1, ::-1]
    np.testing.assert_allclose(fitted.predict_proba(shuffled)[::-1], found, rtol=1e-5)
    with pytest.raises(ValueError, match="missing column 'g-3'"):
        fitted.predict_proba(data.test.drop(columns="g-3"))
    apart = MoAClassifier("simple-nn-new-cv", settings=SIMPLE, device="cpu")
    with pytest.raises(ValueError, match="give the compound of each row as groups"):
        apart.fit(data.features, data.scored)
    assert apart.fit(data.features, data.scored, groups=data.drugs).predict_proba(data.test).shape == (8, 206)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recipe": "nope"}, "no model or blend is named 'nope'"),
        ({"recipe": "best-lb"}, "best-lb: stands for 7 models"),
        ({"profile": "large"}, "profile 'large' is unknown"),
        ({"settings": {"hidden": 3}}, "there is no setting hidden"),
    ],
)
def test_wrong_parameters_are_refused_at_fit(options, message, labels):
    X, y = labels
    with pytest.raises(ValueError, match=message):
        MoAClassifier(**({"recipe": RECIPE, "device": "cpu"} | options)).fit(X, y)
