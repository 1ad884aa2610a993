"""What the synthetic drugs do to genes and cells."""

import numpy as np
import pytest

from moa.data.synthetic_drugs import draw_drugs
from moa.data.synthetic_response import N_CELLS, N_GENES, Response, Settings

TREATED, WELLS = 5000, 600


@pytest.fixture(scope="module")
def response():
    rng = np.random.default_rng(0)
    return Response.draw(rng, draw_drugs(rng, TREATED, 10))


def _wells(response, drug, seed=1):
    drug = np.full(WELLS, drug)
    return response.features(np.random.default_rng(seed), drug, np.arange(WELLS) % 3, np.arange(WELLS) % 2)


def test_controls_have_no_effect(response):
    values = _wells(response, -1)
    assert values.shape == (WELLS, N_GENES + N_CELLS) and values.dtype == np.float32
    assert np.abs(values[:, :N_GENES].mean(axis=0)).max() < 0.3 and values.std() < 1
    assert values[:, N_GENES:].mean() == pytest.approx(Settings().cell_offset, abs=0.05)


def test_the_largest_drug_kills_all_cell_lines(response):
    values = _wells(response, 0)
    assert (values[:, N_GENES:].mean(axis=0) < -4).all() and values.min() == -10


def test_a_strong_drug_moves_genes_in_its_own_direction(response):
    first, second = (_wells(response, drug)[:, :N_GENES].mean(axis=0) for drug in (1, 2))
    again = _wells(response, 1, seed=2)[:, :N_GENES].mean(axis=0)
    assert np.corrcoef(first, again)[0, 1] > 0.95 and abs(np.corrcoef(first, second)[0, 1]) < 0.7


def test_drugs_of_a_strong_target_resemble_each_other_and_half_of_the_drugs_hardly_act(response):
    rng = np.random.default_rng(3)
    drugs = draw_drugs(rng, TREATED, 0)
    settings = Settings(strong_targets=1.0, elsewhere=0.0)
    actions = Response.draw(rng, drugs, settings).actions
    target = drugs.labels[drugs.n_large : drugs.n_train, :206].sum(axis=0).argmax()
    have = drugs.labels[:, target] > 0
    directions = actions.direction / np.linalg.norm(actions.direction, axis=1, keepdims=True)
    same = directions[have] @ directions[have].T
    other = directions[have] @ directions[~have].T
    assert same[np.triu_indices(have.sum(), 1)].mean() > other.mean() + 0.2
    activity = response.actions.activity
    assert np.median(activity) < 0.25 and (activity > 1).mean() > 0.08


def test_the_seed_decides(response):
    assert np.array_equal(_wells(response, 3), _wells(response, 3))
    assert not np.array_equal(_wells(response, 3), _wells(response, 3, seed=2))
