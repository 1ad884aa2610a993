"""Times and memory are measured as described. Nothing here depends on how long anything takes."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from tests.benchmarks.measure import compared, measure
from tests.benchmarks.sizes import QUICK

CPU = torch.device("cpu")


def test_a_way_is_not_run_again_past_its_limit():
    calls = []
    measure({"fast": lambda: calls.append("fast")}, QUICK, CPU)
    assert len(calls) == QUICK.repeats
    row = measure({"slow": lambda: [2.0, 1.0, 9.0]}, QUICK, CPU, timed=True).iloc[0]
    assert (row["seconds_min"], row["seconds_median"], row["runs"], row["ratio"]) == (1.0, 2.0, 3, 1.0)


def test_memory_is_seen():
    """In another process: here, memory that other tests gave back could hide what is taken."""
    code = (
        "import numpy as np, torch; from tests.benchmarks.measure import measure;"
        "from tests.benchmarks.sizes import QUICK;"
        "take = lambda: np.ones(40 * 2**17).sum();"  # 40 MiB, written to and given back
        "table = measure({'take': take, 'none': lambda: None}, QUICK, torch.device('cpu'));"
        "print(*table.set_index('way')['peak_mib'][['take', 'none']])"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    take, none = map(float, output.split())
    if np.isnan(take):
        pytest.skip("this system does not let a process reset its high-water mark")
    assert 38 < take < 60 and none < 10


def test_ratios_are_taken_of_the_fastest_and_of_the_median_runs():
    table = compared({"old": [4.0, 9.0, 6.0], "new": [2.0, 3.0, 1.0]}, {"old": 1.0, "new": 2.0}).set_index("way")
    assert list(table.loc["new", ["ratio", "ratio_median", "runs", "peak_mib"]]) == [4.0, 3.0, 3, 2.0]
    assert list(table.loc["old", ["ratio", "ratio_median"]]) == [1.0, 1.0]
