"""How long training takes on how many workers: a simulation from recorded seconds of units.

The simulation does what a run on a cluster does: each model goes through its stages, the driver fits features and
predicts for one model after another, and the units of all models share the workers in the order in which they become
ready.
"""

from __future__ import annotations

import csv
import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from statistics import fmean

from moa.data.assay import COMPETITION
from moa.errors import UserError
from moa.models.base import Recipe
from moa.weights.layout import WeightsFolder
from moa.weights.store import ModelStore

_RECORDED = Path(__file__).with_name("recorded_seconds.csv")
#: Share of the workers' time from which on their number is what limits a run.
_BUSY = 0.9
#: Seconds of a session with a GPU on Kaggle in 2020. Each model of the winners but the CNNs was trained in one.
_SESSION = 9 * 3600.0
#: Stage of the CNNs, which the package has estimates of.
_CNN = "cnn"


@dataclass(frozen=True)
class StageWork:
    """One stage."""

    name: str
    here: float  # seconds of the driver before its units: features, predictions of earlier stages
    units: int  # their number
    seconds: float  # of one unit on one worker


@dataclass(frozen=True)
class ModelWork:
    """One model."""

    name: str
    stages: tuple[StageWork, ...]  # in order; each waits for all units of the one before
    first: float = 0.0  # seconds of the driver before all stages
    last: float = 0.0  # and after them
    measured: bool = True  # all seconds are of the weights folder asked for; else some are of the package's table
    estimated: bool = False  # some seconds were measured nowhere, see `recorded`


@dataclass(frozen=True)
class Plan:
    """A simulated run."""

    workers: int  # their number
    seconds: float  # wall time
    busy: float  # share of the workers' time that is spent on units
    limit: str  # what a shorter run would have to change


def recorded(models: Sequence[Recipe], weights: Path, profile: str, device: str = "cpu") -> list[ModelWork]:
    """The work of models, from the seconds of units in a weights folder, else from those that the package records.

    One unit of each stage is enough. The package records seconds of the profile "kaggle" alone. A unit is one on one
    core for the device "cpu", or on a GPU for "cuda". The package has recorded no unit on a GPU: there seconds are
    estimated, and the model is marked. A CNN has what the winners report at most; another model has the seconds of one
    core, and no more than the nine hours of a notebook on Kaggle's GPU, into which the winners' training fitted.

    Raises:
        UserError: the seconds of a stage are not known.
    """
    table = _package_table("cpu") if profile == "kaggle" else {}
    if table and device == "cuda":
        table |= _package_table("cuda")
    found, unknown = [], []
    for model in models:
        store = ModelStore(weights, model.name) if WeightsFolder(weights).has(model.name) else None
        if store is not None and store.manifest().profile != profile:
            store = None
        here = {} if store is None else store.seconds()
        stages, measured = [], bool(here)
        for stage in model.stages(model.configure(profile), COMPETITION):
            seconds = [] if store is None else _unit_seconds(store, stage.name, device)
            mean = fmean(seconds) if seconds else table.get((model.name, stage.name))
            measured &= bool(seconds)
            if mean is None:
                unknown.append(f"{model.name} {stage.name}")
                continue
            before = here.get(stage.name, table.get((model.name, f"{stage.name} features"), 0.0))
            stages.append(StageWork(stage.name, before, len(stage.units()), mean))
        last = here.get("predictions", table.get((model.name, "predictions"), 0.0))
        estimated = device == "cuda" and not measured
        if estimated:
            stages = _within_a_session(stages)
        found.append(ModelWork(model.name, tuple(stages), here.get("familiarity", 0.0), last, measured, estimated))
    if unknown:
        on = "on a GPU" if device == "cuda" else "on a CPU"
        raise UserError(
            f"{weights}: holds no unit trained {on} of {', '.join(unknown)}; train one of each first, with --seeds 1 "
            "--folds 1"
        )
    return found


def _within_a_session(stages: list[StageWork]) -> list[StageWork]:
    """Stages whose units together take no more than a session on Kaggle; CNNs, which took several, unchanged."""
    total = sum(stage.units * stage.seconds for stage in stages if stage.name != _CNN)
    scale = min(1.0, _SESSION / total) if total else 1.0
    return [stage if stage.name == _CNN else replace(stage, seconds=scale * stage.seconds) for stage in stages]


def _unit_seconds(store: ModelStore, stage: str, device: str) -> list[float]:
    records = (store.unit_facts(*key) for key in store.layout.units() if key.stage == stage)
    return [record.seconds for record in records if (record.device or "cpu").startswith(device)]


def _package_table(device: str) -> dict[tuple[str, str], float]:
    with _RECORDED.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["device"] == device]
    return {(row["model"], row["what"]): float(row["seconds"]) for row in rows}


def simulate(models: Sequence[ModelWork], workers: int) -> Plan:
    """The run of some models at the same time on a number of workers."""
    now = spent = 0.0
    ends: list[tuple[float, str]] = []
    longest: dict[str, tuple[float, str]] = {}

    def steps(model: ModelWork) -> Iterator[tuple[bool, int, float]]:
        """What a model waits for: whether the driver does it, number of pieces, and seconds of each."""
        yield True, 1, model.first
        for stage in model.stages:
            begun = now
            yield True, 1, stage.here
            yield False, stage.units, stage.seconds
            text = f"{model.name} {stage.name}: {stage.units} units of {stage.seconds:,.0f} s"
            longest[model.name] = max(longest.get(model.name, (0.0, "")), (now - begun, text))
        yield True, 1, model.last
        ends.append((now, model.name))

    runs = [steps(model) for model in models]
    #: Waiting pieces (seconds, run) of the driver, which does one thing at a time, and of the workers.
    waiting: dict[bool, deque[tuple[float, int]]] = {True: deque(), False: deque()}
    free, left, started = {True: 1, False: workers}, [0] * len(runs), count()
    events: list[tuple[float, int, bool, int]] = []
    ready = deque(range(len(runs)))
    while ready or events or any(waiting.values()):
        while ready:
            run = ready.popleft()
            if (step := next(runs[run], None)) is not None:
                by_driver, left[run], seconds = step
                waiting[by_driver].extend([(seconds, run)] * left[run])
        for by_driver, pieces in waiting.items():
            while free[by_driver] and pieces:
                seconds, run = pieces.popleft()
                free[by_driver] -= 1
                spent += 0 if by_driver else seconds
                heapq.heappush(events, (now + seconds, next(started), by_driver, run))
        if events:
            now, _, by_driver, run = heapq.heappop(events)
            free[by_driver] += 1
            left[run] -= 1
            if not left[run]:
                ready.append(run)
    last = max(ends, default=(0.0, ""))[1]
    busy = spent / (now * workers) if now else 1.0
    return Plan(workers, now, busy, "number of workers" if busy >= _BUSY else longest[last][1])
