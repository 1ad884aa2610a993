"""The benchmark runs, and what it compares gives the same results. Nothing here looks at how long anything takes."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from moa.bench.measure import QUICK, compared, epoch_seconds, make_folds, measure

CPU = torch.device("cpu")


def test_a_way_is_not_run_again_past_its_limit():
    calls = []
    ways = {"slow": lambda: calls.append("slow"), "told": lambda: [2.0, 1.0, 9.0]}
    measure({"slow": ways["slow"]}, QUICK, CPU)
    assert len(calls) == QUICK.repeats
    row = measure({"told": ways["told"]}, QUICK, CPU, told=True).iloc[0]
    assert (row["seconds_min"], row["seconds_median"], row["runs"], row["ratio"]) == (1.0, 2.0, 3, 1.0)


def test_memory_is_seen():
    """In a process of its own: memory that others gave back could hide what is taken."""
    code = (
        "import numpy as np, torch; from moa.bench.measure import QUICK, measure;"
        "take = lambda: np.ones(40 * 2**17).sum();"  # 40 MiB, written to and given back
        "table = measure({'take': take, 'none': lambda: None}, QUICK, torch.device('cpu'));"
        "print(*table.set_index('way')['peak_mib'][['take', 'none']])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    take, none = map(float, told.split())
    if np.isnan(take):
        pytest.skip("this system does not let a process reset its high-water mark")
    assert 38 < take < 60 and none < 10


def test_ratios_are_taken_of_the_fastest_and_of_the_median_runs():
    table = compared({"old": [4.0, 9.0, 6.0], "new": [2.0, 3.0, 1.0]}, {"old": 1.0, "new": 2.0}).set_index("way")
    assert list(table.loc["new", ["ratio", "ratio_median", "runs", "peak_mib"]]) == [4.0, 3.0, 3, 2.0]
    assert list(table.loc["old", ["ratio", "ratio_median"]]) == [1.0, 1.0]


def test_epochs_are_timed_without_the_first():
    fold = make_folds(QUICK, CPU, 64, 16)[0]
    assert len(epoch_seconds(QUICK.learner(4).fit, fold)) == 3
