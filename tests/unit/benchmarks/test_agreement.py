"""The notebook and the package give the same results."""

from functools import partial

import numpy as np

from moa.learners.runtime import Runtime
from tests.benchmarks import loops
from tests.benchmarks.agreement import ValidLosses, agreement
from tests.benchmarks.sizes import QUICK


def test_the_two_ways_agree():
    table = agreement(QUICK, Runtime()).set_index("what")
    assert table.loc["gaussian rank", "largest"] < 1e-12
    assert table.loc["inference", "largest"] < 1e-5
    for losses in ("validation loss", "validation loss, ensemble"):
        assert table.loc[losses, "largest"] < 1e-4 * table.loc[losses, "scale"]
    assert (table["scale"] > 0.01).all()


def test_the_plain_loop_of_each_network_has_the_losses_of_the_package():
    """Without dropout, which the two draw in other ways."""
    for name, loop in loops._loops(QUICK).items():
        learner, plain = loop.learner, loop.plain
        if hasattr(learner, "dropout"):
            changes = {"dropout": (0.0,) * len(learner.dropout)}
            if name == "3-stage NN":
                changes["target_clip"] = None
            learner = learner.model_copy(update=changes)
            plain = partial(plain.func, learner)
        found = []
        for fit in (plain, learner.fit):
            recorder = ValidLosses()
            fit(loop.data, seed=0, fold=0, runtime=Runtime(), callback=recorder)
            found.append(recorder.losses)
        assert len(found[0]) == learner.epochs, name
        np.testing.assert_allclose(*found, rtol=2e-4, err_msg=name)
