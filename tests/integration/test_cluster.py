"""Units on a cluster of two worker processes: the numbers of one machine, also when workers and driver are killed."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Thread

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("distributed", reason="needs the extra: pip install -e '.[cluster]'")

from moa.blending.catalogue import plate_blend
from moa.blending.options import SearchOptions
from moa.data.folds import Folds
from moa.environment import Folders
from moa.errors import UserError
from moa.jobs.ablation import run_ablations
from moa.jobs.blend import search_weights
from moa.jobs.options import PlateOptions, UnitOptions
from moa.jobs.plates import predict_plates
from moa.jobs.writeup_claims import Ablation, Arm
from moa.learners.runtime import Runtime
from moa.models.base import Stage
from moa.parallel import one_thread
from moa.training.cluster import open_cluster
from moa.training.machines import open_executor
from moa.training.unit import StageInputs, Unit, UnitCallback, UnitsFailed, train_unit
from support import TESTS, cluster_job, weights
from support.killing import Killing, kill_one
from support.perceptrons import make_inputs, training_units
from support.pieces import note_and_square
from support.process_learners import Failing
from support.tiny_cnn import TINY, assert_same, tables


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


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A scheduler and two workers, started by hand as on two machines. They end with this file: idle ones cost time."""
    from distributed import Client

    file = tmp_path_factory.mktemp("cluster") / "scheduler.json"
    scheduler = ["distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", 0, "--dashboard-address"]
    worker = ["support.dask_worker", "--scheduler-file", file, "--nthreads", 1, "--host", "127.0.0.1"]
    with started(*scheduler, "127.0.0.1:0", "--scheduler-file", file):
        deadline = time.monotonic() + 300
        while not file.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with started(*worker, "--nworkers", 2, "--local-directory", file.parent):
            with Client(scheduler_file=str(file)) as client:
                client.wait_for_workers(2, timeout=600)
                found = client.scheduler.address
            yield found


@pytest.fixture(scope="module")
def alone(data_dir, tmp_path_factory):
    """The same training without a cluster."""
    folder = tmp_path_factory.mktemp("alone")
    cluster_job.train(folder, data_dir, None)
    return folder


def kill_worker(address):
    """Kill a worker of the cluster at an address."""
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        kill_one(client)


def test_a_worker_killed_in_each_stage_costs_its_units_alone(address, alone, data_dir, tmp_path):
    watch = Killing(partial(kill_worker, address))
    cluster_job.train(tmp_path, data_dir, address, watch)
    assert watch.killed == [f"toy {stage}" for stage in ("first", "second")]
    assert weights.files(tmp_path) == weights.files(alone)
    assert set(watch.begun) == {(stage, 0, fold) for stage in watch.killed for fold in (0, 1)}
    assert 1 <= watch.again <= 3, "a unit for each kill, and perhaps one whose result was not fetched yet"


def test_a_driver_that_is_killed_goes_on_where_it_stopped(address, alone, data_dir, tmp_path):
    command = [sys.executable, TESTS / "support" / "cluster_job.py", tmp_path, data_dir, address]
    driver = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 600
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


def test_a_cnn_goes_on_from_its_checkpoint_when_its_worker_is_killed(address, tmp_path):
    X, y = tables(rows=120)
    inputs = StageInputs(X.clip(0, 1), y, {None: np.arange(len(X)) % 2})
    learner = TINY.model_copy(update={"epochs": 40})
    stage = Stage("cnn", "scored", None, Folds(scheme="kfold", n_splits=2), (3,), learner)
    scratch, epochs, killed = tmp_path / "scratch", [], []
    scratch.mkdir()
    unit = Unit(stage, 3, 1, None, Runtime(scratch=scratch))

    class KillOnce(UnitCallback):
        def on_start(self, seed, fold):
            epochs.append([])

        def on_epoch_end(self, seed, fold, epoch, epochs_, row):
            epochs[-1].append(epoch)
            if list(scratch.glob("*.ckpt")) and not killed:  # the driver has a copy
                killed.append(epoch)
                Thread(target=kill_busy, args=(address,)).start()

    with open_cluster(address, "cpu", checkpoint_seconds=0.2) as executor:
        (found,) = executor.run(inputs, [unit], KillOnce())
    with one_thread():
        alone = train_unit(inputs, Unit(stage, 3, 1, None, Runtime()))
    assert killed and len(epochs) >= 2 and min(epochs[-1]) > 0, "not from the first epoch"
    assert_same(found.fitted, alone.fitted)
    assert found.oof.equals(alone.oof)


def kill_busy(address):
    """Kill the worker process that computes something."""
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        (busy,) = (worker for worker, keys in client.processing().items() if keys)
        os.kill(client.run(os.getpid, workers=[busy])[busy], signal.SIGKILL)


def test_a_search_and_an_ablation_give_the_same_tables(address, weights_of, data_dir, tmp_path):
    names = ["simple-nn-old-cv", "three-stage-nn-5fold"]
    folder, options = weights_of(*names), SearchOptions(methods=["slsqp", "tpe"], tpe_trials=30, folds=2, bootstrap=20)
    arms = [Arm("smoothed", names[0]), Arm("not smoothed", names[0], {"learner": {"smoothing": 0}})]
    asked = [Ablation("smoothing", "it helps", (tuple(arms),))], Folders.find("demo", data_dir)
    units = UnitOptions(seeds=1, folds=2, device="cpu")
    tables = []
    for on in (None, address):
        with open_executor(on, "cpu") as executor:
            found, *_ = search_weights(names, data_dir, tmp_path, folder, options=options, streams=executor)
            out = tmp_path / str(on is None)
            ablated = run_ablations(*asked, out, folder, units, executor)
        tables.append(
            (found.table().drop(columns="seconds"), found.weight_table(), ablated.drop(columns="unit_seconds"))
        )
    for alone, spread in zip(*tables, strict=True):
        pd.testing.assert_frame_equal(spread, alone, check_exact=True)


@pytest.mark.parametrize("sent", [False, True], ids=["weights found there", "weights sent along"])
def test_plates_are_the_same_on_a_cluster(address, weights_of, data_dir, tmp_path, monkeypatch, sent):
    spec, folder = plate_blend("simple-nn-old-cv"), weights_of("simple-nn-old-cv")
    options = PlateOptions(rows_at_a_time=30, device="cpu")
    predict_plates(data_dir / "test_features.csv", spec, folder, tmp_path / "alone", options)
    with open_executor(address, "cpu") as executor:
        if sent:  # as where workers see other files than the driver
            monkeypatch.setattr(executor, "everywhere", lambda *_: [None])
        predict_plates(data_dir / "test_features.csv", spec, folder, tmp_path / "spread", options, executor)
    for name in ("probabilities.csv", "ranked.csv", "samples.csv"):
        assert (tmp_path / "spread" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


def test_a_lost_worker_costs_its_pieces_alone(address, tmp_path):
    with open_executor(address, "cpu") as executor:
        stream = executor.stream(partial(Path, tmp_path), note_and_square, range(20))
        number, result = next(stream)
        found = {number: result}
        kill_worker(address)
        found |= dict(stream)
    assert found == {number: number**2 for number in range(20)}
    times = Counter(int(path.name.partition("-")[0]) for path in tmp_path.iterdir())
    assert len(times) == 20 and sum(times.values()) <= 20 + 4, "those that the worker had, and no others"


def test_units_that_fail_are_named_and_the_others_go_on(address, tmp_path):
    failures = []

    class Noting(UnitCallback):
        def on_failure(self, seed, fold, reason):
            failures.append((seed, fold, reason))

    units = training_units(Failing(tmp_path, seconds=0), seeds=(1,), n_splits=4)
    finished = []
    with open_executor(address, "cpu") as executor, pytest.raises(UnitsFailed, match="nn: 1 units failed"):
        finished += (result.fold for result in executor.run(make_inputs(n_splits=4), units, Noting()))
    assert sorted(finished) == [0, 2, 3]
    assert failures == [(1, 1, "ValueError: fold 1 cannot be trained")]


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
