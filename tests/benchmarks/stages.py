"""Training: the epochs of a stage, and a whole model."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import cycle

import numpy as np
import pandas as pd

from moa.data.dataset import load_dataset
from moa.learners.matmul import product
from moa.learners.runtime import Runtime
from moa.models.registry import recipe
from moa.training.executors import LocalExecutor
from moa.training.runner import Runner
from moa.training.unit import StageInputs, Unit, UnitCallback
from moa.weights.trained import Trained
from moa.weights.units import UnitResult
from tests.benchmarks import notebook
from tests.benchmarks.epochs import epoch_seconds, member_epoch_seconds, members_at_once
from tests.benchmarks.measure import NOTEBOOK, compared, labelled, measure, synchronize
from tests.benchmarks.noise import make_units, noise_inputs
from tests.benchmarks.roofline import Multiply, epoch_shapes, operands, plain_product, run_products
from tests.benchmarks.sizes import Sizes
from tests.benchmarks.workspace import synthetic_data


def stage(sizes: Sizes, runtime: Runtime) -> pd.DataFrame:
    """Epochs of a stage of 5 × 5 members on a CPU, 5 × 10 on a GPU; each member's first epoch is left out.

    A run is one epoch of a member, training and validation. Where several members are trained at the same time, it is
    their time divided by their number. The matrix products of such an epoch alone, on all cores, are measured too: by
    torch's matmul, and by the fastest routine that ``moa.learners.matmul`` finds.
    """
    members = sizes.members * (2 if runtime.torch_device.type == "cuda" else 1)
    rows, valid_rows = sizes.stage_rows, sizes.stage_rows // 4
    inputs, learner = noise_inputs(sizes, rows, valid_rows), sizes.learner(4)
    units = make_units(learner, members, runtime)
    at_once = members_at_once(inputs, units[0])
    alone, groups = cycle(units), cycle([units[start : start + at_once] for start in range(0, members, at_once)])
    shapes = epoch_shapes(sizes, rows, valid_rows)
    tensors = operands(shapes, runtime.torch_device)

    def old() -> list[float]:
        unit = next(alone)
        return epoch_seconds(partial(notebook.fit, learner), inputs.fold(unit.seed, unit.fold), runtime, unit.seed)

    def products(multiply: Multiply) -> list[float]:
        started = time.perf_counter()
        run_products(shapes, tensors, multiply)
        synchronize(runtime.torch_device)
        return [time.perf_counter() - started]

    ways = {
        NOTEBOOK: old,
        "moa": lambda: [member_epoch_seconds(inputs, next(groups))],
        "bare products, torch": partial(products, plain_product),
        "bare products, moa": partial(products, product),
    }
    table = measure(ways, sizes, runtime.torch_device, timed=True, rounds=members, limit=5 * sizes.limit)
    return labelled(table, "stage, a member's epoch", "", rows, members, sizes.hidden)


class TimedExecutor(LocalExecutor):
    """Runs units on this machine, and adds up how long that takes.

    Units that run at the same time are counted once: their own times, added up, would be longer.

    Attributes:
        seconds: wall time of all runs so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def run(
        self, inputs: StageInputs, units: Iterable[Unit], callback: UnitCallback | None = None
    ) -> Iterator[UnitResult]:
        """Train units of one stage; see ``moa.training.executors.UnitExecutor``."""
        started = time.perf_counter()
        yield from super().run(inputs, units, callback)
        self.seconds += time.perf_counter() - started


def three_stage(sizes: Sizes, runtime: Runtime) -> pd.DataFrame:
    """The whole published training of the 3-stage NN, 5 seeds × 5 folds × 3 stages; takes hours on a CPU."""
    with synthetic_data(sizes) as (folder, files, _):
        data, model, executor = load_dataset(files), recipe("three-stage-nn-5fold"), TimedExecutor()
        config = model.configure(overlay=sizes.small_stages)
        runner = Runner(Trained(model, folder / "weights", config, runtime=runtime), executor=executor)
        started = time.perf_counter()
        runner.train(data)
        spent = time.perf_counter() - started
        units, _ = runner.trained.cost()
    times = {"moa, features and predictions included": [spent], "moa, training alone": [executor.seconds]}
    table = compared(times, dict.fromkeys(times, float("nan"))).assign(ratio=np.nan, ratio_median=np.nan)
    return labelled(table, "3-stage NN, all units", "", len(data.features), units, sizes.hidden)
