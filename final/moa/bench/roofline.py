"""How near the training step and the forward pass come to the products they consist of."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

import pandas as pd
import torch

from moa.bench.measure import Sizes, epoch_seconds, make_folds
from moa.engine import logits
from moa.ensemble import fit_together
from moa.learner import Fold
from moa.matmul import product
from moa.networks import three_fc


def roofline(sizes: Sizes, device: torch.device) -> pd.DataFrame:
    """Arithmetic rates of the products alone, and of a training step and a forward pass that consist of them.

    Returns:
        one row a product or a whole: what, gflop, plain_gflops (rate of torch's matmul on these shapes), moa_gflops
        (rate reached by ``moa.matmul.product`` or by the whole), plain_ms, moa_ms, over_plain (moa_ms / plain_ms).
    """
    forward = {
        "forward 1": (sizes.batch, sizes.inputs, sizes.hidden),
        "forward 2": (sizes.batch, sizes.hidden, sizes.hidden),
        "forward 3": (sizes.batch, sizes.hidden, sizes.targets),
    }
    step = dict(forward)
    step |= {f"weight gradient {name[-1]}": (o, rows, i) for name, (rows, i, o) in forward.items()}
    step |= {f"input gradient {name[-1]}": (rows, o, i) for name, (rows, i, o) in list(forward.items())[1:]}
    table = [_products(name, [shape], sizes, device) for name, shape in step.items()]

    def whole(what: str, shapes: list[tuple[int, int, int]], seconds: float) -> dict[str, float | str]:
        row = _products(what, shapes, sizes, device)
        return row | {"moa_ms": 1e3 * seconds, "moa_gflops": row["gflop"] / seconds}

    steps = max(sizes.stage_rows // sizes.batch, 1)
    folds = make_folds(sizes, device, steps * sizes.batch, 8, 5)
    learner = sizes.learner(sizes.repeats + 3)
    seconds = min(epoch_seconds(learner.fit, folds[0])) / steps
    table.append(whole("training step", list(step.values()), seconds))

    def together(last: Fold) -> None:
        fit_together(learner, [*folds[:-1], last])

    seconds = min(epoch_seconds(together, folds[-1])) / steps
    table.append(whole("ensemble step, 5 members", list(step.values()) * 5, seconds))

    passes = [(sizes.test_rows, inner, outer) for _, inner, outer in forward.values()]
    model = three_fc(sizes.inputs, sizes.targets, sizes.hidden).to(device)
    x = torch.randn(sizes.test_rows, sizes.inputs, device=device)
    seconds = _fastest(lambda: logits(model, x), device, sizes)
    table.append(whole(f"inference, {sizes.test_rows} rows", passes, seconds))
    found = pd.DataFrame(table)
    return found.assign(over_plain=found["moa_ms"] / found["plain_ms"])


def _products(what: str, shapes: Sequence[tuple[int, int, int]], sizes: Sizes, device: torch.device) -> dict:
    """Rates of products of (rows, inner) by (columns, inner), run in a row."""
    operands = {
        shape: (torch.randn(shape[0], shape[1], device=device), torch.randn(shape[2], shape[1], device=device))
        for shape in shapes
    }
    gflop = sum(2e-9 * rows * inner * columns for rows, inner, columns in shapes)

    def run(multiply: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        for shape in shapes:
            multiply(*operands[shape])

    plain = _fastest(partial(run, lambda a, b: a @ b.T), device, sizes)
    ours = _fastest(partial(run, product), device, sizes)
    return {
        "what": what,
        "gflop": gflop,
        "plain_gflops": gflop / plain,
        "moa_gflops": gflop / ours,
        "plain_ms": 1e3 * plain,
        "moa_ms": 1e3 * ours,
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
