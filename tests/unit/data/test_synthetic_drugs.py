"""The drugs of the synthetic data: sizes and targets keep their shares at every size of the data set."""

import numpy as np
import pytest

from moa.data.schema import N_NONSCORED, N_SCORED
from moa.data.synthetic_drugs import LARGE_DRUGS, ROWS_BY_TARGETS, TREATED_ROWS, draw_drugs


def _draw(treated, seed=0, n_fresh=10):
    return draw_drugs(np.random.default_rng(seed), treated, n_fresh)


@pytest.mark.parametrize("treated", [1, 7, 55, 829, 2765, TREATED_ROWS, 3 * TREATED_ROWS])
def test_rows_of_drugs_sum_to_the_rows_asked_for(treated):
    drugs = _draw(treated)
    assert drugs.rows.sum() == treated and drugs.rows.min() > 0
    assert drugs.labels.shape == (drugs.n_train + 10, N_SCORED + N_NONSCORED)
    assert set(np.unique(drugs.labels)) <= {0, 1}


@pytest.mark.parametrize("treated", [829, 2765, TREATED_ROWS, 3 * TREATED_ROWS])
def test_shares_do_not_depend_on_the_size(treated):
    drugs = _draw(treated, seed=1)
    scored = drugs.labels[: drugs.n_train, :N_SCORED]
    counts = scored.sum(axis=1)
    for targets, rows in ROWS_BY_TARGETS.items():
        share = rows / TREATED_ROWS
        assert drugs.rows[counts == targets].sum() / treated == pytest.approx(share, abs=6 / treated + 1e-9)
    large = drugs.rows[: drugs.n_large] / treated
    assert large == pytest.approx(np.array(LARGE_DRUGS[: drugs.n_large]) / TREATED_ROWS, abs=0.5 / treated)
    assert np.median(drugs.rows) == 6


def test_any_target_can_have_a_positive_in_the_smallest_data_sets():
    found = np.zeros(N_SCORED, int)
    for seed in range(300):
        drugs = _draw(55, seed)
        found += drugs.labels[: drugs.n_train, :N_SCORED].any(axis=0)
    assert found.min() > 0


def test_targets_of_a_drug_are_of_one_family():
    drugs = _draw(TREATED_ROWS)
    small = drugs.labels[drugs.n_large : drugs.n_train, :N_SCORED]
    several = small[small.sum(axis=1) > 1]
    families = [len(set(drugs.family[:N_SCORED][row > 0])) for row in several]
    assert len(several) > 150 and np.mean(np.array(families) == 1) > 0.95


def test_fresh_drugs_have_target_sets_that_occur_in_training():
    drugs = _draw(TREATED_ROWS, n_fresh=500)
    known = {row.tobytes() for row in drugs.labels[drugs.n_large : drugs.n_train]}
    assert all(row.tobytes() in known for row in drugs.labels[drugs.n_train :])


def test_the_seed_decides():
    first, same, other = _draw(829), _draw(829), _draw(829, seed=1)
    assert np.array_equal(first.labels, same.labels) and np.array_equal(first.rows, same.rows)
    assert not np.array_equal(first.labels[:50], other.labels[:50])
