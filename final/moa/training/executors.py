"""How the units of a stage are run: side by side, one after another, or as one batched network."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from threading import Event
from typing import Any

import torch

from moa.environment import ENGINE, variable
from moa.errors import UserError
from moa.learners.base import Fitted, Fold, Learner
from moa.learners.common import EVALUATED_ROWS, steps_per_epoch
from moa.learners.perceptron.batched import fit_together
from moa.learners.perceptron.learner import MLPLearner

ENGINES = ("sequential", "threads", "ensemble")


def engine_for(device: torch.device) -> str:
    """ "ensemble" on a GPU, "threads" on a CPU, unless ``MOA_ENGINE`` says otherwise.

    On two CPU cores, 25 members side by side were measured to take 0.95 of the time of one after another on both cores
    at 2,048 hidden units and 0.8 at 256; batched, 2.2 times as long at 2,048, where all parameters go through memory in
    every step, and as long as side by side at 256. Side by side, moreover, a unit's result does not depend, to the last
    bit, on which others were left to train; a unit alone pays for that with the idle cores. That a GPU gains by
    batching is expected, not measured.
    """
    wanted = variable(ENGINE)
    if wanted and wanted not in ENGINES:
        raise UserError(f"MOA_ENGINE={wanted}: choose one of: {', '.join(ENGINES)}")
    return wanted or ("threads" if device.type == "cpu" else "ensemble")


def _engine(learner: Learner, fold: Fold) -> str:
    return engine_for(fold.device) if isinstance(learner, MLPLearner) else "sequential"


def groups(learner: Learner, folds: Iterable[Fold]) -> Iterator[list[Fold]]:
    """Gather folds into groups for ``fit_group``; groups of one where they are trained one by one.

    Folds of a batched group have the same number of steps an epoch, hence the same schedule. ``folds`` may be lazy: no
    more are drawn than the groups in hand need.
    """
    waiting: dict[int, list[Fold]] = {}
    for fold in folds:
        engine = _engine(learner, fold)
        steps = steps_per_epoch(len(fold.train), learner.batch_size) if engine == "ensemble" else 0
        group = waiting.setdefault(steps, [])
        group.append(fold)
        if engine == "sequential" or len(group) >= members_at_once(learner, fold):
            yield waiting.pop(steps)
    yield from waiting.values()


def fit_group(learner: Learner, folds: Sequence[Fold]) -> list[Fitted]:
    """Train a group of ``groups``; one result a fold."""
    if _engine(learner, folds[0]) == "threads":
        return fit_side_by_side(learner, folds)
    return [learner.fit(folds[0])] if len(folds) == 1 else fit_together(learner, folds)


def fit_side_by_side(learner: Learner, folds: Sequence[Fold]) -> list[Fitted]:
    """Train the folds at the same time, each on a thread of its own; one result a fold.

    Where one fails, or the user interrupts, the others end with the epoch they are in.
    """
    ended = Event()

    def fit(fold: Fold) -> Fitted:
        def on_epoch(*told: Any) -> None:
            if ended.is_set():
                raise InterruptedError("another member failed")
            fold.on_epoch(*told)

        return learner.fit(replace(fold, on_epoch=on_epoch))

    with _one_core_each(), ThreadPoolExecutor(len(folds)) as pool:
        running = [pool.submit(fit, fold) for fold in folds]
        try:
            wait(running, return_when=FIRST_EXCEPTION)
        finally:
            ended.set()  # all are done, or one failed, or the user interrupted the wait
        failed = [member.exception() for member in running if member.exception()]
        if failed:
            raise next((error for error in failed if not isinstance(error, InterruptedError)), failed[0])
        return [member.result() for member in running]


@contextmanager
def _one_core_each() -> Iterator[None]:
    """Let torch use one core in each thread that is started inside."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def members_at_once(learner: MLPLearner, fold: Fold) -> int:
    """How many members fit into free memory beside the tables, and on a CPU onto its cores; at least one."""
    with torch.device("meta"):
        network = learner.build(fold.x.shape[1], fold.y.shape[1])
    parameters = sum(value.numel() for value in network.parameters())
    widths = 3 * fold.x.shape[1] + 8 * learner.hidden + 4 * fold.y.shape[1]
    # Value, gradient, two moments, best epoch, and the normed weight with its gradient; layers' outputs by guess.
    member = 4 * (7 * parameters + widths * max(learner.batch_size, EVALUATED_ROWS))
    free, tables = 0.8 * free_memory(fold.device), 4 * (fold.x.size + fold.y.size)
    if engine_for(fold.device) == "threads":  # each has tables of its own
        return max(1, min(torch.get_num_threads(), int(free / (member + tables))))
    return max(1, int((free - tables) / member))


def free_memory(device: torch.device) -> int:
    """Bytes that can still be taken on a device."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    if hasattr(os, "sysconf") and "SC_AVPHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 0  # not told: one member at a time
