"""Transformers of profiles: selection, logarithms, sphering; and steps that are fitted on controls."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from moa.data.assay import Assay
from moa.features import Bounded, SignedLog, Sphering, StandardScaler, Varying
from moa.features.pipeline import FeaturePipeline, Step, reference, starting
from moa.features.profile_steps import is_bookkeeping, profile_steps, sphered_steps
from moa.learners.profiles.members import sphered
from moa.weights import fitted_transformers as fits


def correlated(rows, features, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, features)) @ rng.normal(size=(features, features))


def zca_cor(controls, X, shrinkage):
    """As in the paper: R^(-1/2) of the shrunk correlation matrix, on standardised values."""
    mean, deviation = controls.mean(axis=0), controls.std(axis=0)
    R = (1 - shrinkage) * np.corrcoef(controls.T) + shrinkage * np.eye(X.shape[1])
    values, vectors = np.linalg.eigh(R)
    return ((X - mean) / deviation) @ vectors @ np.diag(values**-0.5) @ vectors.T


@pytest.mark.parametrize("controls", [40, 7], ids=["more controls than features", "fewer"])
@pytest.mark.parametrize("shrinkage", [1.0, 0.3, 0.03])
def test_sphering_is_zca_cor(controls, shrinkage):
    known, X = correlated(controls, 12), correlated(20, 12, seed=1)
    assert np.allclose(Sphering(shrinkage).fit(known).transform(X), zca_cor(known, X, shrinkage))


@pytest.mark.parametrize("controls", [40, 7])
def test_a_shrinkage_can_be_applied_late(controls):
    """Cosines of scaled coordinates are those of sphered rows."""
    known, X = correlated(controls, 12), correlated(20, 12, seed=1)
    axes = Sphering().fit(known)
    coordinates, variances = axes.transform(X), axes.transform(known).var(axis=0)
    for shrinkage in (1.0, 0.3, 0.03):
        expected = zca_cor(known, X, shrinkage)
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        found = sphered(coordinates, variances, shrinkage)
        assert np.allclose(found @ found.T, expected @ expected.T)
    names = axes.get_feature_names_out([f"f{i}" for i in range(12)])
    assert len(names) == coordinates.shape[1] == (12 if controls == 40 else 6 + 12)


def test_a_sphering_of_no_strength_is_refused():
    with pytest.raises(ValueError, match="shrinkage: 0 is not above 0"):
        Sphering(0).fit(correlated(10, 3))


@pytest.mark.parametrize("transformer", [SignedLog(), Bounded(5.0), Varying(0.5), Sphering(0.3), Sphering()])
def test_fits_come_back_from_storage(transformer, tmp_path):
    X = correlated(30, 6)
    fitted = clone(transformer).fit(X)
    raw, suffix = fits.dump(fitted)
    back = fits.load(raw, tmp_path / f"fit{suffix}")
    assert repr(back) == repr(fitted) and np.array_equal(back.transform(X), fitted.transform(X))


def test_logarithms_keep_the_sign():
    X = np.array([[0.0, np.e - 1, 1 - np.e]])
    assert np.allclose(SignedLog().fit(X).transform(X), [[0, 1, -1]])


def test_features_that_hardly_vary_or_reach_thousands_are_left_out():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 5)) * [1, 1, 0.1, 0.0, 1]
    X[3, 4] = -1000
    assert Varying().fit(X).get_support().tolist() == [True, True, False, False, True]
    assert Bounded().fit(X).get_support().tolist() == [True, True, True, True, False]
    wide = X * 100  # the usual deviation is at most 1: features of larger scale are not left out beside them
    assert Varying().fit(wide).get_support().tolist() == [True, True, True, False, True]
    assert Bounded().fit(np.full((3, 2), 5000.0)).get_support().all(), "some feature must be left"


@pytest.mark.parametrize(
    ("name", "bookkeeping"),
    [
        ("Cells_AreaShape_Center_X", True),
        ("Cytoplasm_AreaShape_BoundingBoxMaximum_Y", True),
        ("Nuclei_AreaShape_Orientation", True),
        ("Cells_Location_CenterMassIntensity_X_DNA", True),
        ("Cells_Neighbors_FirstClosestObjectNumber_10", True),
        ("Cells_Number_Object_Number", True),
        ("Cytoplasm_Parent_Nuclei", True),
        ("Cells_Children_Cytoplasm_Count", True),
        ("ImageNumber", True),
        ("Cells_AreaShape_Area", False),
        ("Nuclei_Intensity_MassDisplacement_DNA", False),
        ("Cells_Neighbors_NumberOfNeighbors_10", False),
        ("PARENT1", False),
        ("g-0", False),
    ],
)
def test_places_and_numbers_of_objects_are_bookkeeping(name, bookkeeping):
    assert is_bookkeeping(name) is bookkeeping


def screen(controls, rows=30, seed=0):
    rng = np.random.default_rng(seed)
    names = ["Cells_Area", "Cells_Texture", "Nuclei_Texture", "Nuclei_Location_Center_X"]
    marked = np.arange(rows) < controls
    frame = pd.DataFrame(rng.normal(loc=np.where(marked, 0, 5)[:, None], size=(rows, 4)), columns=names)
    assay = Assay.model_validate({"name": "s", "groups": {"Cells": {"columns": names}}})
    return frame, assay, marked


def test_steps_are_fitted_on_controls():
    frame, assay, controls = screen(12)
    pipeline = FeaturePipeline(profile_steps(assay, "controls"), np.float64)
    found = pipeline.fit_train(frame, controls=controls)
    assert list(found) == ["Cells_Area", "Cells_Texture", "Nuclei_Texture"]
    assert np.allclose(found[controls].mean(), 0) and np.allclose(found[controls].std(ddof=0), 1)
    assert (found[~controls].mean() > 1.5).all()
    changed = frame.where(pd.Series(controls), frame * 2)
    again = FeaturePipeline(profile_steps(assay, "controls"), np.float64).fit_train(changed, controls=controls)
    assert again[controls].equals(found[controls]), "treated rows have no part in it"


@pytest.mark.parametrize("controls", [0, 5])
def test_with_fewer_than_six_controls_steps_are_fitted_on_training_rows(controls):
    frame, assay, marked = screen(controls)
    found = FeaturePipeline(profile_steps(assay, "controls"), np.float64).fit_train(frame, controls=marked)
    assert np.allclose(found.mean(), 0) and np.allclose(found.std(ddof=0), 1)


def test_controls_stay_those_of_their_rows_where_a_step_leaves_rows_out():
    class Half(SignedLog):
        def transform(self, X):
            return (np.arange(len(X)) % 2 == 0)[:, None]

    frame, _, controls = screen(20, rows=40)
    steps = [
        Step("half", Half(), starting("Nuclei_Location"), "rows", fit_on="train"),
        Step("scaled", StandardScaler(), starting("Cells", "Nuclei"), "in place", fit_on="controls"),
    ]
    found = FeaturePipeline(steps, np.float64).fit_train(frame, controls=controls)
    assert len(found) == 20 and np.allclose(found[controls[::2]].mean(), 0)


def test_rows_that_others_are_compared_with():
    controls = np.arange(10) < 6
    assert reference(controls, 10).tolist() == [0, 1, 2, 3, 4, 5]
    assert reference(controls[1:], 9).tolist() == list(range(9)) and reference(None, 3).tolist() == [0, 1, 2]


def test_steps_for_networks_keep_the_names_and_sphere_on_controls():
    frame, assay, controls = screen(20, rows=40)
    assert sphered_steps(assay, None) == []
    found = FeaturePipeline(sphered_steps(assay, 0.3), np.float64).fit_train(frame, controls=controls)
    assert list(found) == list(frame)
    logs = np.sign(frame) * np.log1p(np.abs(frame))
    assert np.allclose(found, zca_cor(logs[controls].to_numpy(), logs.to_numpy(), 0.3))
