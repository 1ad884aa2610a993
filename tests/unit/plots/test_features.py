"""Panels of the steps of a pipeline: which kind of panel a step has, and what is drawn on it."""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from moa.plots.features import step_panels


def step(kind, after, before):
    return SimpleNamespace(name="step", before=before, after=after, kind=kind)


def test_columns_of_far_apart_scales_are_standardised():
    values = pd.DataFrame(np.random.default_rng(0).normal(size=(80, 4)), columns=[*"abcd"])
    near, far = step_panels([step("in place", values * [1, 1, 1, 50], values)]).axes
    assert near.get_xlabel() == "" and far.get_xlabel() == "standard deviations from the mean"
    assert far.get_xlim()[1] < 5, "the wide column does not widen the axis"


def test_maps_colour_mechanisms_and_clusters_count_rows():
    values = pd.DataFrame(np.random.default_rng(0).normal(size=(6, 2)), columns=["x", "y"])
    clusters = pd.DataFrame({"c0": [1, 0, 0, 0, 0, 0], "c1": [0, 1, 1, 1, 1, 1]})
    mechanisms = pd.Series(["rare", "common", "common"], [0, 2, 3])
    figure = step_panels([step("clusters", clusters, values)], mechanisms)
    left, right = figure.axes
    grey, common, rare = left.collections
    assert len(grey.get_offsets()) == 6
    np.testing.assert_allclose(common.get_offsets(), values.loc[[2, 3]])
    np.testing.assert_allclose(rare.get_offsets(), values.loc[[0]])
    assert [bar.get_height() for bar in right.patches] == [5, 1]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["common", "rare"]
