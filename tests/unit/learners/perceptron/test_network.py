"""The blocks of the perceptrons are the published ones."""

import torch
from torch import nn

from moa.learners.dropout import SeededDropout
from moa.learners.perceptron.network import three_fc, two_fc


def test_three_fc_is_the_published_block():
    network = three_fc(10, 3, hidden=16, dropout=(0.15, 0.3, 0.25))
    kinds = [type(module).__name__.replace("Parametrized", "") for module in network]
    assert kinds == [
        "BatchNorm1d",
        "SeededDropout",
        "Linear",
        "LeakyReLU",
        "BatchNorm1d",
        "SeededDropout",
        "Linear",
        "LeakyReLU",
        "BatchNorm1d",
        "SeededDropout",
        "Linear",
    ]
    assert [module.p for module in network if isinstance(module, SeededDropout)] == [0.15, 0.3, 0.25]
    normed = [hasattr(module, "parametrizations") for module in network if isinstance(module, nn.Linear)]
    assert normed == [True, False, True]


def test_two_fc_is_the_published_block():
    network = two_fc(10, 3)
    assert [module.p for module in network if isinstance(module, SeededDropout)] == [0.2, 0.25]
    assert network[2].out_features == 2048 and isinstance(network[3], nn.ReLU)


def test_weight_norm_is_direction_times_length():
    torch.manual_seed(0)
    layer = three_fc(10, 3, hidden=16)[2]
    length, direction = layer.parametrizations.weight.original0, layer.parametrizations.weight.original1
    torch.testing.assert_close(layer.weight, length * direction / direction.norm(dim=1, keepdim=True))
