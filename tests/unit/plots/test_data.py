"""Charts of a data set against pandas."""

import numpy as np
import pandas as pd
import pytest

from moa.plots.data import bars, class_counts, correlation_blocks, distributions, shift, short


@pytest.fixture
def features():
    return pd.DataFrame(np.random.default_rng(0).normal(size=(60, 6)), columns=[f"g-{each}" for each in range(6)])


def test_names_fit_beside_a_chart():
    assert short("a_b $") == r"a b \$" and short("x" * 40, 10) == "x" * 9 + "…" and short("x" * 10, 10) == "x" * 10


def test_targets_by_the_number_of_their_rows():
    labels = pd.DataFrame({"few": [0, 0, 1], "none": [0, 0, 0], "many": [1, 1, 1]})
    left, right = class_counts(labels, most=2).axes
    assert left.lines[0].get_ydata().tolist() == [3, 1] and "2 of 3 targets" in left.get_xlabel()
    assert [label.get_text() for label in right.get_yticklabels()] == ["few", "many"]
    assert [bar.get_width() for bar in right.patches] == [1, 3]


def test_one_panel_per_condition():
    figure = bars({"dose": pd.Series([3, 4], ["D1", "D2"]), "time": pd.Series([7], ["24"])}, "rows")
    assert [[bar.get_height() for bar in axes.patches] for axes in figure.axes] == [[3, 4], [7]]


def test_treated_rows_are_drawn_beside_controls(features):
    treated = pd.Series(np.arange(60) < 45)
    figure = distributions(features, treated, ["g-0", "g-5"])
    assert [axes.get_title() for axes in figure.axes] == ["g-0", "g-5"]
    for axes in figure.axes:
        areas = [sum(bar.get_width() * bar.get_height() for bar in group) for group in axes.containers]
        np.testing.assert_allclose(areas, [1, 1])
    assert len(distributions(features, treated | True, ["g-0"]).axes[0].containers) == 1, "there are no controls"
    moved = shift(features, treated, {"genes": ["g-1", "g-2"]}).axes[0].collections[0].get_offsets()
    expected = [features.loc[rows, ["g-1", "g-2"]].std() for rows in (~treated, treated)]
    np.testing.assert_allclose(moved, np.transpose(expected))


def test_correlations_of_columns_at_even_distances(features):
    figure = correlation_blocks(features, {"large": list(features)[:4], "small": ["g-5"]}, most=2)
    shown = np.asarray(figure.axes[0].images[0].get_array())
    np.testing.assert_allclose(shown, features[["g-0", "g-2", "g-5"]].corr())
