"""Run a module as ``python -m`` does, and write its peak memory: ``python -m tests.benchmarks.watched PEAK MODULE …``.

A parent cannot ask for it afterwards: what the kernel reports of a finished child includes the parent's own memory.
"""

import atexit
import runpy
import sys
from pathlib import Path


def write_peak(path: str) -> None:
    """Write the most memory this process has had, in KiB, to ``path``, if the system reports it."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text().splitlines()
        Path(path).write_text(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))


if __name__ == "__main__":
    _, peak, module, *arguments = sys.argv
    atexit.register(write_peak, peak)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
