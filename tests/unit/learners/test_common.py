"""What learners share: seeds, smoothing, steps."""

import pytest
import torch

from moa.learners.common import epoch_seed, smooth, steps_per_epoch


def test_random_streams_differ_by_seed_fold_epoch_and_purpose():
    places = [(s, f, e, k) for s in range(3) for f in range(3) for e in range(5) for k in range(3)]
    assert len({epoch_seed(*place) for place in places}) == len(places)


def test_smoothing_is_the_published_formula():
    torch.testing.assert_close(smooth(torch.tensor([0.0, 1.0]), 0.001), torch.tensor([0.0005, 0.9995]))


@pytest.mark.parametrize(("rows", "steps"), [(512, 2), (513, 2), (514, 3), (5, 1), (1, 1)])
def test_a_last_batch_of_one_row_is_left_out(rows, steps):
    assert steps_per_epoch(rows, 256) == steps
