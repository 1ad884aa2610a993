"""Explanations of the DeepInsight CNNs: against networks whose answer is known, and on real ones."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from moa.errors import UserError
from moa.learners.deepinsight.attributions import attributions, class_images
from moa.learners.deepinsight.backbones import build_network
from moa.learners.deepinsight.fitted import FittedCNN
from support.naive_images import naive_images
from support.tiny_cnn import TINY_EFFICIENTNET, TINY_RESNEST, unit_in


class Probe(nn.Module):
    """Scores that are known functions of the image: its mean channel's sum, three times that, and its left half's."""

    def __init__(self):
        super().__init__()
        self.bn2 = nn.Identity()

    def forward(self, images):
        mean = self.bn2(images)[:, 0]
        left = mean[..., : mean.shape[-1] // 2].sum((1, 2))
        return torch.stack([mean.sum((1, 2)), 3 * mean.sum((1, 2)), left], 1)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Scaled inputs and targets."""
    data = unit_in(tmp_path_factory.mktemp("rows")).data
    return data.X, data.y


@pytest.fixture
def probed(whole):
    fitted = FittedCNN.restore(whole)
    fitted.network = Probe()
    return fitted


def test_gradients_come_back_to_named_features(probed, whole, rows):
    X, _ = rows
    table = attributions(probed, X, ["moa-1", "moa-0", "moa-2"], batch_size=33)
    assert list(table.index) == list(X.columns) and list(table.columns) == ["moa-1", "moa-0", "moa-2"]
    pixel = pd.Series([*zip(whole.tensors["map.rows"].tolist(), whole.tensors["map.cols"].tolist(), strict=True)])
    sharing = pixel.map(pixel.value_counts()).to_numpy()
    assert sharing.max() > 1
    np.testing.assert_allclose(table["moa-0"], 1 / sharing, rtol=1e-5)
    np.testing.assert_allclose(table["moa-1"], 3 / sharing, rtol=1e-5)
    left = whole.tensors["map.cols"].numpy() < 8
    np.testing.assert_allclose(table["moa-2"], left / sharing, rtol=1e-5)


def test_grad_cam_lights_up_features_by_their_pixel(probed, whole, rows):
    X, _ = rows
    heat = attributions(probed, X.iloc[:1], ["moa-0"], "grad-cam")["moa-0"]
    mean_channel = probed.renderer(probed.values(X.iloc[:1]))[0, 0]
    expected = mean_channel[whole.tensors["map.rows"], whole.tensors["map.cols"]] / mean_channel.max()
    np.testing.assert_allclose(heat, expected, rtol=1e-5)


@pytest.mark.parametrize("backbone", [TINY_EFFICIENTNET, TINY_RESNEST])
@pytest.mark.parametrize("method", ["gradient", "grad-cam"])
def test_explanations_of_real_networks(whole, rows, backbone, method):
    X, _ = rows
    network = build_network(backbone, 3, 16)
    tensors = {name: value for name, value in whole.tensors.items() if not name.startswith("network.")}
    tensors |= {f"network.{name}": value for name, value in network.state_dict().items()}
    meta = whole.meta | {"backbone": backbone.model_dump()}
    fitted = FittedCNN.restore(type(whole)(tensors, meta))
    table = attributions(fitted, X.iloc[:6], ["moa-2"], method)
    assert table.shape == (40, 1) and np.isfinite(table).all(axis=None) and (table >= 0).all(axis=None)
    assert method == "grad-cam" or (table > 0).any(axis=None)


def test_explanations_refuse_what_they_do_not_know(probed, rows):
    X, y = (table.iloc[:5] for table in rows)
    with pytest.raises(UserError, match="target 'moa-9'"):
        attributions(probed, X, ["moa-9"])
    with pytest.raises(UserError, match="method 'tea leaves'"):
        attributions(probed, X, ["moa-0"], "tea leaves")
    with pytest.raises(UserError, match="no rows"):
        attributions(probed, X.iloc[:0], ["moa-0"])
    with pytest.raises(UserError, match="no row carries target 'moa-0'"):
        class_images(probed, X, y * 0, ["moa-0"])
    with pytest.raises(UserError, match="same rows"):
        class_images(probed, X, y.iloc[::-1], ["moa-0"])


def test_class_images_are_means_of_naive_images(probed, whole, rows):
    X, y = rows
    images = class_images(probed, X, y, ["moa-0", "moa-1"], batch_size=7)
    chosen = X[y["moa-1"] > 0]
    naive = naive_images(
        probed.values(chosen).numpy(), whole.tensors["map.rows"].numpy(), whole.tensors["map.cols"].numpy(), (16, 16)
    )
    assert list(images) == ["moa-0", "moa-1"] and images["moa-1"].shape == (3, 16, 16)
    np.testing.assert_allclose(images["moa-1"], naive.mean(0), atol=1e-6)
