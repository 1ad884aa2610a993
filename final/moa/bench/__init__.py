"""How fast each part is against the old way, in one process and on the same random data.

``python -m moa.bench`` prints and writes ``benchmarks.csv``, ``roofline.csv``, ``agreement.csv`` and
``benchmarks.png``. The data are noise of the competition's size, so times, memory and agreement alone mean anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from moa.bench.measure import FULL, OLD, QUICK, Sizes
from moa.bench.parts import agreement, ensemble_stage, gaussian_rank, inference, training_epoch
from moa.bench.roofline import roofline
from moa.errors import UserError
from moa.files import replacing
from moa.plots import GRID, INK, SERIES
from moa.progress import console
from moa.runner import pick_device

__all__ = ["FULL", "PARTS", "QUICK", "Sizes", "main"]

PARTS: dict[str, Callable[[Sizes, torch.device], pd.DataFrame]] = {
    "epoch": training_epoch,
    "stage": ensemble_stage,
    "rank": gaussian_rank,
    "inference": inference,
    "roofline": roofline,
    "agreement": agreement,
}


def main(
    out: Path = Path("benchmarks"), quick: bool = False, parts: Sequence[str] = (), device: str = "auto"
) -> dict[str, pd.DataFrame]:
    """Measure, print, and write tables and a figure.

    Args:
        out: folder to write to.
        quick: tiny sizes, which show that it runs and nothing else.
        parts: names in ``PARTS``; none: all.
        device: as ``pick_device`` takes it; the number of CPU threads is torch's (``OMP_NUM_THREADS``).

    Returns:
        the tables written, by name: "benchmarks", "roofline", "agreement", those that were asked for.

    Raises:
        UserError: no such part or device.
    """
    unknown = sorted(set(parts) - set(PARTS))
    if unknown:
        raise UserError(f"part '{unknown[0]}' is unknown; choose from: {', '.join(PARTS)}")
    where, sizes = pick_device(device), QUICK if quick else FULL
    name = torch.cuda.get_device_name(where) if where.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    console.print(f"{name}, torch {torch.__version__}, float32", highlight=False)
    measured: dict[str, list[pd.DataFrame]] = {}
    for part in parts or PARTS:
        table = PARTS[part](sizes, where)
        console.print(f"\n{part}\n{table.to_string(index=False, float_format='{:.4g}'.format)}", highlight=False)
        measured.setdefault(part if part in ("roofline", "agreement") else "benchmarks", []).append(table)
    tables = {kind: pd.concat(found, ignore_index=True).assign(device=name) for kind, found in measured.items()}
    out.mkdir(parents=True, exist_ok=True)
    for kind, table in tables.items():
        with replacing(out / f"{kind}.csv") as path:
            table.to_csv(path, index=False)
    with replacing(out / "benchmarks.png") as path:
        draw(tables, name).savefig(path, dpi=120, format="png")
    console.print(f"\nwritten to {out}", highlight=False)
    return tables


def draw(tables: dict[str, pd.DataFrame], title: str) -> Figure:
    """Times against what grows, one panel a part, and rates against the plain products'."""
    panels: list[tuple[str, Callable[[Axes], None]]] = []
    if "benchmarks" in tables:
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
        axes.legend(frameon=False, labelcolor=INK)
    return figure


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
