"""Inputs of the recipes' feature pipelines."""

import numpy as np
import pandas as pd
import pytest

from moa.data.schema import CP_TYPE, TREATED


@pytest.fixture(scope="module")
def frames(dataset):
    """Treated rows with made-up predictions of the 331 nonscored targets joined."""
    rng = np.random.default_rng(0)
    found = []
    for frame in (dataset.features, dataset.test):
        frame = frame[frame[CP_TYPE] == TREATED]
        made = pd.DataFrame(rng.random((len(frame), 331)), frame.index, [f"stage1:t{i}" for i in range(331)])
        found.append((frame, frame.join(made)))
    (train, train_joined), (test, test_joined) = found
    return (train, test), (train_joined, test_joined)
