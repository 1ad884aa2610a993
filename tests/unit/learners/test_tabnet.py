"""TabNet: the fast embeddings, compared with the library's own."""

import numpy as np
import pandas as pd
import pytest
import torch
from pytorch_tabnet import tab_network

from moa.learners import tabnet_library
from moa.learners.base import FoldData
from moa.learners.tabnet import TabNetLearner
from moa.learners.tabnet_library import EmbeddingGenerator
from support.units import CPU, Unit

SLOW = tab_network.EmbeddingGenerator


@pytest.mark.parametrize(
    ("places", "sizes", "widths"), [([0, 1], [3, 2], [1, 1]), ([1, 4], [3, 2], [2, 3]), ([], [], [])]
)
def test_embeddings_are_the_librarys_to_the_last_bit(places, sizes, widths):
    rng = np.random.default_rng(0)
    x = torch.tensor(rng.normal(size=(8, 6)), dtype=torch.float32)
    for place, size in zip(places, sizes, strict=True):
        x[:, place] = torch.tensor(rng.integers(0, size, 8), dtype=torch.float32)
    group = torch.tensor(rng.random((4, 6)), dtype=torch.float32)
    made = []
    for kind in (SLOW, EmbeddingGenerator):
        torch.manual_seed(0)
        module = kind(6, sizes, places, widths, group)
        made.append((module, torch.rand(1)))
    (theirs, after), (ours, after_ours) = made
    assert torch.equal(after, after_ours), "the same numbers drawn"
    assert theirs.post_embed_dim == ours.post_embed_dim
    assert torch.equal(theirs.embedding_group_matrix, ours.embedding_group_matrix)
    assert torch.equal(theirs(x), ours(x))
    assert [name for name, _ in theirs.named_parameters()] == [name for name, _ in ours.named_parameters()]


def test_products_by_an_identity_are_left_out_and_no_others():
    def group_matrix(matrix):
        return EmbeddingGenerator(matrix.shape[1], [], [], [], matrix).embedding_group_matrix

    x = torch.randn(5, 3)
    identity, other = (group_matrix(matrix) for matrix in (torch.eye(3), 2 * torch.eye(3)))
    assert torch.matmul(x, identity) is x and identity.shape == (3, 3)
    assert torch.equal(torch.matmul(x, other), 2 * x)
    assert torch.equal(identity + 1, torch.eye(3) + 1)
    assert torch.equal(torch.matmul(torch.eye(2), group_matrix(torch.eye(3)[:2])), torch.eye(3)[:2])


def test_training_is_the_librarys_to_the_last_bit_and_the_library_is_left_as_it_was(monkeypatch):
    rng = np.random.default_rng(0)
    x = np.c_[rng.integers(0, 3, 60), rng.integers(0, 2, 60), rng.normal(size=(60, 9))]
    index = pd.Index([f"id_{i}" for i in range(60)], name="sig_id")
    x = pd.DataFrame(x.astype(np.float32), index)
    y = pd.DataFrame((rng.random((60, 4)) < 0.3).astype(np.float32), index)
    unit = Unit(FoldData(x, y, np.arange(40), np.arange(40, 60)))
    learner = TabNetLearner(
        n_d=4, n_a=4, epochs=3, batch_size=16, virtual_batch_size=8, cat_dims=(3, 2), cat_emb_dim=(1, 1)
    )
    ours = unit.fit(learner)
    assert tab_network.EmbeddingGenerator is SLOW

    monkeypatch.setattr(tabnet_library, "EmbeddingGenerator", SLOW)
    theirs = unit.fit(learner)
    assert ours.history == theirs.history
    assert all(torch.equal(ours.tensors[name], value) for name, value in theirs.tensors.items())
    predicted = learner.predict(theirs, x, CPU)
    monkeypatch.undo()
    assert learner.predict(ours, x, CPU).tobytes() == predicted.tobytes()


def test_all_folds_of_a_seed_start_from_the_same_weights():
    rng = np.random.default_rng(0)
    x = pd.DataFrame(rng.normal(size=(60, 6)).astype(np.float32))
    data = FoldData(x, pd.DataFrame((x.to_numpy()[:, :3] > 1).astype(np.float32)), np.arange(40), np.arange(40, 60))
    still = TabNetLearner(n_d=4, n_a=4, epochs=1, batch_size=16, virtual_batch_size=8, lr=0.0)
    starts = {(seed, fold): Unit(data, seed, fold).fit(still).tensors for seed, fold in ((0, 0), (0, 1), (1, 0))}
    assert all(torch.equal(starts[0, 1][name], value) for name, value in starts[0, 0].items())
    weights = [name for name in starts[0, 0] if name.endswith("fc.weight")]
    assert weights and not any(torch.equal(starts[1, 0][name], starts[0, 0][name]) for name in weights)
