"""Memory of importing and checking plates, above that of the libraries, against the size of the file.

    python tests/benchmarks/bench_import.py

A plate of 377 wells and 978 genes, and 4 and 16 times as many wells, as csv (a well per row) and as GCT; values are
noise. "Libraries" is the peak of a process that imports the modules that the command had loaded at its end, and parses
one cell by pandas and one by pyarrow, whose pools of memory take their first blocks then.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
MODULES = """
import importlib, sys
for name in open(sys.argv[1]).read().split():
    try:
        importlib.import_module(name)
    except Exception:
        pass
import io, pandas, pyarrow.csv
pandas.read_csv(io.BytesIO(b"a\\n1\\n"))
pyarrow.csv.read_csv(io.BytesIO(b"a\\n1\\n"))
"""
COMMAND = """
import atexit, sys
from pathlib import Path
from tests.benchmarks.watched import write_peak
def note():
    write_peak(sys.argv_kept[0])
    Path(sys.argv_kept[1]).write_text("\\n".join(list(sys.modules)))
sys.argv_kept = sys.argv[1:3]
atexit.register(note)
sys.argv = ["moa", *sys.argv[3:]]
import runpy
runpy.run_module("moa", run_name="__main__", alter_sys=True)
"""
WELLS, GENES = 377, 978


def write_plates(folder: Path, times: int) -> list[Path]:
    """Write plates as csv and as GCT, and the mechanisms of their compounds."""
    rng = np.random.default_rng(times)
    rows = WELLS * times
    number = np.arange(rows) % WELLS
    wells = pd.DataFrame(
        {
            "plate": [f"P{row // WELLS:02d}" for row in range(rows)],
            "well": [f"{chr(65 + place // 24)}{place % 24 + 1:02d}" for place in number],
            "compound": [f"drug{place // 3:03d}" if place > 36 else "DMSO" for place in number],
            "dose_uM": np.where(number > 36, 10.0, 0.0),
        }
    )
    genes = [f"{2000 + gene}_at" for gene in range(GENES)]
    values = pd.DataFrame(rng.normal(8, 2, (rows, GENES)).round(4), columns=genes)
    csv, gct = folder / f"plates-{times}.csv", folder / f"plates-{times}.gct"
    wells.join(values).to_csv(csv, index=False)
    with gct.open("w") as file:
        file.write(f"#1.3\n{GENES}\t{rows}\t0\t{wells.shape[1]}\n")
        file.write("\t".join(["id", *(f"s{row}" for row in range(rows))]) + "\n")
        for table in (wells.T, values.T):
            table.to_csv(file, sep="\t", header=False)
    return [csv, gct]


def mib_above_libraries(folder: Path, arguments: Sequence[str | Path]) -> float:
    """Peak of a command of the package, above that of importing what it imported."""
    peak, modules = folder / "peak", folder / "modules"
    run = [sys.executable, "-c"]
    # The package beside this file, whatever is installed, and no copies of files that were parsed before.
    env = os.environ | {"PYTHONPATH": str(ROOT / "final"), "MOA_CACHE": str(folder / "cache")}
    command = [*run, COMMAND, peak, modules, *arguments]
    subprocess.run(command, cwd=ROOT, env=env, check=True, stdout=subprocess.DEVNULL)
    whole = int(peak.read_text())
    watched = "import atexit, sys\nfrom tests.benchmarks.watched import write_peak\n"
    watched += "atexit.register(write_peak, sys.argv[2])\n"
    subprocess.run([*run, watched + MODULES, modules, peak], cwd=ROOT, env=env, check=True)
    return (whole - int(peak.read_text())) / 2**10


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--times", type=int, nargs="+", default=[1, 4, 16], help="plates of each file")
    times = options.parse_args().times
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mechanisms = folder / "mechanisms.csv"
        drugs = [f"drug{number:03d}" for number in range(WELLS)]
        pd.DataFrame({"compound": drugs, "moa": [f"m{row % 9}" for row in range(WELLS)]}).to_csv(
            mechanisms, index=False
        )
        for plates in times:
            for path in write_plates(folder, plates):
                out, size = folder / f"{path.name}-data", path.stat().st_size / 2**20
                imported = mib_above_libraries(folder, ["data", "import", path, "--moa", mechanisms, "--out", out])
                checked = mib_above_libraries(folder, ["data", "check", out])
                again = mib_above_libraries(folder, ["data", "check", out])  # takes the copies of parsed files
                print(
                    f"{path.name}: {size:.1f} MiB; import {imported:.0f} MiB, {imported / size:.1f} times the file; "
                    f"check {checked:.0f} MiB, {checked / size:.1f} times; "
                    f"again {again:.0f} MiB, {again / size:.1f} times",
                    flush=True,
                )


if __name__ == "__main__":
    main()
