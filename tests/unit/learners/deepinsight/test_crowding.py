"""Maps that leave most pixels empty are remarked on, with the features that cause it."""

import numpy as np
import pytest

from moa.learners.deepinsight.crowding import crowding


@pytest.fixture
def plane():
    """900 features all over a square, as many as pixels of a 30 × 30 image."""
    return np.random.default_rng(0).random((900, 2))


NAMES = [f"g-{i}" for i in range(900)]


def test_a_map_that_uses_its_pixels_needs_no_remark(plane):
    found = crowding(plane, (30, 30), NAMES)
    assert 0.5 * 900 < found.used < 0.75 * 900 and not found.crowded and found.remark == "" and not found.outliers
    large = crowding(plane, (224, 224), NAMES)  # the features could never fill it
    assert large.used > 850 and large.usable == 900 and not large.crowded


def test_outliers_are_named(plane):
    plane[17], plane[400] = (9, 0.5), (0.5, -7)
    found = crowding(plane, (30, 30), NAMES)
    assert found.crowded and set(found.outliers) == {"g-17", "g-400"} and found.without > 0.5 * 900
    assert found.used < 100
    assert found.remark == (
        f"The map uses {found.used} of 900 pixels, and its features could use 900: {', '.join(found.outliers)} lie far "
        f"from all others, which would use {found.without} without them."
    )


def test_heaps_are_not_blamed_on_a_few_features(plane):
    heaps = plane * 0.01 + np.random.default_rng(1).integers(3, size=(900, 1))
    found = crowding(heaps, (30, 30), NAMES)
    assert found.crowded and not found.outliers and "few heaps" in found.remark


def test_a_map_without_extent_and_one_feature_are_no_error(plane):
    assert crowding(plane * 0, (30, 30), NAMES).used == 1
    assert not crowding(plane[:1], (30, 30), NAMES[:1]).crowded
