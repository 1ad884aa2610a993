"""Settings of the CNNs: what belongs to a checkpoint, and what follows from them."""

import dataclasses

import pytest

from support.tiny_cnn import TINY, unit_in


def test_a_checkpoint_is_recognised_by_settings_unit_rows_and_columns(tmp_path):
    data = unit_in(tmp_path).data
    known = TINY.fingerprint(data, 3, 1)
    assert TINY.fingerprint(dataclasses.replace(data), 3, 1) == known
    others = [
        TINY.fingerprint(data, 4, 1),
        TINY.fingerprint(data, 3, 2),
        TINY.model_copy(update={"lr": 1e-3}).fingerprint(data, 3, 1),
        TINY.fingerprint(dataclasses.replace(data, train=data.train[1:]), 3, 1),
        TINY.fingerprint(dataclasses.replace(data, X=data.X + 1e-3), 3, 1),
        TINY.fingerprint(dataclasses.replace(data, y=data.y.rename(columns={"moa-0": "other"})), 3, 1),
    ]
    assert len({known, *others}) == 7


@pytest.mark.parametrize(("first", "expected"), [(None, 0), (3, 3)])
def test_swap_noise_takes_the_settings(first, expected):
    noise = TINY.model_copy(update={"swap_first": first}).noise()
    assert (noise.probability, noise.fraction, noise.first) == (0.5, 0.15, expected)
