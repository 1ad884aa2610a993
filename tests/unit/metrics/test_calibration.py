"""Calibration: the formulas, and what is chosen."""

import numpy as np
import pytest

from moa.metrics.calibration import BETAS, GAMMAS, Calibration, cell_losses, choose, grid, one_each, prior_of
from moa.metrics.pooling import evidence


def logit(p):
    return np.log(p / (1 - p))


@pytest.fixture
def q():
    return np.random.default_rng(0).dirichlet(np.ones(4), size=50)


PRIOR = np.array([0.4, 0.3, 0.2, 0.1])


def test_there_are_twenty_betas_and_three_gammas_the_identity_among_them(q):
    assert len(BETAS) == 20 and min(BETAS) == 0 and max(BETAS) == 5 and GAMMAS == (0, 0.5, 1)
    assert len(list(grid(True))) == 60
    for one in (True, False):
        assert np.allclose(Calibration(one, 1, 1).apply(q, PRIOR), q)


def test_the_formula_of_one_mechanism(q):
    found = Calibration(True, 1.7, 0.5).apply(q, PRIOR)
    expected = np.exp(0.5 * np.log(PRIOR) + 1.7 * (np.log(q) - np.log(PRIOR)))
    assert np.allclose(found, expected / expected.sum(axis=1, keepdims=True))


def test_the_formula_of_several_mechanisms(q):
    m = logit(PRIOR.mean())
    found = Calibration(False, 0.6, 0.5).apply(q, PRIOR)
    expected = m + 0.5 * (logit(PRIOR) - m) + 0.6 * (logit(q) - logit(PRIOR))
    assert np.allclose(found, 1 / (1 + np.exp(-expected)))


def test_each_row_can_have_its_own_prior(q):
    priors = np.tile(PRIOR, (50, 1))
    priors[7] = PRIOR[::-1]
    found = Calibration(True, 2, 0).apply(q, priors)
    assert np.allclose(found[7], Calibration(True, 2, 0).apply(q[7:8], PRIOR[::-1])[0])
    assert np.allclose(found[8], Calibration(True, 2, 0).apply(q[8:9], PRIOR)[0])


def test_probabilities_of_zero_and_one_stay_finite():
    found = Calibration(False, 5, 0).apply(np.array([[0.0, 1.0]]), np.array([0.5, 0.5]))
    assert np.isfinite(found).all() and np.isfinite(cell_losses(found, np.array([[True, False]]))).all()


def test_prior_is_never_zero():
    assert np.allclose(prior_of(np.array([0, 3]), 9), [0.05, 0.35])
    assert np.allclose(prior_of(np.array([[0, 3], [1, 1]]), np.array([9, 4])), [[0.05, 0.35], [0.3, 0.3]])


def test_one_mechanism_is_where_each_row_has_exactly_one():
    assert one_each(np.eye(3)) and not one_each(np.ones((2, 3))) and not one_each(np.eye(3)[:, :2])
    assert not one_each(np.ones((4, 1))) and not one_each(np.zeros((0, 3)))


@pytest.mark.parametrize("sure", [0.5, 2.5])
def test_evidence_that_is_scaled_is_scaled_back(sure):
    """Labels are drawn from probabilities, of which the model gives a sharper or flatter version."""
    rng = np.random.default_rng(1)
    truth = Calibration(True, 1.0, 1.0).apply(rng.dirichlet(np.ones(4), size=4000), PRIOR)
    labels = np.eye(4)[[rng.choice(4, p=row) for row in truth]]
    given = evidence(truth, True) - np.log(PRIOR)
    found = choose([("wrong", -given), ("right", sure * given)], labels, np.tile(PRIOR, (4000, 1)), True)
    assert found.name == "right" and found.calibration.gamma == 1.0
    assert found.calibration.beta * sure == pytest.approx(1, abs=0.15)
    assert found.loss == pytest.approx(cell_losses(truth, labels > 0).mean(), rel=0.01)


def test_noise_is_not_trusted():
    rng = np.random.default_rng(2)
    labels = np.eye(4)[rng.choice(4, size=2000, p=PRIOR)]
    found = choose([("noise", rng.normal(size=(2000, 4)))], labels, np.tile(PRIOR, (2000, 1)), True)
    assert found.calibration.beta <= 0.1 and found.calibration.gamma == 1.0
