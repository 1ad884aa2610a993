"""The two-heads network, compared with Keras's rules worked out by hand."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from moa.learners.two_heads.network import (
    Dense,
    EarlyStopping,
    KerasAdam,
    KerasBatchNorm,
    LooperStopping,
    TwoHeads,
    keras_adadelta,
    keras_plateau,
)


def test_batch_norm_keeps_keras_moving_averages():
    x = torch.tensor([[1.0, 10.0], [3.0, 10.0], [8.0, 40.0]])
    norm = KerasBatchNorm(2)
    out = norm(x)
    mean, biased = np.array([4.0, 20.0]), np.array([26 / 3, 200.0])  # the biased variance: sums of squares by 3
    np.testing.assert_allclose(out.detach(), (x.numpy() - mean) / np.sqrt(biased + 1e-3), rtol=1e-5)
    np.testing.assert_allclose(norm.running_mean, 0.99 * 0 + 0.01 * mean, rtol=1e-6)
    np.testing.assert_allclose(norm.running_var, 0.99 * 1 + 0.01 * biased, rtol=1e-6)
    norm.eval()
    moving_mean, moving_var = 0.01 * mean, 0.99 + 0.01 * biased
    np.testing.assert_allclose(
        norm(x).detach(), (x.numpy() - moving_mean) / np.sqrt(moving_var + 1e-3), rtol=1e-5, atol=1e-6
    )


def test_batch_norm_has_the_gradient_of_its_formula():
    x = torch.randn(7, 3, dtype=torch.float64, requires_grad=True)
    norm = KerasBatchNorm(3).double()
    assert torch.autograd.gradcheck(lambda value: norm(value), (x,))


def test_kernels_start_as_keras_draws_them():
    torch.manual_seed(0)
    glorot, lecun = Dense(400, 300), Dense(400, 300, lecun=True)
    limit = math.sqrt(6 / 700)
    assert glorot.weight.abs().max() <= limit and glorot.weight.abs().max() > 0.99 * limit
    assert glorot.weight.std().item() == pytest.approx(limit / math.sqrt(3), rel=0.02)
    assert lecun.weight.std().item() == pytest.approx(math.sqrt(1 / 400), rel=0.02)
    assert lecun.weight.abs().max() <= 2 * math.sqrt(1 / 400) / 0.8796256 + 1e-9
    assert not glorot.bias.any() and not lecun.bias.any()
    network = TwoHeads(20, 10, 5)
    selu = [layer.lecun for layer in network.a4 if isinstance(layer, Dense)]
    assert selu == [True, True] and not any(
        layer.lecun for block in (network.out1, network.a2, network.head) for layer in block if isinstance(layer, Dense)
    )


def test_adam_and_adadelta_step_as_keras_does():
    gradients = [0.5, -0.2, 3e-6, 1e-7]
    adam_by_hand = adadelta_by_hand = 1.0
    m = v = mean_square = mean_update = 0.0
    adam, adadelta = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)
    first, second = KerasAdam([adam], 1e-3), keras_adadelta([adadelta], 0.5)
    for t, g in enumerate(gradients, 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        adam_by_hand -= 1e-3 * math.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (math.sqrt(v) + 1e-7)
        mean_square = 0.95 * mean_square + 0.05 * g * g
        update = g * math.sqrt(mean_update + 1e-7) / math.sqrt(mean_square + 1e-7)
        mean_update = 0.95 * mean_update + 0.05 * update**2
        adadelta_by_hand -= 0.5 * update
        for parameter, optimizer in ((adam, first), (adadelta, second)):
            parameter.grad = torch.tensor([g])
            optimizer.step()
        assert adam.item() == pytest.approx(adam_by_hand, abs=2e-7)
        assert adadelta.item() == pytest.approx(adadelta_by_hand, abs=2e-7)


def test_adam_counts_eps_outside_the_correction():
    """Keras's and PyTorch's Adam differ for a gradient near eps: 1e-7 / (1e-7·sqrt(.001) + 1e-7) against 1/2."""
    parameter = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = KerasAdam([parameter], 1.0)
    parameter.grad = torch.tensor([1e-7], dtype=torch.float64)
    optimizer.step()
    root = math.sqrt(1e-3)
    assert parameter.item() == pytest.approx(-root * 1e-7 / (root * 1e-7 + 1e-7), rel=1e-6)


def test_stopping_and_plateau_count_as_keras_does():
    stopping = EarlyStopping(patience=3, min_delta=0.1)
    found = [(stopping.stops(value), stopping.is_best) for value in (1.0, 0.95, 0.85, 0.80, 0.76, 0.765)]
    # 0.95 gains too little on 1.0; 0.85 gains on it; the next three do not gain more than 0.1 on 0.85. The checkpoint
    # is that of the lowest loss all the same.
    assert found == [(False, True), (False, True), (False, True), (False, True), (False, True), (True, False)]

    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    plateau = keras_plateau(optimizer, 0.5, patience=4)
    rates = []
    for value in [0.5, *[0.49995] * 8, 0.4]:  # a gain of 5e-5 is none
        plateau.step(value)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_the_counter_of_phase_3_also_counts_epochs_that_gain():
    def steps(*values):
        stopping = LooperStopping(patience=3, min_delta=1e-6, lowest=1.0)
        return [(stopping.stops(value), stopping.is_best) for value in values], stopping.lowest

    gains, stays = (False, True), (False, False)
    # The counter is asked before the epoch is added, so that at least four epochs are run, whatever they gain.
    assert steps(1.1, 1.1, 1.1, 1.1) == ([stays, stays, stays, (True, False)], 1.0)
    assert steps(0.9, 0.8, 0.7, 0.7)[0] == [gains, gains, gains, (True, False)]
    assert steps(1.1, 1.1, 1.1, 0.9, 0.9)[0] == [stays, stays, stays, gains, (True, False)]
    assert steps(0.9, 0.8, 0.8, 0.7, 0.7)[0] == [gains, gains, stays, gains, (True, False)]
    # A gain below 1e-6 is none, and is not kept.
    assert steps(1 - 9e-7, 1 - 9.5e-7, 1 - 9.9e-7, 1 - 8e-7) == ([stays, stays, stays, (True, False)], 1.0)
    assert steps(1 - 1.1e-6)[0] == [gains]


def test_wiring_and_widths():
    network = TwoHeads(974, 447, 206)
    widths = {
        name: [layer.weight.shape for layer in block if isinstance(layer, Dense)]
        for name, block in network.named_children()
    }
    assert widths == {
        "out1": [(512, 974), (256, 512)],
        "a1": [(512, 256 + 447)],
        "a2": [(512, 256 + 447 + 512), (256, 512)],
        "a3": [(256, 512 + 256)],
        "a3b": [(256, 512 + 256 + 256)],
        "a4": [(256, 4 * 256), (206, 256)],
        "head": [(206, 206)],
    }
    kinds = [type(layer) for block in network.children() for layer in block]
    activations = [kind for kind in kinds if kind in (nn.ELU, nn.ReLU, nn.SELU)]
    assert activations == [nn.ELU, nn.ELU, nn.ReLU, nn.ELU, nn.ReLU, nn.ELU, nn.ReLU, nn.SELU, nn.SELU]
    body = {name: value.clone() for name, value in network.state_dict().items() if not name.startswith("head")}
    network.renew_head(402)
    assert network(torch.randn(3, 974), torch.randn(3, 447)).shape == (3, 402)
    assert all(torch.equal(network.state_dict()[name], value) or "running" in name or "batches" in name
               for name, value in body.items())  # fmt: skip


def test_network_computes_what_the_wiring_says():
    """Against the blocks written out in numpy."""
    torch.manual_seed(0)
    network = TwoHeads(7, 5, 4, width=6, bottleneck=3).double()
    for value in network.state_dict().values():
        if (
            value.dtype.is_floating_point and value.dim() == 1
        ):  # biases, scales, shifts and statistics get different values
            value.copy_(torch.rand_like(value) + 0.1)
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    scale = 1.0507009873554805

    def elu(x):
        return np.where(x > 0, x, np.expm1(x))

    def relu(x):
        return np.maximum(x, 0)

    def selu(x):
        return scale * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x))

    def block(name, parts, activations):
        x = np.hstack(parts)
        numbers = iter(sorted({int(key.split(".")[1]) for key in weights if key.startswith(f"{name}.")}))
        for activation in activations:
            norm, dense = ({k.split(".")[2]: v for k, v in weights.items() if k.startswith(f"{name}.{number}.")}
                           for number in (next(numbers), next(numbers)))  # fmt: skip
            x = (x - norm["running_mean"]) / np.sqrt(norm["running_var"] + 1e-3) * norm["weight"] + norm["bias"]
            x = activation(x @ dense["weight"].T + dense["bias"])
        return x

    rng = np.random.default_rng(0)
    h1, h2 = rng.normal(size=(8, 7)), rng.normal(size=(8, 5))
    out1 = block("out1", [h1], (elu, elu))
    a1 = block("a1", [out1, h2], (relu,))
    a2 = block("a2", [out1, h2, a1], (elu, relu))
    a3 = block("a3", [a1, a2], (elu,))
    a3_dash = block("a3b", [a1, a2, a3], (relu,))
    a4 = block("a4", [out1, a2, a3, a3_dash], (selu, selu))
    expected = block("head", [a4], (lambda x: x,))
    network.eval()
    found = network(torch.from_numpy(h1), torch.from_numpy(h2)).detach()
    np.testing.assert_allclose(found, expected, rtol=1e-9)
