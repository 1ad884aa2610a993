"""What runs on a worker: units, pieces of other work, and what the driver asks about the worker.

Everything here is found by its name on the worker, whose package must be the driver's; ``package`` is compared.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any

import torch
from distributed import get_client, get_worker

from moa import version
from moa.errors import UserError
from moa.files import digest, sha256, writing
from moa.learners.base import EpochCallback
from moa.parallel import one_thread
from moa.training.unit import StageInputs, Unit, train_batch, train_unit
from moa.weights.store import versions
from moa.weights.units import UnitResult

#: Least number of seconds between two reports of a unit.
_REPORT_SECONDS = 0.5
#: A worker computes one thing at a time, however many threads it has: some learners use global generators.
_ALONE = Lock()
_folders: dict[str, Path] = {}
_prepared: dict[str, Any] = {}


@dataclass(frozen=True)
class Task:
    """One unit to train, or several as one batched network.

    Attributes:
        units: with runtimes of the worker; their ``scratch`` is set there.
        run: identifies the stage's run in reports.
        key: identifies the task, and its checkpoints on a worker.
        tries: how often the driver has given out the units, this time included.
        topic: of reports.
        package: of the driver.
        keeps: whether the learner writes checkpoints.
        checkpoints: files of earlier tries, by name.
    """

    units: tuple[Unit, ...]
    run: str
    key: str
    tries: int
    topic: str
    package: dict[str, str]
    keeps: bool = False
    checkpoints: Mapping[str, bytes] = field(default_factory=dict)


class Again:
    """What a task returns that was on a worker before, which was lost: the driver gives it out with its checkpoint."""


def hold(value: Any) -> Any:
    """Returns its argument: as the result of a task it is computed anew where the worker that held it is lost."""
    return value


@cache
def package() -> dict[str, str]:
    """What must be equal for equal numbers: versions, and a hash of this package's source."""
    root = Path(version.__file__).parent
    source = digest(*(f"{path.relative_to(root).as_posix()} {sha256(path)}" for path in sorted(root.rglob("*.py"))))
    return {"moa": version.__version__, **versions(), "source of moa": source}


def facts(dask_worker: Any) -> dict[str, Any]:
    """About a worker (which Dask fills in): its package, processor, threads, and free bytes of its GPU."""
    gpu = torch.cuda.is_available()
    return {
        "package": package(),
        "processor": processor(),
        "threads": dask_worker.state.nthreads,
        "gpu": torch.cuda.mem_get_info()[0] if gpu else 0,
    }


def processor() -> str:
    """The kind of processor, as far as it decides which instructions compute a sum."""
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


def train(inputs: StageInputs, task: Task) -> list[UnitResult] | Again | UserError:
    """Train a task's units; a mistake of the user is returned, because trying again would not help."""
    try:
        _check(task.package)
        if task.keeps and _was_here_before(task.key):
            return Again()
        with ExitStack() as stack:
            stack.enter_context(_ALONE)
            # On a GPU the few things that are done on the CPU may use all of it, as without a cluster.
            on_cpu = all(unit.runtime.torch_device.type == "cpu" for unit in task.units)
            stack.enter_context(one_thread() if on_cpu else nullcontext())
            folder = stack.enter_context(_scratch(task)) if task.keeps else None
            reports = [_Report(task, unit) for unit in task.units]
            if len(task.units) > 1:
                return train_batch(inputs, task.units, reports)
            (unit,) = task.units
            return [train_unit(inputs, replace(unit, runtime=unit.runtime.replace(scratch=folder)), reports[0])]
    except UserError as error:
        return UserError(str(error))


def piece(token: str, prepare: Callable[[], Any], work: Callable, item: Any, expected: dict[str, str]) -> Any:
    """One piece of a stream; what all pieces need is made once on each worker."""
    try:
        _check(expected)
        with _ALONE:
            if token not in _prepared:
                _prepared.clear()  # one stream at a time
                _prepared[token] = prepare()
            with one_thread():
                return work(_prepared[token], item)
    except UserError as error:
        return error


def checkpoints(known: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, tuple[int, bytes]]]:
    """Checkpoints of the units on this worker that the driver does not know yet, by key and by name.

    ``known`` has the time of the driver's copies in nanoseconds, by key and by name.
    """
    found: dict[str, dict[str, tuple[int, bytes]]] = {}
    for key, folder in list(_folders.items()):
        for path in folder.glob("*.ckpt"):
            try:
                time = path.stat().st_mtime_ns
                if time != known.get(key, {}).get(path.name):
                    found.setdefault(key, {})[path.name] = (time, path.read_bytes())
            except FileNotFoundError:  # the unit was finished a moment ago
                continue
    return found


def _check(expected: dict[str, str]) -> None:
    """Compare this worker's package with the driver's; workers may join at any time."""
    if different := difference(expected, package()):
        raise UserError(f"worker {get_worker().address}: {different}; install the same everywhere")


def difference(driver: Mapping[str, str], worker: Mapping[str, str]) -> str | None:
    """The first thing in which two packages differ, in words."""
    for name in [*driver, *worker]:
        if driver.get(name) != worker.get(name):
            return f"{name} is {worker.get(name, 'missing')} there and {driver.get(name, 'missing')} here"
    return None


def _was_here_before(key: str) -> bool:
    client = get_client()
    tries = client.get_metadata(["moa", key], default=0)
    client.set_metadata(["moa", key], tries + 1)
    return tries > 0


@contextmanager
def _scratch(task: Task) -> Iterator[Path]:
    """The folder for checkpoints of a task, with those of earlier tries."""
    folder = Path(get_worker().local_directory) / "moa" / task.key
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in task.checkpoints.items():
            (folder / name).write_bytes(content)
    _folders[task.key] = folder
    try:
        yield folder
    finally:
        shutil.rmtree(_folders.pop(task.key), ignore_errors=True)


class _Report(EpochCallback):
    """Reports a unit's epochs to the driver; ends the unit with its epoch where the driver has given it up, or died."""

    def __init__(self, task: Task, unit: Unit):
        self._worker, self._task = get_worker(), task
        self._unit, self._sent = (unit.seed, unit.fold), 0.0
        self._key = self._worker.get_current_task()
        self._send(None)

    def on_epoch_end(self, epoch: int, epochs: int, row: dict[str, float]) -> None:
        state = self._worker.state.tasks.get(self._key)
        if state is None or state.state not in ("executing", "long-running"):
            raise InterruptedError("the driver has given up this unit")
        if monotonic() - self._sent > _REPORT_SECONDS:
            self._send((epoch, epochs, {name: float(value) for name, value in row.items()}))

    def _send(self, epoch: tuple[int, int, dict[str, float]] | None) -> None:
        self._sent = monotonic()
        self._worker.log_event(self._task.topic, {"run": self._task.run, "unit": self._unit, "epoch": epoch})
