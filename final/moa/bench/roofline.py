"""How near the training step and the forward pass come to the products they consist of."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle

import pandas as pd
import torch

from moa.bench.measure import Sizes, epoch_seconds, group_seconds, make_folds
from moa.learners.base import Fold
from moa.learners.matmul import product
from moa.learners.perceptron.batched import fit_together
from moa.learners.perceptron.learner import logits
from moa.learners.perceptron.network import three_fc
from moa.training.executors import groups

Shape = tuple[int, int, int]
Multiply = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def forward_shapes(sizes: Sizes, rows: int) -> dict[str, Shape]:
    """Products of a forward pass, as (rows, inner, columns)."""
    return {
        "forward 1": (rows, sizes.inputs, sizes.hidden),
        "forward 2": (rows, sizes.hidden, sizes.hidden),
        "forward 3": (rows, sizes.hidden, sizes.targets),
    }


def step_shapes(sizes: Sizes) -> dict[str, Shape]:
    """Products of a training step; nobody needs the gradient of the inputs."""
    forward = forward_shapes(sizes, sizes.batch)
    step = dict(forward)
    step |= {f"weight gradient {name[-1]}": (o, rows, i) for name, (rows, i, o) in forward.items()}
    return step | {f"input gradient {name[-1]}": (rows, o, i) for name, (rows, i, o) in list(forward.items())[1:]}


def epoch_shapes(sizes: Sizes, rows: int, valid_rows: int) -> list[Shape]:
    """Products of an epoch of whole batches and of its validation."""
    steps = [*step_shapes(sizes).values()] * (rows // sizes.batch)
    return steps + list(forward_shapes(sizes, valid_rows).values())


def operands(shapes: Sequence[Shape], device: torch.device) -> dict[Shape, tuple[torch.Tensor, torch.Tensor]]:
    """Random matrices for each shape."""
    return {
        shape: (torch.randn(shape[0], shape[1], device=device), torch.randn(shape[2], shape[1], device=device))
        for shape in shapes
    }


@torch.no_grad()
def run_products(
    shapes: Sequence[Shape], tensors: dict[Shape, tuple[torch.Tensor, torch.Tensor]], multiply: Multiply
) -> None:
    """One product after another, of (rows, inner) by (columns, inner)."""
    for shape in shapes:
        multiply(*tensors[shape])


def roofline(sizes: Sizes, device: torch.device) -> pd.DataFrame:
    """Arithmetic rates of the products alone, and of a training step and a forward pass that consist of them.

    Returns:
        one row a product or a whole: what, gflop, plain_ms (the products by torch's matmul), product_ms (by
        ``moa.learners.matmul.product``), moa_ms (the whole, with all that is not a product), the rates plain_gflops and
        moa_gflops, and how many times longer the whole takes than its bare products: over_plain, over_product.
    """
    step = step_shapes(sizes)
    table = [_products(name, [shape], sizes, device) for name, shape in step.items()]

    def whole(what: str, shapes: list[Shape], seconds: float) -> dict[str, float | str]:
        row = _products(what, shapes, sizes, device)
        return row | {"moa_ms": 1e3 * seconds, "moa_gflops": row["gflop"] / seconds}

    steps = max(sizes.stage_rows // sizes.batch, 1)
    folds = make_folds(sizes, device, steps * sizes.batch, 8, 5)
    learner = sizes.learner(4 * sizes.repeats)
    seconds = min(epoch_seconds(learner.fit, folds[0])) / steps
    table.append(whole("training step", list(step.values()), seconds))

    group = next(groups(learner, cycle(folds)))
    seconds = min(group_seconds(sizes.learner(4), group) for _ in range(sizes.repeats)) / steps
    table.append(whole(f"training step, {len(group)} members at a time", list(step.values()), seconds))

    def together(last: Fold) -> None:
        fit_together(sizes.learner(sizes.repeats + 1), [*folds[:-1], last])

    seconds = min(epoch_seconds(together, folds[-1])) / steps
    table.append(whole("ensemble step, 5 members", list(step.values()) * 5, seconds))

    passes = list(forward_shapes(sizes, sizes.test_rows).values())
    model = three_fc(sizes.inputs, sizes.targets, sizes.hidden).to(device)
    x = torch.randn(sizes.test_rows, sizes.inputs, device=device)
    seconds = _fastest(lambda: logits(model, x), device, sizes)
    table.append(whole(f"inference, {sizes.test_rows} rows", passes, seconds))
    found = pd.DataFrame(table)
    return found.assign(
        over_plain=found["moa_ms"] / found["plain_ms"], over_product=found["moa_ms"] / found["product_ms"]
    )


def _products(what: str, shapes: Sequence[Shape], sizes: Sizes, device: torch.device) -> dict:
    """Times and rates of products run in a row."""
    tensors = operands(shapes, device)
    gflop = sum(2e-9 * rows * inner * columns for rows, inner, columns in shapes)
    plain = _fastest(partial(run_products, shapes, tensors, lambda a, b: a @ b.T), device, sizes)
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
    found = []
    for _ in range(5 * sizes.repeats):
        started = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        found.append(time.perf_counter() - started)
    return min(found)
