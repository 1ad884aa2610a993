"""Labels and compounds of the training rows, against plain pandas."""

import numpy as np
import pandas as pd
import pytest

from moa.features import TrainingEvidence
from moa.features.evidence import evidence_table
from moa.weights import fitted_transformers as fits


@pytest.fixture
def rows():
    """Twelve wells of four compounds, one well without a compound, and their labels for three targets."""
    rng = np.random.default_rng(0)
    index = pd.Index([f"w{number}é" for number in range(13)], name="sig_id")
    features = pd.DataFrame(rng.normal(size=(13, 6)), index, [f"f{number}" for number in range(6)])
    compounds = pd.Series([*"bbbbbaaaccdd", None], index, dtype=object)
    y = pd.DataFrame(0, index, ["x", "y", "z"])
    y.iloc[:5, 1] = 1
    y.iloc[9, 2] = 1  # one well of its compound alone
    return features, compounds, y


def fit(rows, **options):
    features, compounds, y = rows
    table = evidence_table(features, compounds, list(features))
    return TrainingEvidence(**options).fit(table, y.to_numpy())


def test_medians_are_those_of_pandas(rows):
    features, compounds, y = rows
    found = fit(rows)
    expected = features.groupby(compounds).median()
    assert list(found.names_) == list(expected.index) and list(found.rows_) == [3, 5, 2, 2]
    np.testing.assert_allclose(found.directions_ * found.lengths_[:, None], expected, atol=2e-3)
    carried = [(found.names_[compound], y.columns[target]) for compound, target in found.labels_]
    assert carried == [("b", "y"), ("c", "z")]
    pd.testing.assert_frame_equal(found.labels(list(y)), y.astype(np.uint8))


def test_nearest_compounds_have_the_highest_cosines(rows):
    features, compounds, _ = rows
    found, medians = fit(rows), features.groupby(compounds).median()
    new = np.random.default_rng(1).normal(size=(5, 6))
    places, cosine = found.nearest(new, 3)
    expected = new @ medians.T / np.linalg.norm(new, axis=1)[:, None] / np.linalg.norm(medians, axis=1)
    for row, (place, value) in enumerate(zip(places, cosine, strict=True)):
        best = expected.iloc[row].sort_values(ascending=False)[:3]
        assert list(found.names_[place]) == list(best.index)
        np.testing.assert_allclose(value, best, atol=2e-3)
    assert found.nearest(new, 9)[0].shape == (5, 4), "there are only four"
    assert found.nearest(np.zeros((1, 6)))[1].tolist() == [[0, 0, 0, 0]]


def test_of_many_compounds_those_with_labels_and_many_rows_are_kept(rows):
    found = fit(rows, most=3 * 6)
    assert list(found.names_) == ["a", "b", "c"] and found.left_out_ == 1
    assert len(found.ids_) == 13, "labels are kept of all rows"
    assert list(fit(rows, most=2 * 6).names_) == ["b", "c"]


def test_the_compound_of_each_row_is_known(rows):
    features, compounds, _ = rows
    assert fit(rows).compounds().fillna("").to_dict() == compounds.fillna("").to_dict()
    few = fit(rows, most=2 * 6).compounds()
    assert few.dropna().tolist() == compounds[compounds.isin(["b", "c"])].tolist(), "of compounds that are kept"
    assert fit(rows, by_row=False).compounds() is None


def test_without_compounds_there_are_labels_alone(rows):
    features, _, y = rows
    found = fit((features, None, y))
    assert len(found.names_) == 0 and found.labels(list(y)).to_numpy().sum() == 6
    assert found.nearest(features.to_numpy())[0].shape == (13, 0)


def test_it_comes_back_from_storage(rows, tmp_path):
    found = fit(rows)
    back = fits.load(fits.dump(found)[0], tmp_path)
    assert back.directions_.dtype == np.float16
    for name in ("ids_", "positives_", "names_", "rows_", "labels_", "directions_", "lengths_"):
        np.testing.assert_array_equal(getattr(back, name), getattr(found, name))
