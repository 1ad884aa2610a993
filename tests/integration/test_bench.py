"""The benchmark runs, and what it compares gives the same results. Nothing here looks at how long anything takes."""

import pandas as pd
import pytest
import torch

from moa.bench.command import PARTS, main
from moa.bench.measure import OLD, QUICK

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
