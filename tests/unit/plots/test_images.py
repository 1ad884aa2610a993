"""Feature images."""

import numpy as np

from moa.plots.images import channels, class_panels, paint


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
