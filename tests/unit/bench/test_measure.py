"""The benchmark runs, and what it compares gives the same results. Nothing here looks at how long anything takes."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from moa.bench import goals, notebook
from moa.bench.command import ALL, GROUPS, PARTS, expand_parts, main
from moa.bench.measure import OLD, QUICK, compared, epoch_seconds, make_folds, measure
from moa.bench.parts import agreement
from moa.cli.bench import app
from moa.errors import UserError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    return folder, main(folder / "out", quick=True, parts=PARTS, device="cpu")


def test_every_part_is_measured_both_ways(written):
    _, tables = written
    benchmarks = tables["benchmarks"]
    alone = "3-stage NN, all units"
    assert set(benchmarks["part"]) == {
        "preprocessing of a test set",
        "csv to submission, a process",
        "stage, a member's epoch",
        "training epoch",
        "ensemble",
        "gaussian rank",
        "inference",
        "TabNet epoch",
        alone,
    }
    assert (benchmarks[["seconds_min", "seconds_median"]] > 0).all(axis=None)
    benchmarks = benchmarks[benchmarks["part"] != alone]
    for _, rows in benchmarks.groupby(["part", "growth", "rows", "members", "hidden"]):
        assert rows["way"].iloc[0] == OLD and len(rows) >= 2
    assert (benchmarks[["ratio", "ratio_median"]] > 0).all(axis=None)
    assert (benchmarks["seconds_min"] <= benchmarks["seconds_median"]).all()
    assert set(benchmarks["growth"]) == {"", "rows", "hidden", "members"}


def test_tables_and_figure_are_written(written):
    folder, tables = written
    assert sorted(path.name for path in (folder / "out").iterdir()) == [
        "agreement.csv",
        "benchmarks.csv",
        "benchmarks.png",
        "roofline.csv",
    ]
    for name, table in tables.items():
        assert len(pd.read_csv(folder / "out" / f"{name}.csv")) == len(table)
    assert (folder / "out" / "benchmarks.png").read_bytes().startswith(b"\x89PNG")


def test_the_roofline_counts_the_products_of_a_step(written):
    table = written[1]["roofline"].set_index("what")
    products = table.iloc[:8]
    flops = 2 * QUICK.batch * (QUICK.inputs * QUICK.hidden + QUICK.hidden**2 + QUICK.hidden * QUICK.targets)
    inputs = 2 * QUICK.batch * QUICK.inputs * QUICK.hidden  # whose gradient nobody needs
    assert table.loc["training step", "gflop"] == pytest.approx((3 * flops - inputs) / 1e9)
    assert products["gflop"].sum() == pytest.approx(table.loc["training step", "gflop"])
    assert table.loc["ensemble step, 5 members", "gflop"] == pytest.approx(5 * table.loc["training step", "gflop"])


def test_the_two_ways_agree():
    table = agreement(QUICK, CPU).set_index("what")
    assert table.loc["gaussian rank", "largest"] < 1e-12
    assert table.loc["inference", "largest"] < 1e-5
    for losses in ("validation loss", "validation loss, ensemble"):
        assert table.loc[losses, "largest"] < 1e-4 * table.loc[losses, "scale"]
    assert (table["scale"] > 0.01).all()


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


def test_single_columns_of_a_rank_are_scikit_learns_own():
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(150, 3))).add_prefix("g-")
    fitted = notebook.fit_ranks(table)
    for column, own in zip(table, goals.by_column(goals.GaussianRank().fit(table.to_numpy())), strict=True):
        np.testing.assert_array_equal(own.quantiles_, fitted[column].quantiles_)
        values = table[[column]].to_numpy() * 1.5
        np.testing.assert_array_equal(own.transform(values), fitted[column].transform(values))


def test_ways_that_lead_elsewhere_are_not_compared():
    table = pd.DataFrame({"a": [0.1, 0.2]}, index=["x", "y"])
    goals._check_agreement("same", table, table[::-1])
    for other in (table + 1e-3, table * np.nan):
        with pytest.raises(UserError, match="the comparison is void"):
            goals._check_agreement("prediction", table, other)


def test_groups_of_parts():
    assert expand_parts([]) == list(ALL) and "three-stage" not in ALL
    assert expand_parts(["stage", "goals"]) == ["stage", *(part for part in GROUPS["goals"] if part != "stage")]


def test_epochs_are_timed_without_the_first():
    fold = make_folds(QUICK, CPU, 64, 16)[0]
    assert len(epoch_seconds(QUICK.learner(4).fit, fold)) == 3


def test_the_command_refuses_what_it_does_not_know(tmp_path):
    for wrong, told in (("--part", "part 'nope' is unknown; choose from: goals"), ("--size", "choose full or quick")):
        with pytest.raises(UserError, match=told):
            app([wrong, "nope", "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
