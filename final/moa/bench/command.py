"""How fast each part is against the old way, in one process (or two of a kind) and on the same data.

``moa bench`` prints and writes ``benchmarks.csv``, ``roofline.csv``, ``agreement.csv`` and ``benchmarks.png``. The data
are noise or synthetic files of the competition's size: times, memory and agreement alone mean anything.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from moa.bench.goals import prediction, stage, three_stage
from moa.bench.measure import FULL, OLD, QUICK, Sizes
from moa.bench.parts import agreement, gaussian_rank, growing_ensemble, inference, tabnet_epoch, training_epoch
from moa.bench.roofline import roofline
from moa.errors import UserError
from moa.files import replacing
from moa.plots.charts import GRID, INK, SERIES
from moa.progress import console, progress
from moa.training.runner import pick_device


@dataclass(frozen=True)
class Part:
    """A part of the benchmark: what it measures, and the table it adds to."""

    run: Callable[[Sizes, torch.device], pd.DataFrame]
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
ALL = GROUPS["goals"] + GROUPS["growth"]


def expand_parts(names: Sequence[str]) -> list[str]:
    """Parts with groups written out, each once; none: all but "three-stage", which takes hours on a CPU.

    Raises:
        UserError: no such part or group.
    """
    unknown = sorted(set(names) - set(PARTS) - set(GROUPS))
    if unknown:
        raise UserError(f"part '{unknown[0]}' is unknown; choose from: {', '.join([*GROUPS, *PARTS])}")
    return list(dict.fromkeys(part for name in names or ALL for part in GROUPS.get(name, (name,))))


def main(
    out: Path = Path("benchmarks"), quick: bool = False, parts: Sequence[str] = (), device: str = "auto"
) -> dict[str, pd.DataFrame]:
    """Measure, print, and write tables and a figure.

    Args:
        out: folder to write to.
        quick: tiny sizes, which show that it runs and nothing else.
        parts: names in ``PARTS`` and ``GROUPS``; none: all but "three-stage".
        device: as ``pick_device`` takes it; the number of CPU threads is torch's (``OMP_NUM_THREADS``).

    Returns:
        the tables written, by name: "benchmarks", "roofline", "agreement", those that were asked for.

    Raises:
        UserError: no such part or device, or two ways that should agree do not.
    """
    wanted, where, sizes = expand_parts(parts), pick_device(device), QUICK if quick else FULL
    name = machine(where)
    console.print(f"{name}, torch {torch.__version__}, float32", highlight=False)
    measured: dict[str, list[pd.DataFrame]] = {}
    with progress("moa bench", len(wanted)) as bar:
        for done, part in enumerate(wanted):
            bar.update(done, part, log=True)
            table = PARTS[part].run(sizes, where)
            shown = table.to_string(index=False, float_format="{:.4g}".format)
            console.print(f"\n{part}\n{shown}\n", highlight=False, markup=False, soft_wrap=True)
            measured.setdefault(PARTS[part].table, []).append(table)
        bar.update(len(wanted), log=True)
    tables = {kind: pd.concat(found, ignore_index=True).assign(device=name) for kind, found in measured.items()}
    out.mkdir(parents=True, exist_ok=True)
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


def draw(tables: dict[str, pd.DataFrame], title: str) -> Figure:
    """Times against what grows, one panel a part, and rates against the plain products'."""
    panels: list[tuple[str, Callable[[Axes], None]]] = []
    if "benchmarks" in tables:
        panels.append(("times faster, by the fastest runs", lambda axes: _ratios(axes, tables["benchmarks"])))
        grown = tables["benchmarks"].query("growth != ''")
        for (part, growth), rows in grown.groupby(["part", "growth"], sort=False):
            panels.append((f"{part} by {growth}", lambda axes, rows=rows, by=growth: _growth(axes, rows, by)))
    if "roofline" in tables:
        panels.append(("rates of the products", lambda axes: _rates(axes, tables["roofline"])))
    columns = min(3, max(len(panels), 1))
    lines = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(5 * columns, 4 * max(lines, 1)), layout="constrained")
    figure.suptitle(title, color=INK)
    for number, (heading, fill) in enumerate(panels, 1):
        axes = figure.add_subplot(lines, columns, number)
        fill(axes)
        axes.set_title(heading, color=INK)
        axes.grid(color=GRID, linewidth=0.5)
        axes.set_axisbelow(True)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, labelcolor=INK)
    return figure


def _ratios(axes: Axes, table: pd.DataFrame) -> None:
    rows = table[(table["growth"] == "") & table["way"].str.startswith("moa") & table["ratio"].notna()]
    names = [f"{row.part}\n{row.way}" for row in rows.itertuples()]
    axes.barh(range(len(rows)), rows["ratio"], 0.6, color=SERIES[0])
    axes.axvline(1, color=INK, linewidth=0.8)
    axes.set_yticks(range(len(rows)), names, fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel("old way / ours")


def _growth(axes: Axes, rows: pd.DataFrame, by: str) -> None:
    ways = [OLD, *(way for way in rows["way"].unique() if way != OLD)]
    for way, colour in zip(ways, SERIES, strict=False):
        line = rows[rows["way"] == way].sort_values(by)
        axes.plot(line[by], line["seconds_min"], marker="o", label=way, color=colour)
    axes.set(xscale="log", yscale="log", xlabel=by, ylabel="seconds, fastest run")


def _rates(axes: Axes, table: pd.DataFrame) -> None:
    places = range(len(table))
    axes.barh([p - 0.2 for p in places], table["plain_gflops"], 0.4, label="torch's matmul", color=SERIES[0])
    axes.barh([p + 0.2 for p in places], table["moa_gflops"], 0.4, label="moa", color=SERIES[1])
    axes.set_yticks(list(places), table["what"])
    axes.invert_yaxis()
    axes.set_xlabel("GFLOP/s")
