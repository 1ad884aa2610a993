"""How close the training step and the forward pass come to the time of their matrix products."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

import pandas as pd
import torch

from moa.learners.base import EpochCallback, FoldData
from moa.learners.matmul import product
from moa.learners.perceptron.batched import fit_batched
from moa.learners.perceptron.network import three_fc
from moa.learners.perceptron.training import logits
from moa.learners.runtime import Runtime
from tests.benchmarks.epochs import epoch_seconds, member_epoch_seconds, members_at_once
from tests.benchmarks.measure import synchronize
from tests.benchmarks.noise import make_units, noise_inputs
from tests.benchmarks.sizes import Sizes

#: Of a product: rows, inner dimension, columns.
Shape = tuple[int, int, int]
#: The product of matrices of shapes (rows, inner) and (columns, inner).
Multiply = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
ENSEMBLE = 5


def forward_shapes(sizes: Sizes, rows: int) -> dict[str, Shape]:
    """Products of a forward pass."""
    return {
        "forward 1": (rows, sizes.inputs, sizes.hidden),
        "forward 2": (rows, sizes.hidden, sizes.hidden),
        "forward 3": (rows, sizes.hidden, sizes.targets),
    }


def step_shapes(sizes: Sizes) -> dict[str, Shape]:
    """Products of a training step; the gradient of the inputs is not needed."""
    forward = forward_shapes(sizes, sizes.batch)
    step = dict(forward)
    step |= {f"weight gradient {name[-1]}": (o, rows, i) for name, (rows, i, o) in forward.items()}
    return step | {f"input gradient {name[-1]}": (rows, o, i) for name, (rows, i, o) in list(forward.items())[1:]}


def epoch_shapes(sizes: Sizes, rows: int, valid_rows: int) -> list[Shape]:
    """Products of an epoch of whole batches and of its validation."""
    steps = [*step_shapes(sizes).values()] * (rows // sizes.batch)
    return steps + list(forward_shapes(sizes, valid_rows).values())


def operands(shapes: Sequence[Shape], device: torch.device) -> dict[Shape, tuple[torch.Tensor, torch.Tensor]]:
    """Two random matrices for each shape."""
    return {
        shape: (torch.randn(shape[0], shape[1], device=device), torch.randn(shape[2], shape[1], device=device))
        for shape in shapes
    }


@torch.no_grad()
def run_products(
    shapes: Sequence[Shape], tensors: dict[Shape, tuple[torch.Tensor, torch.Tensor]], multiply: Multiply
) -> None:
    """Compute one product after another."""
    for shape in shapes:
        multiply(*tensors[shape])


def plain_product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The product by torch's matmul."""
    return a @ b.T


def roofline(sizes: Sizes, runtime: Runtime) -> pd.DataFrame:
    """Arithmetic rates of products alone, and of a training step and a forward pass, which consist of them.

    Returns:
        one row per product, step or pass: what, gflop, plain_ms (the products by torch's matmul), product_ms (by
        ``moa.learners.matmul.product``), moa_ms (a step or pass with all that is not a product), the rates plain_gflops
        and moa_gflops, and how many times longer a step or pass takes than its products: over_plain, over_product.
    """
    step, device = step_shapes(sizes), runtime.torch_device
    table = [_products(name, [shape], sizes, device) for name, shape in step.items()]

    def whole(what: str, shapes: list[Shape], seconds: float) -> dict[str, float | str]:
        row = _products(what, shapes, sizes, device)
        return row | {"moa_ms": 1e3 * seconds, "moa_gflops": row["gflop"] / seconds}

    steps = max(sizes.stage_rows // sizes.batch, 1)
    inputs = noise_inputs(sizes, steps * sizes.batch, 8)
    fold = inputs.fold(seed=0, fold=0)
    seconds = min(epoch_seconds(sizes.learner(4 * sizes.repeats).fit, fold, runtime)) / steps
    table.append(whole("training step", list(step.values()), seconds))

    learner = sizes.learner(4)
    at_once = members_at_once(inputs, make_units(learner, 1, runtime)[0])
    units = make_units(learner, at_once, runtime)
    seconds = min(member_epoch_seconds(inputs, units) for _ in range(sizes.repeats)) / steps
    table.append(whole(f"training step, {at_once} members at a time", list(step.values()), seconds))

    def ensemble(data: FoldData, seed: int, fold: int, runtime: Runtime, callback: EpochCallback) -> None:
        # All members end their epochs together, so it is enough that one reports them.
        callbacks = [*[None] * (ENSEMBLE - 1), callback]
        seeds = range(seed, seed + ENSEMBLE)
        fit_batched(sizes.learner(sizes.repeats + 1), [data] * ENSEMBLE, seeds, runtime, callbacks)

    seconds = min(epoch_seconds(ensemble, fold, runtime)) / steps
    table.append(whole(f"ensemble step, {ENSEMBLE} members", list(step.values()) * ENSEMBLE, seconds))

    passes = list(forward_shapes(sizes, sizes.test_rows).values())
    model = three_fc(sizes.inputs, sizes.targets, sizes.hidden).to(device)
    X = torch.randn(sizes.test_rows, sizes.inputs, device=device)
    seconds = _fastest(partial(logits, model, X), device, sizes)
    table.append(whole(f"inference, {sizes.test_rows} rows", passes, seconds))
    found = pd.DataFrame(table)
    return found.assign(
        over_plain=found["moa_ms"] / found["plain_ms"], over_product=found["moa_ms"] / found["product_ms"]
    )


def _products(what: str, shapes: Sequence[Shape], sizes: Sizes, device: torch.device) -> dict[str, float | str]:
    """Times and rates of products computed one after another."""
    tensors = operands(shapes, device)
    gflop = sum(2e-9 * rows * inner * columns for rows, inner, columns in shapes)
    plain = _fastest(partial(run_products, shapes, tensors, plain_product), device, sizes)
    ours = _fastest(partial(run_products, shapes, tensors, product), device, sizes)
    return {
        "what": what,
        "gflop": gflop,
        "plain_ms": 1e3 * plain,
        "product_ms": 1e3 * ours,
        "moa_ms": 1e3 * ours,
        "plain_gflops": gflop / plain,
        "moa_gflops": gflop / ours,
    }


@torch.no_grad()
def _fastest(run: Callable[[], object], device: torch.device, sizes: Sizes) -> float:
    """Seconds of the fastest of several runs."""
    found = []
    for _ in range(5 * sizes.repeats):
        started = time.perf_counter()
        run()
        synchronize(device)
        found.append(time.perf_counter() - started)
    return min(found)
