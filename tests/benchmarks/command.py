"""How fast each part is compared with a notebook of 2020, on the same machine and the same data.

Printed, and written as ``benchmarks.csv``, ``roofline.csv``, ``agreement.csv`` and ``benchmarks.png``. The data are
noise or synthetic files of the competition's size: only times, memory and agreement mean anything.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from rich.table import Table

from moa.errors import UserError
from moa.files import ensure_writable, replacing
from moa.learners.runtime import Runtime
from moa.progress import console, duration, progress
from tests.benchmarks.agreement import agreement
from tests.benchmarks.figure import draw
from tests.benchmarks.growth import gaussian_rank, growing_ensemble, inference, tabnet_epoch, training_epoch
from tests.benchmarks.loops import loops
from tests.benchmarks.measure import imports_frozen
from tests.benchmarks.prediction import prediction
from tests.benchmarks.roofline import roofline
from tests.benchmarks.sizes import FULL, QUICK, Sizes
from tests.benchmarks.stages import stage, three_stage


@dataclass(frozen=True)
class Part:
    """A part of the benchmark.

    Attributes:
        run: measures.
        minutes: how long that took at full size on two cores; None: not known.
        table: the table that the result is added to.
    """

    run: Callable[[Sizes, Runtime], pd.DataFrame]
    minutes: float | None
    table: str = "benchmarks"


PARTS = {
    "prediction": Part(prediction, 8),
    "stage": Part(stage, 3),
    "roofline": Part(roofline, 1, "roofline"),
    "agreement": Part(agreement, 1, "agreement"),
    "loops": Part(loops, 4),
    "epoch": Part(training_epoch, 4),
    "ensemble": Part(growing_ensemble, 4),
    "tabnet": Part(tabnet_epoch, 4),
    "rank": Part(gaussian_rank, 4),
    "inference": Part(inference, 4),
    "three-stage": Part(three_stage, None),
}
GROUPS = {
    "goals": ("prediction", "stage", "loops", "roofline", "agreement"),
    "growth": ("epoch", "ensemble", "rank", "inference", "tabnet"),
    "gpu": ("stage", "roofline", "three-stage"),
}
#: Measured where no part is named: all but "three-stage", which takes hours on a CPU.
DEFAULT = GROUPS["goals"] + GROUPS["growth"]


def expand_parts(names: Sequence[str]) -> list[str]:
    """The parts that are named, each once, with groups replaced by their parts; ``DEFAULT`` where none is named.

    Raises:
        UserError: no such part or group.
    """
    unknown = sorted(set(names) - set(PARTS) - set(GROUPS))
    if unknown:
        raise UserError(f"part '{unknown[0]}' is unknown; choose from: {', '.join([*GROUPS, *PARTS])}")
    return list(dict.fromkeys(part for name in names or DEFAULT for part in GROUPS.get(name, (name,))))


def main(
    out: Path = Path("benchmarks"), quick: bool = False, parts: Sequence[str] = (), device: str = "auto"
) -> dict[str, pd.DataFrame]:
    """Measure, print, and write tables and a figure.

    Args:
        out: folder to write to.
        quick: tiny sizes, which only show that everything runs.
        parts: names in ``PARTS`` and ``GROUPS``; empty: ``DEFAULT``.
        device: auto, cpu, cuda or cuda:N. The number of CPU threads is torch's (``OMP_NUM_THREADS``).

    Returns:
        the tables written, by name: of "benchmarks", "roofline" and "agreement" those that the parts add to.

    Raises:
        UserError: no such part or device, or the results of two ways that are compared differ.
    """
    ensure_writable(out)
    wanted, runtime, sizes = expand_parts(parts), Runtime.of(device), QUICK if quick else FULL
    name = machine(runtime.torch_device)
    console.print(f"{name}, torch {torch.__version__}, float32", highlight=False)
    measured: dict[str, list[pd.DataFrame]] = {}
    shares = _shares(wanted)
    with imports_frozen(), progress("benchmarks", len(wanted), even=bool(shares)) as bar:
        for done, part in enumerate(wanted):
            bar.update(done, part, log=True, running=shares[done] * len(wanted) - done if shares else 0)
            started = time.perf_counter()
            table = PARTS[part].run(sizes, runtime)
            console.print(shown(f"{part}, {duration(time.perf_counter() - started)}", table))
            measured.setdefault(PARTS[part].table, []).append(table)
        bar.update(len(wanted))
    tables = {kind: pd.concat(found, ignore_index=True).assign(device=name) for kind, found in measured.items()}
    for kind, table in tables.items():
        with replacing(out / f"{kind}.csv") as path:
            table.to_csv(path, index=False)
    with replacing(out / "benchmarks.png") as path:
        draw(tables, name).savefig(path, dpi=120, format="png")
    console.print(f"written to {out}, with further columns", highlight=False)
    return tables


#: Columns that are printed, with their heads, of each kind of table; rows of one "what" differ in the growing number.
_PRINTED = {
    "way": {"what": "what", "way": "way", "seconds_min": "seconds", "peak_mib": "MiB", "ratio": "ratio"},
    "gflop": {
        "what": "what",
        "gflop": "gflop",
        "product_ms": "product, ms",
        "moa_ms": "moa, ms",
        "over_product": "ratio",
    },
    "largest": {"what": "what", "largest": "largest difference", "scale": "scale"},
}


def shown(title: str, table: pd.DataFrame) -> Table:
    """A part's result at the width of a terminal."""
    if "way" in table:
        growing = [f", {row[row.growth]:,} {row.growth}" if row.growth else "" for _, row in table.iterrows()]
        table = table.assign(what=table["part"] + growing)
    heads = next(heads for column, heads in _PRINTED.items() if column in table)
    printed = Table(title=title, title_justify="left")
    for column, head in heads.items():
        text = column in ("what", "way")
        printed.add_column(head, justify="left" if text else "right", overflow="fold", no_wrap=not text)
    for _, row in table.iterrows():
        cells = (row[column] for column in heads)
        printed.add_row(*(cell if isinstance(cell, str) else f"{cell:.4g}" for cell in cells))
    return printed


def _shares(parts: Sequence[str]) -> list[float] | None:
    """Share of the time that is over when each part begins, as measured on two cores; None where it is not known."""
    minutes = [PARTS[part].minutes for part in parts]
    if None in minutes:
        return None
    return [sum(minutes[:number]) / sum(minutes) for number in range(len(parts))]


def machine(device: torch.device) -> str:
    """The device in words, such as "AMD EPYC, 2 threads"."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{(names or [platform.processor() or platform.machine()])[0]}, {torch.get_num_threads()} threads"
