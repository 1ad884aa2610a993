"""How long training takes on how many workers: a simulation from recorded seconds of units.

The simulation does what a run on a cluster does: each model goes through its stages, the driver fits features and
predicts for one model after another, and the units of all models share the workers in the order in which they become
ready.
"""

from __future__ import annotations

import csv
import heapq
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class StageWork:
    """One stage.

    Attributes:
        name: of the stage.
        here: seconds of the driver before its units: features, predictions of earlier stages.
        units: number of units.
        seconds: of one unit on one worker.
    """

    name: str
    here: float
    units: int
    seconds: float


@dataclass(frozen=True)
class ModelWork:
    """One model.

    Attributes:
        name: of the model.
        stages: in order; each waits for all units of the one before.
        first, last: seconds of the driver before all stages and after them.
        measured: whether all seconds are of the weights folder asked for; else some are those of the package's table.
    """

    name: str
    stages: tuple[StageWork, ...]
    first: float = 0.0
    last: float = 0.0
    measured: bool = True


@dataclass(frozen=True)
class Plan:
    """A simulated run.

    Attributes:
        workers: their number.
        seconds: wall time.
        busy: share of the workers' time that is spent on units.
        limit: what a shorter run would have to change.
    """

    workers: int
    seconds: float
    busy: float
    limit: str


def recorded(models: Sequence[Recipe], weights: Path, profile: str, device: str = "cpu") -> list[ModelWork]:
    """The work of models, from the seconds of units in a weights folder, else from those that the package records.

    Args:
        models: the recipes.
        weights: a weights folder; one unit of each stage is enough.
        profile: of the settings; the package records seconds of "kaggle" alone.
        device: "cpu": a unit on one core; "cuda": on a GPU.

    Raises:
        UserError: the seconds of a stage are not known.
    """
    table = _package_table(device) if profile == "kaggle" else {}
    found, unknown = [], []
    for model in models:
        store = ModelStore(weights, model.name) if WeightsFolder(weights).has(model.name) else None
        known = store is not None and store.manifest().profile == profile
        here = store.seconds() if known else {}
        stages, measured = [], bool(here)
        for stage in model.stages(model.configure(profile), COMPETITION):
            seconds = _unit_seconds(store, stage.name, device) if known else []
            mean = fmean(seconds) if seconds else table.get((model.name, stage.name))
            measured &= bool(seconds)
            if mean is None:
                unknown.append(f"{model.name} {stage.name}")
                continue
            before = here.get(stage.name, table.get((model.name, f"{stage.name} features"), 0.0))
            stages.append(StageWork(stage.name, before, len(stage.units()), mean))
        last = here.get("predictions", table.get((model.name, "predictions"), 0.0))
        found.append(ModelWork(model.name, tuple(stages), here.get("familiarity", 0.0), last, measured))
    if unknown:
        on = "on a GPU" if device == "cuda" else "on a CPU"
        raise UserError(
            f"{weights}: holds no unit trained {on} of {', '.join(unknown)}; train one of each first, with --seeds 1 "
            "--folds 1"
        )
    return found


def _unit_seconds(store: ModelStore, stage: str, device: str) -> list[float]:
    records = (store.unit_facts(*key) for key in store.layout.units() if key.stage == stage)
    return [record.seconds for record in records if (record.device or "cpu").startswith(device)]


def _package_table(device: str) -> dict[tuple[str, str], float]:
    with _RECORDED.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["device"] == device]
    return {(row["model"], row["what"]): float(row["seconds"]) for row in rows}


def simulate(models: Sequence[ModelWork], workers: int) -> Plan:
    """The run of some models at the same time on a number of workers."""
    return _Simulation(models, workers).run()


class _Simulation:
    def __init__(self, models: Sequence[ModelWork], workers: int):
        self._models, self._workers, self._free = models, workers, workers
        self._now = self._spent = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._here: deque[tuple[float, Callable[[], None]]] = deque()
        self._units: deque[tuple[float, Callable[[], None]]] = deque()
        self._here_busy, self._count = False, 0
        self._ends: list[tuple[float, str]] = []
        self._longest: dict[str, tuple[float, str]] = {}

    def run(self) -> Plan:
        for model in self._models:
            self._do_here(model.first, lambda model=model: self._stage(model, 0))
        while self._events:
            self._now, _, then = heapq.heappop(self._events)
            then()
        last = max(self._ends, default=(0.0, ""))[1]
        busy = self._spent / (self._now * self._workers) if self._now else 1.0
        limit = "number of workers" if busy >= _BUSY else self._longest[last][1]
        return Plan(self._workers, self._now, busy, limit)

    def _stage(self, model: ModelWork, number: int) -> None:
        if number == len(model.stages):
            self._do_here(model.last, lambda: self._ends.append((self._now, model.name)))
            return
        stage, begun = model.stages[number], self._now

        def units() -> None:
            left = [stage.units]

            def ended() -> None:
                left[0] -= 1
                if not left[0]:
                    text = f"{model.name} {stage.name}: {stage.units} units of {stage.seconds:,.0f} s"
                    longest = self._longest.get(model.name, (0.0, ""))
                    self._longest[model.name] = max(longest, (self._now - begun, text))
                    self._stage(model, number + 1)

            for _ in range(stage.units):
                self._units.append((stage.seconds, ended))
            self._give_out()

        self._do_here(stage.here, units)

    def _do_here(self, seconds: float, then: Callable[[], None]) -> None:
        """Work of the driver, which does one thing at a time."""
        self._here.append((seconds, then))
        self._next_here()

    def _next_here(self) -> None:
        if self._here_busy or not self._here:
            return
        seconds, then = self._here.popleft()
        self._here_busy = True

        def ended() -> None:
            self._here_busy = False
            then()
            self._next_here()

        self._at(seconds, ended)

    def _give_out(self) -> None:
        while self._free and self._units:
            seconds, then = self._units.popleft()
            self._free -= 1
            self._spent += seconds

            def ended(then: Callable[[], None] = then) -> None:
                self._free += 1
                then()
                self._give_out()

            self._at(seconds, ended)

    def _at(self, seconds: float, then: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (self._now + seconds, self._count, then))
