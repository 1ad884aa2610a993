"""Parts of the benchmark."""

import torch

from moa.bench.command import ALL, GROUPS, expand_parts
from moa.bench.measure import QUICK
from moa.bench.parts import agreement

CPU = torch.device("cpu")


def test_the_two_ways_agree():
    table = agreement(QUICK, CPU).set_index("what")
    assert table.loc["gaussian rank", "largest"] < 1e-12
    assert table.loc["inference", "largest"] < 1e-5
    for losses in ("validation loss", "validation loss, ensemble"):
        assert table.loc[losses, "largest"] < 1e-4 * table.loc[losses, "scale"]
    assert (table["scale"] > 0.01).all()


def test_groups_of_parts():
    assert expand_parts([]) == list(ALL) and "three-stage" not in ALL
    assert expand_parts(["stage", "goals"]) == ["stage", *(part for part in GROUPS["goals"] if part != "stage")]
