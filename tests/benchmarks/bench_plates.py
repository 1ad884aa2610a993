"""A features file of a million synthetic rows through one trained model: rows per second, memory, and a lost worker.

    python tests/benchmarks/bench_plates.py WEIGHTS --model simple-nn-old-cv --rows 1000000 --on local:2 --kill 60

The rows are made part by part, and never held as a whole. The first 20,480, ten parts, are also predicted without a
cluster, and the two results compared byte by byte.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path
from threading import Thread

import numpy as np
import pyarrow as pa
import pyarrow.parquet

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "final")]
from moa.blending.catalogue import plate_blend  # noqa: E402
from moa.data.assay import COMPETITION  # noqa: E402
from moa.data.schema import SIG_ID  # noqa: E402
from moa.jobs.options import PlateOptions  # noqa: E402
from moa.jobs.plates import predict_plates  # noqa: E402
from moa.training.machines import open_executor  # noqa: E402

#: Whole parts: a part of another size differs by the rounding of its sums.
OPTIONS = PlateOptions(device="cpu", format="csv")
COMPARED = 10 * OPTIONS.rows_at_a_time


def make_rows(path: Path, rows: int) -> None:
    """Write a parquet file, a group of rows at a time; the first rows do not depend on their number."""
    writer, done = None, 0
    while done < rows:
        count = min(COMPARED, rows - done)
        rng = np.random.default_rng([7, done])
        columns = {SIG_ID: [f"id_{done + number:09d}" for number in range(count)]}
        columns[COMPETITION.control.column] = rng.choice(COMPETITION.control.levels, count, p=[0.08, 0.92])
        for condition in COMPETITION.conditions:
            columns[condition.column] = rng.choice(condition.levels, count)
        for column in COMPETITION.values:
            columns[column] = rng.normal(size=count).round(4)
        table = pa.table(columns)
        writer = writer or pyarrow.parquet.ParquetWriter(path, table.schema)
        writer.write_table(table)
        done += count
    writer.close()


def peak_mib(process: int | str = "self") -> int:
    """Most memory of a process so far."""
    with open(f"/proc/{process}/status") as file:
        return next(int(line.split()[1]) // 1024 for line in file if line.startswith("VmHWM"))


class Killer(Thread):
    """Kills one worker process after some seconds; keeps the peak memory of all."""

    def __init__(self, client, after: float | None):
        super().__init__(daemon=True)
        self.client, self.after, self.peak, self.killed = client, after, 0, None
        self.over = False

    def run(self) -> None:
        started = time.monotonic()
        while not self.over:
            for process in self.client.run(os.getpid, on_error="ignore").values():
                try:
                    self.peak = max(self.peak, peak_mib(process))
                except (FileNotFoundError, TypeError):
                    continue
                if self.after is not None and self.killed is None and time.monotonic() - started > self.after:
                    os.kill(process, signal.SIGKILL)
                    self.killed = process
            time.sleep(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--model", default="simple-nn-old-cv")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--on", default="local:2")
    parser.add_argument("--kill", type=float, help="kill a worker after so many seconds")
    parser.add_argument("--keep", type=Path, help="folder for the rows, to use them again")
    asked = parser.parse_args()
    spec = plate_blend(asked.model)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        files = {count: (asked.keep or folder) / f"{count}.parquet" for count in (COMPARED, asked.rows)}
        for count, path in files.items():
            if not path.exists():
                make_rows(path, count)
        started = time.perf_counter()
        predict_plates(files[COMPARED], spec, asked.weights, folder / "alone", OPTIONS)
        seconds = time.perf_counter() - started
        print(f"without a cluster: {COMPARED:,} rows, {COMPARED / seconds:,.0f} rows/s", flush=True)
        with open_executor(asked.on, "cpu") as executor:
            killer = Killer(executor.client, asked.kill)
            killer.start()
            started = time.perf_counter()
            found = predict_plates(files[asked.rows], spec, asked.weights, folder / "spread", OPTIONS, executor)
            seconds = time.perf_counter() - started
            killer.over = True
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(
            f"on {asked.on}: {found.rows:,} rows, {found.rows / seconds:,.0f} rows/s, peak memory of the driver {own} "
            f"MiB, of a worker {killer.peak} MiB, parts of {OPTIONS.rows_at_a_time} rows, "
            f"worker killed: {killer.killed}"
        )
        for name in ("probabilities.csv", "ranked.csv", "samples.csv"):
            expected = (folder / "alone" / name).read_bytes()
            with (folder / "spread" / name).open("rb") as file:
                assert file.read(len(expected)) == expected, name
        print(f"the first {COMPARED:,} rows are the same in all bytes")


if __name__ == "__main__":
    main()
