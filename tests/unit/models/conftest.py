"""Inputs of the recipes' feature pipelines."""

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="session")
def tables(dataset):
    """A few hundred training and test rows of the competition's columns, controls among them."""
    train, test = dataset.features.iloc[:320], dataset.test.iloc[:80]
    for frame in (train, test):
        assert 0 < (~dataset.schema.is_treated(frame)).sum() < len(frame) / 4
    return train, test


@pytest.fixture(scope="session")
def joined(tables, dataset):
    """A function: a stage and its number of targets to ``tables`` with made-up predictions of the treated rows."""

    def join(stage, targets):
        rng = np.random.default_rng(0)
        found = []
        for frame in tables:
            treated = frame.index[dataset.schema.is_treated(frame)]
            names = [f"{stage}:t{i}" for i in range(targets)]
            found.append(frame.join(pd.DataFrame(rng.random((len(treated), targets)), treated, names)))
        return found

    return join
