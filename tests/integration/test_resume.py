"""Kills before, between and inside stages: a run continues without training a unit again, to the same end."""

import time

import pytest

from moa.data.stored_tables import read_table
from moa.weights.layout import WeightsFolder
from support.demo import moa_quietly
from support.forked import processes

#: When to kill, one after another: as soon as so many files or folders of the pattern are in the model's folder.
KILLS = {
    "simple-nn-old-cv": (("nn", 1), ("nn/seed-*/fold-*", 1), ("nn/seed-*/fold-*", 3)),
    "three-stage-nn-5fold": (
        ("stage1/seed-0/fold-0", 1),
        ("stage1/seed-0/fold-2", 1),
        ("stage2/stage.json", 1),
        ("stage3/seed-0/fold-1", 1),
    ),
    "two-stage-nn-tabnet": (("tabnet/stage.json", 1), ("tabnet/seed-*/fold-*", 1)),
    "two-heads": (("phase2/stage.json", 1), ("phase2/seed-23/fold-0", 1)),
}


@pytest.mark.parametrize("name", KILLS)
def test_killed_anywhere_it_continues_and_ends_the_same(name, weights_of, data_dir, tmp_path, moa_here):
    straight_on = weights_of(name)
    options = ["--profile", "demo", "--device", "cpu", "--data", str(data_dir), "--weights", str(tmp_path)]
    command = ["train", name, *options]
    folder = tmp_path / name
    for pattern, wanted in KILLS[name]:
        process = processes().Process(target=moa_quietly, args=command)
        process.start()
        deadline = time.monotonic() + 180
        while len(list(folder.glob(pattern))) < wanted:
            assert process.is_alive() and time.monotonic() < deadline
            time.sleep(0.005)
        process.kill()
        process.join()
    assert not (folder / "predictions").exists(), "killed before the end"
    unit = "*/seed-*/fold-*/unit.json"
    finished = {path: path.stat().st_mtime_ns for path in folder.glob(unit)}
    assert 0 < len(finished) < len(list((straight_on / name).glob(unit)))

    moa_here(*command)
    assert all(path.stat().st_mtime_ns == when for path, when in finished.items())
    for kind in ("oof", "test"):
        resumed, straight = (
            read_table(WeightsFolder(weights).model(name).prediction(kind)) for weights in (tmp_path, straight_on)
        )
        assert resumed.to_numpy().tobytes() == straight.to_numpy().tobytes()
