"""CNN training that is killed and resumed, or runs on two devices."""

import multiprocessing
import subprocess
import sys

import numpy as np
import pytest
import torch

from moa.errors import WriteError
from moa.learners.deepinsight.lightning import FoldModule
from support import TESTS
from support.tiny_cnn import TINY, assert_same, train_until_killed, unit_in
from support.units import CPU


def test_a_killed_fold_ends_where_an_uninterrupted_one_does(whole, tmp_path, monkeypatch):
    threads = torch.get_num_threads()
    process = multiprocessing.get_context("spawn").Process(target=train_until_killed, args=(str(tmp_path), threads))
    process.start()
    process.join()
    assert process.exitcode == 9 and len(list(tmp_path.glob("last-*.ckpt"))) == 1
    trained = []
    step = FoldModule.training_step
    monkeypatch.setattr(
        FoldModule,
        "training_step",
        lambda self, rows, number: trained.append(self.current_epoch) or step(self, rows, number),
    )
    torch.set_num_threads(threads + 1)  # as another library may do; sums come out different with it
    try:
        unit = unit_in(tmp_path)
        resumed = unit.fit(TINY)
        assert torch.get_num_threads() == threads + 1
    finally:
        torch.set_num_threads(threads)
    assert set(trained) == {2, 3}  # two epochs were not trained again
    assert_same(resumed, whole)
    X = unit.data.X
    assert np.array_equal(TINY.predict(resumed, X, CPU), TINY.predict(whole, X, CPU))
    # Other settings do not take the checkpoint up.
    trained.clear()
    unit.fit(TINY.model_copy(update={"epochs": 1, "smoothing": 0.0}))
    assert set(trained) == {0}


def test_a_checkpoint_that_cannot_be_written_is_reported(tmp_path):
    resource = pytest.importorskip("resource")
    unit, before = unit_in(tmp_path), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(WriteError, match="last-.*ckpt: cannot be written, .*; the epoch before is kept; make room"):
            unit.fit(TINY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_two_devices_end_with_the_same_weights(tmp_path):
    """Two processes on the CPU: each takes its share of the rows, and both draw by the map of the first."""
    command = [sys.executable, TESTS / "support" / "two_devices.py", tmp_path]
    script = subprocess.run(command, capture_output=True, text=True, check=False)
    assert script.returncode == 0, script.stderr
    first, second = (torch.load(tmp_path / f"rank-{rank}.pt", weights_only=True) for rank in range(2))
    assert first["history"] == second["history"] and len(first["history"]) == 2
    assert all(torch.equal(value, second["tensors"][name]) for name, value in first["tensors"].items())
