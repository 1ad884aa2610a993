"""What a worker does besides training: compares packages, and keeps the checkpoints of its task alone."""

from contextlib import suppress
from types import SimpleNamespace

import pytest

pytest.importorskip("distributed", reason="needs the extra: pip install -e '.[cluster]'")

from moa.training.cluster import tasks
from moa.training.cluster.tasks import Task, difference


def test_the_first_difference_of_two_packages_is_named():
    assert difference({"moa": "1", "torch": "2"}, {"torch": "2", "moa": "1"}) is None
    assert difference({"moa": "1"}, {"moa": "2"}) == "moa is 2 there and 1 here"
    assert difference({"moa": "1", "timm": "1"}, {"moa": "1"}) == "timm is missing there and 1 here"
    assert difference({}, {"timm": "1"}) == "timm is 1 there and missing here"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tasks, "get_worker", lambda: SimpleNamespace(local_directory=str(tmp_path)))
    return tmp_path / "moa"


def task(key, **checkpoints):
    return Task((), "run", key, 1, "topic", {}, True, {f"{name}.ckpt": value for name, value in checkpoints.items()})


def test_a_task_finds_its_checkpoints_and_leaves_those_of_others(folder):
    (folder / "other").mkdir(parents=True)
    (folder / "other" / "last.ckpt").write_bytes(b"of another task")
    with suppress(RuntimeError), tasks._scratch(task("mine", last=b"epoch 3")) as scratch:
        assert scratch == folder / "mine" and (scratch / "last.ckpt").read_bytes() == b"epoch 3"
        raise RuntimeError("the unit fails")
    assert [path.name for path in folder.iterdir()] == ["other"]
    assert (folder / "other" / "last.ckpt").read_bytes() == b"of another task" and tasks.checkpoints({}) == {}


def test_checkpoints_that_the_driver_has_are_not_sent_again(folder):
    with tasks._scratch(task("mine", last=b"epoch 3", best=b"epoch 1")) as scratch:
        first = tasks.checkpoints({})["mine"]
        assert {name: content for name, (_, content) in first.items()} == {
            "last.ckpt": b"epoch 3",
            "best.ckpt": b"epoch 1",
        }
        known = {"mine": {name: time for name, (time, _) in first.items()}}
        assert tasks.checkpoints(known) == {}
        known["mine"]["last.ckpt"] -= 1
        assert tasks.checkpoints(known) == {"mine": {"last.ckpt": first["last.ckpt"]}}
        assert scratch.exists()
