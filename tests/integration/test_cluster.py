"""Units on a cluster of two worker processes: the numbers of one machine, also when workers and driver are killed."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from threading import Thread

import pytest

pytest.importorskip("distributed", reason="needs the extra: pip install -e '.[cluster]'")

from moa.errors import UserError
from moa.training.machines import open_executor
from moa.training.watch import Watch, Watched
from support import TESTS, cluster_job, weights


@contextmanager
def started(*command):
    """A command of Dask that runs while the block does."""
    arguments = [sys.executable, "-m", *map(str, command)]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def address(tmp_path_factory):
    """A scheduler and two workers, started by hand as on two machines."""
    from distributed import Client

    file = tmp_path_factory.mktemp("cluster") / "scheduler.json"
    scheduler = ["distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", 0, "--dashboard-address"]
    worker = ["distributed.cli.dask_worker", "--scheduler-file", file, "--nthreads", 1, "--host", "127.0.0.1"]
    with started(*scheduler, "127.0.0.1:0", "--scheduler-file", file):
        deadline = time.monotonic() + 60
        while not file.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with started(*worker, "--nworkers", 2, "--local-directory", file.parent):
            with Client(scheduler_file=str(file)) as client:
                client.wait_for_workers(2, timeout=120)
                found = client.scheduler.address
            yield found


@pytest.fixture(scope="session")
def alone(data_dir, tmp_path_factory):
    """The same training without a cluster."""
    folder = tmp_path_factory.mktemp("alone")
    cluster_job.train(folder, data_dir, None)
    return folder


def kill_one(address):
    """Kill a worker process by its number; its nanny starts another."""
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        numbers = client.run(os.getpid)
        os.kill(numbers[min(numbers)], signal.SIGKILL)


class Killing(Watch, Watched):
    """Kills a worker in the middle of each stage; counts how often each unit began."""

    quiet = True

    def __init__(self, address):
        self.address, self.begun, self.killed = address, Counter(), []

    @contextmanager
    def stage(self, model, stage, total, done):
        self.name = stage
        yield self

    def on_start(self, seed, fold):
        self.begun[self.name, seed, fold] += 1

    def on_epoch_end(self, seed, fold, epoch, epochs, row):
        if self.name not in self.killed:
            self.killed.append(self.name)
            Thread(target=kill_one, args=(self.address,)).start()  # this one receives the reports


def test_a_worker_killed_in_each_stage_costs_its_units_alone(address, alone, data_dir, tmp_path):
    watch = Killing(address)
    cluster_job.train(tmp_path, data_dir, address, watch)
    assert watch.killed == ["first", "second"]
    assert weights.files(tmp_path) == weights.files(alone)
    assert set(watch.begun) == {(stage, 0, fold) for stage in watch.killed for fold in (0, 1)}
    again = sum(watch.begun.values()) - len(watch.begun)
    assert 1 <= again <= 3, "a unit for each kill, and perhaps one whose result was not fetched yet"


def test_a_driver_that_is_killed_goes_on_where_it_stopped(address, alone, data_dir, tmp_path):
    command = [sys.executable, TESTS / "support" / "cluster_job.py", tmp_path, data_dir, address]
    driver = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not weights.units(tmp_path):
        assert driver.poll() is None and time.monotonic() < deadline, driver.communicate()[1]
        time.sleep(0.01)
    driver.kill()
    driver.wait()
    finished = weights.units(tmp_path)
    assert len(finished) < 4, "killed before the end"
    cluster_job.train(tmp_path, data_dir, address)
    assert finished.items() <= weights.units(tmp_path).items()
    assert weights.files(tmp_path) == weights.files(alone)


def test_what_no_worker_can_do_is_refused_at_once(address, tmp_path):
    for on, device, expected in (
        (address, "cuda", "no worker offers a GPU.*--resources GPU=1"),
        (address, "tpu", "--device tpu: unknown"),
        ("local:0", "cpu", "local:0: not found; give local, local:8"),
        ("tcp://127.0.0.1:1", "cpu", "no scheduler answers there.*dask scheduler"),
        (str(tmp_path / "none.yaml"), "cpu", "not found; give local"),
    ):
        with pytest.raises(UserError, match=expected), open_executor(on, device):
            pass
