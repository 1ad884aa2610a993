"""Units in processes: their errors are reported, and no process outlives the training."""

import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from moa.errors import UserError
from moa.models.registry import recipe
from moa.training import executors
from moa.training.executors import LocalExecutor
from moa.training.unit import UnitCallback
from support import TESTS
from support.perceptrons import make_inputs, training_units
from support.process_learners import Dying, Failing, Noting


class Epochs(UnitCallback):
    def __init__(self):
        self.found = []

    def on_epoch_end(self, seed, fold, epoch, epochs, row):
        self.found.append((seed, fold, row["valid_loss"]))


@pytest.fixture(autouse=True)
def room_for_two(monkeypatch):
    """Units run side by side, however much memory other tests take."""
    monkeypatch.setattr(executors, "free_memory", lambda device: 16 << 30)


def test_what_a_family_imports_is_known_before_it_trains():
    """Only of this package: what modules of others do when they are imported is not known."""
    found = executors._family(recipe("deepinsight-resnest-v2").configure("demo").learner)
    assert "moa.learners.deepinsight.lightning" in found and not [name for name in found if not find_spec(name)]
    assert executors._family(Dying(Path())) == []


def run(learner, callback=None, n_splits=2):
    return list(LocalExecutor().run(make_inputs(), training_units(learner, (1,), n_splits), callback))


def test_epochs_are_reported_and_a_unit_alone_needs_no_process(two_threads, tmp_path):
    epochs = Epochs()
    results = run(Noting(tmp_path), epochs, n_splits=3)
    assert sorted(result.fold for result in results) == [0, 1, 2] and {result.threads for result in results} == {1}
    assert os.getpid() not in {result.fitted.meta["pid"] for result in results}
    assert sorted(epochs.found) == [(1, fold, float(fold)) for fold in range(3)]
    (alone,) = run(Noting(tmp_path), n_splits=1)
    assert alone.fitted.meta["pid"] == os.getpid()


def test_an_error_is_raised_here_and_ends_the_other_units(two_threads, tmp_path):
    with pytest.raises(ValueError, match="fold 1 cannot be trained"):
        run(Failing(tmp_path))
    assert not list(tmp_path.iterdir()), "does not wait for the other unit"


def test_a_process_that_dies_is_explained(two_threads, tmp_path):
    with pytest.raises(UserError, match="a training process ended unexpectedly.*run the same command to continue"):
        run(Dying(tmp_path))


def running(process):
    """Whether a process of that number is there and has not ended."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return os.path.exists("/proc/self") is False


def wait_until(reached, seconds=180):
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_processes_end_with_the_training_that_was_killed(tmp_path):
    command = [sys.executable, TESTS / "support" / "waiting_units.py", tmp_path]
    training = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: len(list(tmp_path.iterdir())) == 2)
    finally:
        training.send_signal(signal.SIGKILL)
        training.wait()
    processes = [int(path.name) for path in tmp_path.iterdir()]
    wait_until(lambda: not any(map(running, processes)))


def children(process):
    """Numbers of the processes that a process has started."""
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(number) for number in found]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's list of processes")
@pytest.mark.parametrize("when", ["starting", "running"])
@pytest.mark.parametrize(("stop", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_processes_end_without_a_traceback_when_the_training_is_stopped(when, stop, status, tmp_path, heeded):
    """Also in the moment in which they start, and have read half of what they are sent; Ctrl-C reaches them too."""
    command = [sys.executable, TESTS / "support" / "waiting_units.py", tmp_path]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    training = subprocess.Popen(command, text=True, start_new_session=True, **pipes)
    training.stdout.readline()
    # The first child is multiprocessing's own, the second that from which the processes are forked.
    wait_until(lambda: len(list(tmp_path.iterdir())) == 2 if when == "running" else len(children(training)) > 1)
    processes = [*children(training), *(int(path.name) for path in tmp_path.iterdir())]
    if stop == signal.SIGINT:
        os.killpg(training.pid, stop)
    else:
        training.send_signal(stop)
    _, errors = training.communicate(timeout=180)
    assert training.returncode == status and not errors
    wait_until(lambda: not any(map(running, processes)))
