"""The benchmark runs, and what it compares gives the same results. Nothing here looks at how long anything takes."""

import time

import numpy as np
import pandas as pd
import pytest
import torch

from moa.bench import PARTS, QUICK, main
from moa.bench.measure import OLD, epoch_seconds, make_folds, measure
from moa.bench.parts import agreement
from moa.errors import UserError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    return folder, main(folder / "out", quick=True, device="cpu")


def test_every_part_is_measured_both_ways(written):
    _, tables = written
    benchmarks = tables["benchmarks"]
    assert set(benchmarks["part"]) == {"training epoch", "ensemble stage", "gaussian rank", "inference"}
    for _, rows in benchmarks.groupby(["part", "growth", "rows", "members", "hidden"]):
        assert rows["way"].iloc[0] == OLD and len(rows) >= 2
    assert (benchmarks[["seconds_min", "seconds_median", "ratio"]] > 0).all(axis=None)
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
    def take():
        held = np.ones(40 * 2**17)  # 40 MiB, written to
        time.sleep(0.2)  # the watcher looks every few milliseconds, and must be let to
        return held.sum()

    assert measure({"take": take}, QUICK, CPU)["peak_mib"].iloc[0] > 20


def test_epochs_are_timed_without_the_first():
    fold = make_folds(QUICK, CPU, 64, 16)[0]
    assert len(epoch_seconds(QUICK.learner(4).fit, fold)) == 3


def test_unknown_parts_are_refused(tmp_path):
    with pytest.raises(UserError, match=f"part 'nope' is unknown; choose from: {', '.join(PARTS)}"):
        main(tmp_path, parts=["nope"])
