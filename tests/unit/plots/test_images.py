"""Figures of feature maps and of images."""

import numpy as np

from moa.data.assay import COMPETITION
from moa.plots.images import channels, class_panels, feature_map, paint


def test_images_paint_the_larger_of_those_that_share_a_pixel():
    image = paint(np.array([1.0, -3.0, 2.0]), np.array([0, 0, 1]), np.array([0, 0, 1]), (2, 3))
    assert image.tolist() == [[-3, 0, 0], [0, 2, 0]]
    figure = channels(np.stack([np.eye(150)] * 3))
    shown = np.asarray(figure.axes[0].images[0].get_array())
    assert shown.shape == (150, 150) and shown[0, 1] == 1 and shown[0, 3] == 0, "single pixels swell to be seen"
    figure = class_panels({"mean": ({"a_b": image}, False), "less all": ({"a_b": image}, True)})
    assert figure.axes[0].get_title() == "a b" and [axes.get_ylabel() for axes in figure.axes] == ["mean", "less all"]
    low, high = figure.axes[1].images[0].get_clim()
    assert low == -high and 2 < high <= 3


def test_of_enlarged_pixels_that_overlap_the_larger_size_wins():
    image = np.zeros((160, 160))
    image[[0, 2, 80, 81], [0, 0, 80, 81]] = [-1, 3, -5, 2]
    shown = np.asarray(class_panels({"all": ({"a": image}, True)}).axes[0].images[0].get_array())
    expected = np.zeros_like(image)
    for row, column in sorted(zip(*np.nonzero(image), strict=True), key=lambda place: abs(image[place])):
        expected[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = image[row, column]
    np.testing.assert_array_equal(shown, expected)


def test_figures_show_what_they_are_given_and_leave_no_pyplot_state(tmp_path):
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    rng = np.random.default_rng(0)
    features = [*COMPETITION.features[:10], "c-0", "c-1"]
    figure = feature_map(rng.normal(size=(12, 2)), features, COMPETITION)
    figure.savefig(tmp_path / "map.png")
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["7 genes", "2 cells", "3 conditions"]
    image = rng.random((3, 12, 12))
    figure = channels(image)
    figure.savefig(tmp_path / "image.png")
    assert [axes.get_title() for axes in figure.axes] == ["mean", "min", "max"]
    for axes, channel in zip(figure.axes, image, strict=True):
        np.testing.assert_allclose(axes.images[0].get_array(), channel)
    assert plt.get_fignums() == before


def test_a_map_that_leaves_most_pixels_empty_says_why():
    features = COMPETITION.values[:300]
    place = np.random.default_rng(0).random((300, 2))
    assert feature_map(place, features, COMPETITION, shape=(20, 20)).axes[0].get_xlabel() == ""
    place[7] = (30, 30)
    words = feature_map(place, features, COMPETITION, shape=(20, 20)).axes[0].get_xlabel().replace("\n", " ")
    assert "of 400 pixels" in words and f": {features[7]} lie far from all others" in words
