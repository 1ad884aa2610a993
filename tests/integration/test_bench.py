"""The whole benchmark runs. Nothing here depends on how long anything takes."""

import pickle

import pandas as pd
import pytest
from filelock import FileLock

from tests.benchmarks.command import PARTS, main
from tests.benchmarks.measure import NOTEBOOK
from tests.benchmarks.sizes import QUICK


@pytest.fixture(scope="module")
def written(shared_folder):
    """The folder that all parts were written to, and the tables; made by the first test process that asks."""
    folder = shared_folder / "bench"
    tables = folder / "tables.pkl"
    with FileLock(shared_folder / "bench.lock"):
        if not tables.exists():
            measured = main(folder / "out", quick=True, parts=PARTS, device="cpu")
            tables.write_bytes(pickle.dumps(measured))
    return folder / "out", pickle.loads(tables.read_bytes())


def test_every_part_is_measured_both_ways(written):
    _, tables = written
    benchmarks = tables["benchmarks"]
    alone = "3-stage NN, all units"
    assert set(benchmarks["part"]) == {
        "preprocessing of a test set",
        "csv to submission, as a process",
        "stage, a member's epoch",
        "training epoch",
        "ensemble",
        "gaussian rank",
        "inference",
        "TabNet epoch",
        *(f"{network}, epoch on one core" for network in ("Simple NN", "3-stage NN", "2-heads", "TabNet")),
        alone,
    }
    assert (benchmarks[["seconds_min", "seconds_median"]] > 0).all(axis=None)
    benchmarks = benchmarks[benchmarks["part"] != alone]
    for _, rows in benchmarks.groupby(["part", "growth", "rows", "members", "hidden"]):
        assert rows["way"].iloc[0] == NOTEBOOK and len(rows) >= 2
    assert (benchmarks[["ratio", "ratio_median"]] > 0).all(axis=None)
    assert (benchmarks["seconds_min"] <= benchmarks["seconds_median"]).all()
    assert set(benchmarks["growth"]) == {"", "rows", "hidden", "members"}


def test_tables_and_figure_are_written(written):
    folder, tables = written
    assert sorted(path.name for path in folder.iterdir()) == [
        "agreement.csv",
        "benchmarks.csv",
        "benchmarks.png",
        "roofline.csv",
    ]
    for name, table in tables.items():
        assert len(pd.read_csv(folder / f"{name}.csv")) == len(table)
    assert (folder / "benchmarks.png").read_bytes().startswith(b"\x89PNG")


def test_the_roofline_counts_the_products_of_a_step(written):
    table = written[1]["roofline"].set_index("what")
    products = table.iloc[:8]
    flops = 2 * QUICK.batch * (QUICK.inputs * QUICK.hidden + QUICK.hidden**2 + QUICK.hidden * QUICK.targets)
    inputs = 2 * QUICK.batch * QUICK.inputs * QUICK.hidden  # their gradient is not needed
    assert table.loc["training step", "gflop"] == pytest.approx((3 * flops - inputs) / 1e9)
    assert products["gflop"].sum() == pytest.approx(table.loc["training step", "gflop"])
    assert table.loc["ensemble step, 5 members", "gflop"] == pytest.approx(5 * table.loc["training step", "gflop"])
