"""Copies of checkpoints: of tasks that are watched, and of no task whose scratch folder is about to be removed."""

from types import SimpleNamespace

import pytest

pytest.importorskip("distributed", reason="needs the extra: pip install -e '.[cluster]'")

from moa.training.cluster.checkpoints import Checkpoints


class Workers:
    """A client of two workers, of which one is gone; each has a checkpoint that is new in every interval."""

    status = "running"

    def __init__(self):
        self.asked = []

    def nthreads(self):
        return {"gone": 1, "there": 1}

    def run(self, function, known, workers, on_error):
        if workers == ["gone"]:
            raise OSError("no connection")
        self.asked.append({key: dict(times) for key, times in known.items()})
        time = len(self.asked)
        return {"there": {key: {"last.ckpt": (time, b"%d" % time)} for key in ("mine", "unknown")}}


def test_checkpoints_are_copied_until_their_task_is_forgotten(tmp_path):
    client = Workers()
    copies = Checkpoints(client, seconds=0.01)

    def task(scratch, keeps=True):
        return SimpleNamespace(
            key="mine", keeps=keeps, units=[SimpleNamespace(runtime=SimpleNamespace(scratch=scratch))]
        )

    copies.watch(task(tmp_path, keeps=False))
    copies.watch(task(None))
    assert copies._thread is None
    copies.watch(task(tmp_path))
    while len(client.asked) < 3:
        copies._thread.join(0.01)
    assert client.asked[0] == {} and set(client.asked[1]) == {"mine"} and client.asked[2]["mine"]["last.ckpt"] >= 1
    copies.forget(task(tmp_path))
    kept = (tmp_path / "last.ckpt").read_bytes()
    seen = len(client.asked)
    while len(client.asked) < seen + 2:
        copies._thread.join(0.01)
    assert (tmp_path / "last.ckpt").read_bytes() == kept and [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]
    copies.close()
    copies._thread.join(10)
    assert not copies._thread.is_alive()
