"""The notebook and the package give the same results."""

from moa.learners.runtime import Runtime
from tests.benchmarks.agreement import agreement
from tests.benchmarks.sizes import QUICK


def test_the_two_ways_agree():
    table = agreement(QUICK, Runtime()).set_index("what")
    assert table.loc["gaussian rank", "largest"] < 1e-12
    assert table.loc["inference", "largest"] < 1e-5
    for losses in ("validation loss", "validation loss, ensemble"):
        assert table.loc[losses, "largest"] < 1e-4 * table.loc[losses, "scale"]
    assert (table["scale"] > 0.01).all()
