"""A CNN learner that trains in a second, and rows for it."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from moa.features.log_scaler import LogScaler
from moa.learners.base import FoldData
from moa.learners.deepinsight.backbones import EfficientNet, ResNeSt
from moa.learners.deepinsight.learner import CNNLearner
from moa.learners.deepinsight.lightning import FoldModule
from moa.learners.runtime import Runtime
from support.units import Unit

TINY_EFFICIENTNET = EfficientNet(name="test_efficientnet")
TINY_RESNEST = ResNeSt(blocks=(1, 1, 1, 1), width=4, stem_width=4, final_drop=0.2)
TINY = CNNLearner(
    backbone=TINY_EFFICIENTNET,
    hidden=16,
    resolution=16,
    map_iterations=250,
    epochs=4,
    batch_size=16,
    lr=3e-3,
    swap_probability=0.5,
    swap_first=3,
    pretrained=False,
)


def tables(rows=80, features=40, targets=3, seed=0):
    """Unscaled features in three conditions and groups that move together; the first target follows the first group."""
    rng = np.random.default_rng(seed)
    groups = rng.normal(size=(rows, 4))
    x = np.c_[rng.integers(0, 2, (rows, 3)), groups.repeat(10, 1)[:, : features - 3]]
    x = x + 0.2 * rng.normal(size=x.shape)
    y = np.c_[groups[:, 0] > 0, rng.random((rows, targets - 1)) < 0.2]
    index = pd.Index([f"id_{i:03d}" for i in range(rows)], name="sig_id")
    return (
        pd.DataFrame(x.astype(np.float32), index, [f"f-{i}" for i in range(features)]),
        pd.DataFrame(y.astype(np.float32), index, [f"moa-{i}" for i in range(targets)]),
    )


def unit_in(scratch, device="cpu", seed=3, valid=20, **options):
    """A unit of scaled rows, as training makes it; ``valid`` rows are held out."""
    X, y = tables(**options)
    order = np.random.default_rng(1).permutation(len(X))
    train, valid = order[valid:], order[:valid]
    scaled = pd.DataFrame(LogScaler().fit(X.iloc[train]).transform(X), X.index, X.columns)
    Path(scratch).mkdir(parents=True, exist_ok=True)
    runtime = Runtime(device=device, scratch=Path(scratch))
    return Unit(FoldData(scaled, y, train, valid), seed, fold=1, runtime=runtime)


def assert_same(first, second):
    assert first.history == second.history and first.meta == second.meta
    assert first.tensors.keys() == second.tensors.keys()
    assert all(torch.equal(first.tensors[name], second.tensors[name]) for name in first.tensors)


def train_until_killed(scratch, threads):
    """Run it in a separate process: it exits without cleaning up in the second batch of the third epoch."""
    step = FoldModule.training_step

    def dying(self, rows, number):
        if (self.current_epoch, number) == (2, 1):
            os._exit(9)
        return step(self, rows, number)

    FoldModule.training_step = dying
    torch.set_num_threads(threads)
    unit_in(scratch).fit(TINY)
