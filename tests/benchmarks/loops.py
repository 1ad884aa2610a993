"""Training loops against plain transcriptions of the original's, by processor time on one core, in one process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import torch

from moa.learners.base import FoldData
from moa.learners.matmul import product
from moa.learners.perceptron.learner import MLPLearner
from moa.learners.runtime import Runtime
from moa.learners.tabnet.learner import TabNetLearner
from moa.learners.two_heads.learner import TwoHeadsLearner
from moa.learners.two_heads.settings import SECOND
from moa.models.registry import recipe
from moa.parallel import one_thread
from tests.benchmarks import notebook, notebook_two_heads, tabnet_library
from tests.benchmarks.epochs import epoch_seconds
from tests.benchmarks.measure import NOTEBOOK, labelled, measure
from tests.benchmarks.noise import noise_fold
from tests.benchmarks.roofline import Shape, operands, run_products
from tests.benchmarks.sizes import Sizes

#: Layers of a network as pairs (inputs, outputs); of those that the inputs enter no gradient of the inputs is needed.
Layers = list[tuple[int, int]]


@dataclass(frozen=True)
class Loop:
    """A learner, and the loop that it is compared with.

    Attributes:
        learner: a few epochs of it.
        plain: the original's loop: takes the arguments of ``Learner.fit``.
        data: the fold.
        layers: of the network, where its products bound the time; the first has the inputs.
    """

    learner: MLPLearner | TwoHeadsLearner | TabNetLearner
    plain: Callable[..., object]
    data: FoldData
    layers: Layers


def loops(sizes: Sizes, runtime: Runtime) -> pd.DataFrame:
    """Epochs of the Simple NN, the 3-stage NN, the 2-heads network and TabNet, with validation, on one core.

    Compared with the original's loop, for TabNet with its library; and with the matrix products alone, below which
    none can be. The time is the processor's.
    """
    tables = []
    cpu = runtime.replace(device="cpu")
    with one_thread():
        for name, loop in _loops(sizes).items():
            ways = {
                NOTEBOOK: partial(epoch_seconds, loop.plain, loop.data, cpu, clock=time.process_time),
                "moa": partial(epoch_seconds, loop.learner.fit, loop.data, cpu, clock=time.process_time),
                "bare products": partial(_products, loop),
            }
            table = measure(ways, sizes, torch.device("cpu"), timed=True, rounds=2)
            tables.append(labelled(table, f"{name}, epoch on one core", "", len(loop.data.train), 1, 0))
    return pd.concat(tables, ignore_index=True)


def _loops(sizes: Sizes) -> dict[str, Loop]:
    rows, epochs = sizes.stage_rows, sizes.repeats + 1
    data = noise_fold(sizes, rows, rows // 4)
    simple = sizes.learner(epochs)
    first = recipe("three-stage-nn-5fold").config.stage1
    three = first.model_copy(update={"hidden": min(first.hidden, sizes.hidden), "epochs": epochs})
    two = recipe("two-heads").config.phase2
    widths = {name: min(getattr(two, name), sizes.hidden) for name in ("width", "bottleneck")}
    two = two.model_copy(update=widths | {"epochs": epochs, "phase3": "none"})
    second = max(sizes.columns // 2, 2)
    heads = noise_fold(sizes, rows, rows // 4)
    names = [f"{SECOND}{name}" if place < second else name for place, name in enumerate(heads.X)]
    heads = FoldData(heads.X.set_axis(names, axis=1), heads.y, heads.train, heads.valid)
    tabnet = TabNetLearner(epochs=epochs, cat_dims=(3, 2), cat_emb_dim=(1, 1), batch_size=4 * sizes.batch)
    codes = np.arange(len(data.X))
    coded = data.X.assign(f0=codes % 3, f1=codes % 2).astype(np.float32)
    return {
        "Simple NN": Loop(simple, partial(notebook.fit, simple), data, _perceptron(simple, sizes)),
        "3-stage NN": Loop(three, partial(notebook.fit, three), data, _perceptron(three, sizes)),
        "2-heads": Loop(two, partial(notebook_two_heads.fit, two), heads, _two_heads(two, sizes, second)),
        "TabNet": Loop(
            tabnet,
            partial(tabnet_library.fit, tabnet),
            FoldData(coded, data.y, data.train, data.valid),
            _tabnet(tabnet, sizes),
        ),
    }


def _perceptron(learner: MLPLearner, sizes: Sizes) -> Layers:
    return [(sizes.inputs, learner.hidden), (learner.hidden, learner.hidden), (learner.hidden, sizes.targets)]


def _two_heads(learner: TwoHeadsLearner, sizes: Sizes, second: int) -> Layers:
    width, half, end = learner.width, learner.width // 2, learner.bottleneck
    hidden = [
        (width, half),
        (half + second, width),
        (half + second + width, width),
        (width, half),
        (width + half, half),
        (width + 2 * half, half),
        (4 * half, half),
        (half, end),
        (end, sizes.targets),
    ]
    return [(sizes.inputs - second, width), *hidden]


def _tabnet(learner: TabNetLearner, sizes: Sizes) -> Layers:
    width = learner.n_d + learner.n_a
    blocks = [(width, 2 * width)] * 6
    return [
        (sizes.inputs, 2 * width),
        *blocks,
        (learner.n_a, sizes.inputs),
        (sizes.inputs, 2 * width),
        (learner.n_d, sizes.targets),
    ]


def _products(loop: Loop) -> list[float]:
    """Seconds of the products of an epoch and its validation, by the faster of two routines for each shape."""
    batch, valid = loop.learner.batch_size, len(loop.data.valid)
    shapes: list[tuple[int, Shape]] = []
    steps = max(len(loop.data.train) // batch, 1)
    for number, (inputs, outputs) in enumerate(loop.layers):
        shapes += [(steps, (batch, inputs, outputs)), (steps, (outputs, batch, inputs)), (1, (valid, inputs, outputs))]
        if number:
            shapes.append((steps, (batch, outputs, inputs)))
    tensors = operands([shape for _, shape in shapes], torch.device("cpu"))
    total = 0.0
    for count, shape in shapes:
        total += count * min(_seconds(shape, tensors, multiply) for multiply in (product, lambda a, b: a @ b.T))
    return [total]


def _seconds(shape: Shape, tensors: dict, multiply: Callable[..., torch.Tensor]) -> float:
    found = []
    for _ in range(4):
        started = time.process_time()
        run_products([shape], tensors, multiply)
        found.append(time.process_time() - started)
    return min(found)
