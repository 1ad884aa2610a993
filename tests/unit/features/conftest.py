"""A matrix to transform."""

import numpy as np
import pytest


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(300, 40))
