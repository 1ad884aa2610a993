"""Backbones of the DeepInsight CNNs: rates, head, real-size steps, and where ImageNet weights come from."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from moa.errors import UserError
from moa.learners.deepinsight.backbones import EfficientNet, ResNeSt, build_network, load_pretrained
from moa.learners.deepinsight.rendering import Renderer
from support.tiny_cnn import TINY, TINY_EFFICIENTNET, TINY_RESNEST, assert_same, unit_in


def test_efficientnet_has_the_published_rates_and_head():
    network = build_network(EfficientNet(), n_targets=206)
    rates = [layer.drop_prob for layer in network.modules() if type(layer).__name__ == "DropPath"]
    assert network.drop_rate == 0.3
    assert len(rates) == 25 and rates == sorted(rates) and rates[-1] == pytest.approx(0.2 * 25 / 26)
    assert sum(p.numel() for p in network.parameters()) == 10_696_232 + 1536 * 512 + 512 + 512 * 206 + 206
    check_head(network.classifier, 1536)


@pytest.mark.parametrize("rate", [0.0, 0.2])
def test_resnest_is_the_published_one(rate):
    from resnest.torch.ablation import resnest50_fast_2s2x40d

    network = build_network(ResNeSt(final_drop=rate), n_targets=206)
    assert (network.drop.p if network.drop else 0.0) == rate
    published = resnest50_fast_2s2x40d().state_dict()
    ours = {name: value.shape for name, value in network.state_dict().items() if not name.startswith("fc.")}
    assert ours == {name: value.shape for name, value in published.items() if not name.startswith("fc.")}
    check_head(network.fc, 2048)


def check_head(head, inputs):
    assert [type(layer) for layer in head] == [nn.Linear, nn.ELU, nn.Linear]
    for layer, size in ((head[0], (512, inputs)), (head[2], (206, 512))):
        assert layer.weight.shape == size
        assert layer.weight.abs().max() <= size[0] ** -0.5
        assert layer.weight.std().item() == pytest.approx(size[0] ** -0.5 / 3**0.5, rel=0.02)
        assert (layer.bias == 0).all()


@pytest.mark.parametrize(("backbone", "size"), [(EfficientNet(), 300), (ResNeSt(final_drop=0.2), 224)])
def test_a_real_size_step(backbone, size):
    torch.manual_seed(0)
    network = build_network(backbone, 206).train()
    rng = np.random.default_rng(0)
    renderer = Renderer(rng.integers(size, size=875), rng.integers(size, size=875), (size, size))
    images = renderer(torch.rand(8, 875), reuse=True)
    assert images.shape == (8, 3, size, size)
    scores = network(images)
    assert scores.shape == (8, 206)
    loss = nn.functional.binary_cross_entropy_with_logits(scores, torch.zeros(8, 206))
    loss.backward()
    assert torch.isfinite(loss)
    gradients = [p.grad for p in network.parameters()]
    assert all(g is not None and torch.isfinite(g).all() for g in gradients)
    assert gradients[0].abs().max() > 0


# ImageNet weights


@pytest.fixture
def state():
    torch.manual_seed(5)
    return TINY_EFFICIENTNET.build().state_dict()


@pytest.fixture
def no_downloads(monkeypatch):
    def fail(*arguments, **options):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fail)
    monkeypatch.delenv("MOA_PRETRAINED", raising=False)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_local_weights_come_first(tmp_path, state, no_downloads, monkeypatch, suffix):
    path = tmp_path / f"test_efficientnet{suffix}"
    if suffix == ".pth":
        old = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
        torch.save(old, path)
    else:
        save_file(state, path)
    loaded, origin = load_pretrained(TINY_EFFICIENTNET, tmp_path)
    assert origin.startswith(path.name + " sha256:") and len(origin.split(":")[1]) == 64
    network = build_network(TINY_EFFICIENTNET, 206, 512, loaded)
    assert torch.equal(network.conv_stem.weight, state["conv_stem.weight"])
    monkeypatch.setenv("MOA_PRETRAINED", str(tmp_path))
    assert load_pretrained(TINY_EFFICIENTNET)[1] == origin


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": state, "epoch": 3, "arch": "test"},
        lambda state: {"model": {"module." + name: value for name, value in state.items()}, "optimizer": {"lr": 0.1}},
        lambda state: {"state_dict": {name: 2 * value for name, value in state.items()}, "state_dict_ema": state},
        lambda state: {"state_dict": {"model." + name: value for name, value in state.items()}},
    ],
)
def test_a_checkpoint_of_a_training_program_is_unwrapped(tmp_path, no_downloads, state, wrap):
    path = tmp_path / "test_efficientnet.pth"
    torch.save(wrap(state), path)
    loaded, _ = load_pretrained(TINY_EFFICIENTNET, tmp_path)
    assert loaded.keys() == state.keys() and torch.equal(loaded["conv_stem.weight"], state["conv_stem.weight"])


@pytest.mark.parametrize(
    "content",
    [
        [1, 2],
        torch.ones(2),
        {},
        {"state_dict": {}},
        {"state_dict": [1]},
        {"epoch": 3},
        {"conv_stem.weight": "text"},
        {1: torch.ones(2)},
        {"state_dict": {"w": torch.ones(2), "args": {"lr": 1}}},
    ],
)
def test_what_holds_no_state_is_refused_in_one_line(tmp_path, no_downloads, content):
    path = tmp_path / "test_efficientnet.pth"
    torch.save(content, path)
    with pytest.raises(UserError, match="test_efficientnet.pth is not a file of weights .*fetch it again") as caught:
        load_pretrained(TINY_EFFICIENTNET, tmp_path)
    assert "\n" not in str(caught.value)


def test_weights_are_fetched_where_none_are_local(state, no_downloads, monkeypatch):
    monkeypatch.setattr(EfficientNet, "files", lambda self: {"a-0123abcd.pth": "https://example.org/a-0123abcd.pth"})
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda url, check_hash, **options: check_hash and state)
    loaded, origin = load_pretrained(TINY_EFFICIENTNET)
    assert origin == "hub" and torch.equal(loaded["conv_stem.weight"], state["conv_stem.weight"])


@pytest.mark.parametrize(
    ("backbone", "file"),
    [
        (EfficientNet(), "tf_efficientnet_b3_ns-9d44bf68.pth"),
        (ResNeSt(), "resnest50_fast_2s2x40d-9d126481.pth"),
    ],
)
def test_missing_weights_say_what_to_fetch(tmp_path, no_downloads, backbone, file):
    with pytest.raises(UserError) as caught:
        load_pretrained(backbone, tmp_path)
    message = str(caught.value)
    assert "https://" in message and f"put it into {tmp_path} as {file}" in message and "no route to host" in message
    assert "\n" not in message


class Bomb:
    def __reduce__(self):
        return (os.mkdir, ("exploded",))


def test_bad_weights_are_refused(tmp_path, state, no_downloads, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="there are no ImageNet weights for this resnest"):
        load_pretrained(TINY_RESNEST, tmp_path)
    path = tmp_path / "test_efficientnet.pth"
    torch.save(Bomb(), path)
    with pytest.raises(UserError, match="is not a file of weights"):
        load_pretrained(TINY_EFFICIENTNET, tmp_path)
    assert not Path("exploded").exists()
    torch.save(state | {"conv_stem.weight": torch.zeros(1)}, path)
    with pytest.raises(UserError, match="'conv_stem.weight' differs"):
        load_pretrained(TINY_EFFICIENTNET, tmp_path)
    damaged = tmp_path / "resnest50_fast_2s2x40d-9d126481.pth"
    damaged.write_bytes(b"half a file")
    with pytest.raises(UserError, match="sha256 begins"):
        load_pretrained(ResNeSt(), tmp_path)


@pytest.fixture
def unit(tmp_path, state):
    """A unit whose runtime names a folder of ImageNet weights."""
    unit = unit_in(tmp_path / "unit")
    save_file(state, tmp_path / "test_efficientnet.safetensors")
    return dataclasses.replace(unit, runtime=unit.runtime.replace(pretrained=tmp_path))


def test_learner_starts_from_the_weights(unit, state, no_downloads):
    still = {"epochs": 1, "lr": 1e-30}  # weights stay as they were at the start
    fitted = unit.fit(TINY.model_copy(update={"pretrained": True, **still}))
    assert torch.equal(fitted.tensors["network.conv_stem.weight"], state["conv_stem.weight"])
    assert "sha256" in fitted.meta["pretrained"]
    scratch = unit.fit(TINY.model_copy(update=still))
    assert scratch.meta["pretrained"] is None
    assert not torch.equal(scratch.tensors["network.conv_stem.weight"], state["conv_stem.weight"])


def test_resuming_needs_no_imagenet_weights(unit, no_downloads):
    learner = TINY.model_copy(update={"pretrained": True, "epochs": 1})
    first = unit.fit(learner)
    again = dataclasses.replace(unit, runtime=unit.runtime.replace(pretrained=None)).fit(learner)
    assert_same(first, again)
    assert "sha256" in again.meta["pretrained"]
