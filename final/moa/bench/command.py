"""How fast each part is compared with a notebook of 2020, on the same machine and the same data.

``moa bench`` prints and writes ``benchmarks.csv``, ``roofline.csv``, ``agreement.csv`` and ``benchmarks.png``. The data
are noise or synthetic files of the competition's size: only times, memory and agreement mean anything.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from moa.bench.agreement import agreement
from moa.bench.figure import draw
from moa.bench.growth import gaussian_rank, growing_ensemble, inference, tabnet_epoch, training_epoch
from moa.bench.measure import imports_frozen
from moa.bench.prediction import prediction
from moa.bench.roofline import roofline
from moa.bench.sizes import FULL, QUICK, Sizes
from moa.bench.stages import stage, three_stage
from moa.errors import UserError
from moa.files import ensure_writable, replacing
from moa.learners.runtime import Runtime
from moa.progress import console, progress


@dataclass(frozen=True)
class Part:
    """A part of the benchmark: the function that measures, and the table that its result is added to."""

    run: Callable[[Sizes, Runtime], pd.DataFrame]
    table: str = "benchmarks"


PARTS = {
    "prediction": Part(prediction),
    "stage": Part(stage),
    "roofline": Part(roofline, "roofline"),
    "agreement": Part(agreement, "agreement"),
    "epoch": Part(training_epoch),
    "ensemble": Part(growing_ensemble),
    "tabnet": Part(tabnet_epoch),
    "rank": Part(gaussian_rank),
    "inference": Part(inference),
    "three-stage": Part(three_stage),
}
GROUPS = {
    "goals": ("prediction", "stage", "roofline", "agreement"),
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
    with imports_frozen(), progress("moa bench", len(wanted)) as bar:
        for done, part in enumerate(wanted):
            bar.update(done, part, log=True)
            table = PARTS[part].run(sizes, runtime)
            shown = table.to_string(index=False, float_format="{:.4g}".format)
            console.print(f"\n{part}\n{shown}\n", highlight=False, markup=False, soft_wrap=True)
            measured.setdefault(PARTS[part].table, []).append(table)
        bar.update(len(wanted), log=True)
    tables = {kind: pd.concat(found, ignore_index=True).assign(device=name) for kind, found in measured.items()}
    for kind, table in tables.items():
        with replacing(out / f"{kind}.csv") as path:
            table.to_csv(path, index=False)
    with replacing(out / "benchmarks.png") as path:
        draw(tables, name).savefig(path, dpi=120, format="png")
    console.print(f"written to {out}", highlight=False)
    return tables


def machine(device: torch.device) -> str:
    """The device in words, such as "AMD EPYC, 2 threads"."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{(names or [platform.processor() or platform.machine()])[0]}, {torch.get_num_threads()} threads"
