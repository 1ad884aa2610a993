"""DeepInsight CNNs: backbones and their weights, one fold under Lightning, kill and resume, explanations."""

import multiprocessing
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from pydantic import TypeAdapter
from safetensors.torch import save_file
from sklearn.metrics import roc_auc_score
from torch import nn

import moa.backbones as backbones
from moa.attributions import attributions, class_images
from moa.backbones import EfficientNet, ResNeSt, build_network, load_pretrained
from moa.cnn import CNNLearner, FittedCNN, Runtime, epoch_seed
from moa.cnn_training import Batches, FoldModule, cosine
from moa.errors import UserError
from moa.learner import Fold
from moa.rendering import Renderer
from naive_images import naive_images

CPU = torch.device("cpu")
TINY_EFFICIENTNET = EfficientNet(name="test_efficientnet")
TINY_RESNEST = ResNeSt(blocks=(1, 1, 1, 1), width=4, stem_width=4, final_drop=0.2)
TINY = CNNLearner(
    backbone=TINY_EFFICIENTNET,
    hidden=16,
    resolution=16,
    map_iterations=250,
    epochs=4,
    batch_size=16,
    lr=3e-3,
    swap_probability=0.5,
    pretrained=False,
)


def tables(rows=80, features=40, targets=3, seed=0):
    """Features in three conditions and groups that move together; the first target follows the first group."""
    rng = np.random.default_rng(seed)
    groups = rng.normal(size=(rows, 4))
    x = np.c_[rng.integers(0, 2, (rows, 3)), groups.repeat(10, 1)[:, : features - 3]]
    x = x + 0.2 * rng.normal(size=x.shape)
    y = np.c_[groups[:, 0] > 0, rng.random((rows, targets - 1)) < 0.2]
    index = pd.Index([f"id_{i:03d}" for i in range(rows)], name="sig_id")
    return (
        pd.DataFrame(x.astype(np.float32), index, [f"f-{i}" for i in range(features)]),
        pd.DataFrame(y.astype(np.float32), index, [f"moa-{i}" for i in range(targets)]),
    )


def fold_in(scratch, device=CPU, **options):
    x, y = tables(**options)
    order = np.random.default_rng(1).permutation(len(x))
    Path(scratch).mkdir(parents=True, exist_ok=True)
    return Fold(x, y, order[20:], order[:20], seed=3, fold=1, device=device, scratch=Path(scratch))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run of the tiny learner."""
    return TINY.fit(fold_in(tmp_path_factory.mktemp("whole")))


def log_loss(p, y):
    return float(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean())


# Optimizer and schedule


def test_radam_is_torchs_own_with_decoupled_decay():
    from torch_optimizer import RAdam

    torch.manual_seed(0)
    first, x = nn.Linear(6, 4), torch.randn(30, 6)
    second = nn.Linear(6, 4)
    second.load_state_dict(first.state_dict())
    start = first.weight.detach().clone()
    kinds = [
        (first, RAdam(first.parameters(), lr=0.02, weight_decay=0.3)),
        (second, torch.optim.RAdam(second.parameters(), lr=0.02, weight_decay=0.3, decoupled_weight_decay=True)),
    ]
    for _ in range(40):
        for network, optimizer in kinds:
            optimizer.zero_grad()
            network(x).square().mean().backward()
            optimizer.step()
    torch.testing.assert_close(first.weight, second.weight, rtol=1e-5, atol=1e-6)
    assert (first.weight - start).abs().max() > 0.1


def test_learning_rate_is_the_plain_cosine_that_rises_again():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=5)
    for epoch in range(23):
        assert cosine(0.4, epoch, 5) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-9)
        optimizer.step()
        schedule.step()
    assert [cosine(0.4, epoch, 5) for epoch in (0, 5, 10)] == pytest.approx([0.4, 0, 0.4])


def test_batches_hold_each_row_once_in_an_order_of_the_epoch():
    order = lambda rows: torch.randperm(rows, generator=torch.Generator().manual_seed(seeds.pop()))  # noqa: E731
    seeds = [2, 1, 1]
    batches = Batches(33, 8, order)
    epochs = [torch.cat(list(batches)) for _ in range(3)]
    assert len(batches) == 4 and all(len(epoch.unique()) == 32 for epoch in epochs)  # one row alone is left out
    assert torch.equal(epochs[0], epochs[1]) and not torch.equal(epochs[0], epochs[2])
    assert torch.cat(list(Batches(33, 8))).tolist() == list(range(33))
    shares = []
    for rank in range(2):
        shared = Batches(33, 8, lambda rows: torch.arange(rows).flip(0))
        shared.share = (rank, 2)
        assert len(list(shared)) == len(shared) == 2
        shares += torch.cat(list(shared)).tolist()
    assert sorted(shares) == list(range(1, 33))


def test_random_streams_differ_by_seed_fold_epoch_and_purpose():
    places = [(s, f, e, k) for s in range(3) for f in range(3) for e in range(5) for k in range(3)]
    assert len({epoch_seed(*place) for place in places}) == len(places)


# Backbones


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


@pytest.mark.parametrize("backbone, size", [(EfficientNet(), 300), (ResNeSt(final_drop=0.2), 224)])
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

    monkeypatch.setattr(backbones, "load_state_dict_from_hf", fail)
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


def test_weights_are_fetched_where_none_are_local(state, no_downloads, monkeypatch):
    monkeypatch.setattr(backbones, "load_state_dict_from_hf", lambda hub, weights_only: state)
    loaded, origin = load_pretrained(TINY_EFFICIENTNET)
    assert origin == "hub" and torch.equal(loaded["conv_stem.weight"], state["conv_stem.weight"])


@pytest.mark.parametrize(
    "backbone, file",
    [
        (EfficientNet(), "tf_efficientnet_b3.ns_jft_in1k.safetensors"),
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
    with pytest.raises(UserError, match="is no file of weights"):
        load_pretrained(TINY_EFFICIENTNET, tmp_path)
    assert not Path("exploded").exists()
    torch.save(state | {"conv_stem.weight": torch.zeros(1)}, path)
    with pytest.raises(UserError, match="'conv_stem.weight' differs"):
        load_pretrained(TINY_EFFICIENTNET, tmp_path)
    damaged = tmp_path / "resnest50_fast_2s2x40d-9d126481.pth"
    damaged.write_bytes(b"half a file")
    with pytest.raises(UserError, match="sha256 begins"):
        load_pretrained(ResNeSt(), tmp_path)


def test_learner_starts_from_the_weights(tmp_path, state, no_downloads):
    save_file(state, tmp_path / "test_efficientnet.safetensors")
    learner = TINY.model_copy(update={"pretrained": True, "weights_dir": tmp_path})
    network, origin = learner.start(5, seed=0)
    assert torch.equal(network.conv_stem.weight, state["conv_stem.weight"]) and "sha256" in origin
    scratch, origin = TINY.start(5, seed=0)
    assert origin is None and not torch.equal(scratch.conv_stem.weight, state["conv_stem.weight"])


# One fold


def test_hyper_parameters_survive_a_dump_and_runtime_is_none_of_them():
    learner = CNNLearner(backbone=TINY_RESNEST, resolution=224, runtime=Runtime(devices=2), weights_dir=Path("w"))
    dumped = learner.model_dump()
    assert "runtime" not in dumped and "weights_dir" not in dumped
    again = TypeAdapter(CNNLearner).validate_python(dumped)
    assert again.backbone == TINY_RESNEST and again.resolution == 224 and again.runtime == Runtime()


def test_fit_keeps_the_best_epoch_and_predicts_what_it_was_scored_on(whole, tmp_path):
    fold = fold_in(tmp_path)
    assert [row["epoch"] for row in whole.history] == [0, 1, 2, 3]
    losses = [row["valid_loss"] for row in whole.history]
    assert whole.meta["best_epoch"] == int(np.argmin(losses))
    assert [row["lr"] for row in whole.history] == pytest.approx([cosine(3e-3, e, 5) for e in range(4)])
    valid = fold.x.iloc[fold.valid]
    p = TINY.predict(whole, valid, CPU)
    assert p.shape == (20, 3) and p.dtype == np.float32
    assert log_loss(p, fold.y.iloc[fold.valid].to_numpy()) == pytest.approx(min(losses), rel=1e-5)
    # A row's prediction is its own: any number of rows, in any order.
    np.testing.assert_allclose(TINY.predict(whole, valid.iloc[[7]], CPU)[0], p[7], atol=1e-6)
    small = TINY.model_copy(update={"runtime": Runtime(predict_batch=3)})
    np.testing.assert_allclose(small.predict(whole, valid.iloc[::-1], CPU)[::-1], p, atol=1e-6)
    assert TINY.predict(whole, valid.iloc[:0], CPU).shape == (0, 3)
    assert all(value.is_contiguous() and value.device == CPU for value in whole.tensors.values())


def test_fit_sees_the_training_rows_alone_and_leaves_everything_as_it_was(whole, tmp_path):
    fold = fold_in(tmp_path)
    clean, state = fold.x.copy(), torch.get_rng_state()
    seen = []
    again = TINY.fit(Fold(**(vars(fold) | {"on_epoch": lambda *values: seen.append(values)})))
    pd.testing.assert_frame_equal(fold.x, clean)
    assert torch.equal(torch.get_rng_state(), state)
    assert [(epoch, epochs) for epoch, epochs, _ in seen] == [(e, 4) for e in range(4)]
    assert seen[-1][2] == again.history[-1]
    assert_same(again, whole)
    np.testing.assert_allclose(whole.tensors["scaler.minimum"], fold.x.iloc[fold.train].min())
    other = TINY.fit(Fold(**(vars(fold_in(tmp_path / "other")) | {"seed": 4})))
    assert other.history != whole.history


def assert_same(first, second):
    assert first.history == second.history and first.meta == second.meta
    assert first.tensors.keys() == second.tensors.keys()
    assert all(torch.equal(first.tensors[name], second.tensors[name]) for name in first.tensors)


def test_columns_of_another_table_are_refused(whole):
    x, _ = tables(5)
    with pytest.raises(UserError, match="column 2 of the features is f-2, but the network was trained with f-1"):
        TINY.predict(whole, x.drop(columns="f-1"), CPU)
    with pytest.raises(UserError, match="column 40 of the features is nothing"):
        TINY.predict(whole, x.iloc[:, :-1], CPU)


def test_a_planted_target_is_learned(tmp_path):
    x, y = tables(500, targets=2)
    learner = TINY.model_copy(
        update={"backbone": TINY_RESNEST, "epochs": 6, "swap_probability": 0.1, "half_cycle": 6, "batch_size": 32}
    )
    order = np.random.default_rng(0).permutation(500)
    fold = Fold(x, y, order[100:], order[:100], 0, 0, CPU, tmp_path)
    p = learner.predict(learner.fit(fold), x.iloc[order[:100]], CPU)
    assert roc_auc_score(y.iloc[order[:100], 0], p[:, 0]) > 0.95


# Kill and resume


def train_until_killed(scratch):
    """In a process of its own: dies without a word in the second batch of the third epoch."""
    step = FoldModule.training_step

    def dying(self, rows, number):
        if (self.current_epoch, number) == (2, 1):
            os._exit(9)
        return step(self, rows, number)

    FoldModule.training_step = dying
    torch.set_num_threads(1)
    TINY.fit(fold_in(scratch))


def test_a_killed_fold_ends_where_an_uninterrupted_one_does(whole, tmp_path, monkeypatch):
    process = multiprocessing.get_context("spawn").Process(target=train_until_killed, args=(str(tmp_path),))
    process.start()
    process.join()
    assert process.exitcode == 9 and len(list(tmp_path.glob("last-*.ckpt"))) == 1
    trained = []
    step = FoldModule.training_step
    monkeypatch.setattr(
        FoldModule,
        "training_step",
        lambda self, rows, number: trained.append(self.current_epoch) or step(self, rows, number),
    )
    resumed = TINY.fit(fold_in(tmp_path))
    assert set(trained) == {2, 3}  # two epochs were not trained again
    assert_same(resumed, whole)
    fold = fold_in(tmp_path)
    assert np.array_equal(TINY.predict(resumed, fold.x, CPU), TINY.predict(whole, fold.x, CPU))
    # Other settings do not take the checkpoint up.
    trained.clear()
    TINY.model_copy(update={"epochs": 1, "smoothing": 0.0}).fit(fold)
    assert set(trained) == {0}


def test_resuming_needs_no_imagenet_weights(tmp_path, state, no_downloads):
    weights = tmp_path / "weights"
    weights.mkdir()
    save_file(state, weights / "test_efficientnet.safetensors")
    learner = TINY.model_copy(update={"pretrained": True, "weights_dir": weights, "epochs": 1})
    first = learner.fit(fold_in(tmp_path / "unit"))
    again = learner.model_copy(update={"weights_dir": None}).fit(fold_in(tmp_path / "unit"))
    assert_same(first, again)
    assert "sha256" in again.meta["pretrained"]


def test_training_stops_when_the_validation_loss_does_and_stays_stopped(tmp_path, monkeypatch):
    losses = [3.0, 2.0, 2.5, 2.1, 2.2, 1.0]
    validated = []

    def log(self):
        validated.append(self.current_epoch)
        self.log("valid_loss", torch.tensor(losses[self.current_epoch]))

    monkeypatch.setattr(FoldModule, "on_validation_epoch_end", log)
    learner = TINY.model_copy(update={"epochs": 20, "patience": 3})
    first = learner.fit(fold_in(tmp_path))
    assert [row["valid_loss"] for row in first.history] == pytest.approx(losses[:5]) and first.meta["best_epoch"] == 1
    # Killed after stopping, before the unit was stored: the checkpoint is still there.
    assert_same(learner.fit(fold_in(tmp_path)), first)
    assert validated == [0, 1, 2, 3, 4]


# Lightning


def test_options_reach_lightning(tmp_path, monkeypatch):
    seen = {}

    class Spy(pl.Trainer):
        def __init__(self, **options):
            seen.update(options)
            super().__init__(**options | {"devices": 1, "strategy": "auto"})

    monkeypatch.setattr(pl, "Trainer", Spy)
    runtime = Runtime(devices=3, strategy="ddp", precision="bf16-mixed", tensorboard=True, channels_last=True)
    learner = TINY.model_copy(update={"runtime": runtime, "epochs": 1})
    fitted = learner.fit(fold_in(tmp_path))
    assert (seen["devices"], seen["strategy"], seen["precision"]) == (3, "ddp", "bf16-mixed")
    assert (seen["gradient_clip_val"], seen["max_epochs"], seen["accelerator"]) == (10.0, 1, "cpu")
    assert list(tmp_path.glob("tensorboard/seed-3/fold-1/events*"))
    p = learner.predict(fitted, fold_in(tmp_path).x, CPU)
    exact = TINY.predict(fitted, fold_in(tmp_path).x, CPU)
    np.testing.assert_allclose(p, exact, atol=0.02)
    assert not np.array_equal(p, exact)  # half precision was indeed used


def test_training_loss_is_smoothed_and_validation_loss_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(FoldModule, "configure_optimizers", lambda self: torch.optim.SGD(self.parameters(), lr=0.0))
    plain = {"lr": 0.0, "epochs": 1, "swap_probability": 0.0, "backbone": TINY_RESNEST}
    rows = [
        TINY.model_copy(update=plain | {"smoothing": s}).fit(fold_in(tmp_path / str(s))).history[0] for s in (0.0, 0.5)
    ]
    assert rows[0]["valid_loss"] == rows[1]["valid_loss"]
    assert abs(rows[0]["train_loss"] - rows[1]["train_loss"]) > 1e-3


def test_precision_follows_the_chip(monkeypatch):
    assert Runtime().precision_on(CPU) == "32-true"
    for has_it, expected in ((True, "bf16-mixed"), (False, "16-mixed")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, has_it=has_it: has_it)
        assert Runtime().precision_on(torch.device("cuda")) == expected
    assert Runtime(precision="16-mixed").precision_on(CPU) == "16-mixed"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_fold_on_cuda(tmp_path):
    device = torch.device("cuda")
    fitted = TINY.fit(fold_in(tmp_path, device=device))
    p, on_cpu = (TINY.predict(fitted, fold_in(tmp_path).x, where) for where in (device, CPU))
    np.testing.assert_allclose(p, on_cpu, atol=0.03)


# Explanations


class Probe(nn.Module):
    """Scores that are known functions of the image: its mean channel's sum, three times that, and its left half's."""

    def __init__(self):
        super().__init__()
        self.bn2 = nn.Identity()

    def forward(self, images):
        mean = self.bn2(images)[:, 0]
        left = mean[..., : mean.shape[-1] // 2].sum((1, 2))
        return torch.stack([mean.sum((1, 2)), 3 * mean.sum((1, 2)), left], 1)


@pytest.fixture
def probed(whole):
    fitted = FittedCNN.restore(whole, CPU)
    fitted.network = Probe()
    return fitted


def test_gradients_come_back_to_named_features(probed, whole):
    x, _ = tables()
    table = attributions(probed, x, ["moa-1", "moa-0", "moa-2"], batch_size=33)
    assert list(table.index) == list(x.columns) and list(table.columns) == ["moa-1", "moa-0", "moa-2"]
    pixel = pd.Series([*zip(whole.tensors["map.rows"].tolist(), whole.tensors["map.cols"].tolist(), strict=True)])
    sharing = pixel.map(pixel.value_counts()).to_numpy()
    assert sharing.max() > 1
    np.testing.assert_allclose(table["moa-0"], 1 / sharing, rtol=1e-5)
    np.testing.assert_allclose(table["moa-1"], 3 / sharing, rtol=1e-5)
    left = whole.tensors["map.cols"].numpy() < 8
    np.testing.assert_allclose(table["moa-2"], left / sharing, rtol=1e-5)


def test_grad_cam_lights_up_features_by_their_pixel(probed, whole):
    x, _ = tables()
    heat = attributions(probed, x.iloc[:1], ["moa-0"], "grad-cam")["moa-0"]
    mean_channel = probed.renderer(probed.scale(x.iloc[:1]))[0, 0]
    expected = mean_channel[whole.tensors["map.rows"], whole.tensors["map.cols"]] / mean_channel.max()
    np.testing.assert_allclose(heat, expected, rtol=1e-5)


@pytest.mark.parametrize("backbone", [TINY_EFFICIENTNET, TINY_RESNEST])
@pytest.mark.parametrize("method", ["gradient", "grad-cam"])
def test_explanations_of_real_networks(whole, tmp_path, backbone, method):
    x, _ = tables(6)
    network = build_network(backbone, 3, 16)
    tensors = {name: value for name, value in whole.tensors.items() if not name.startswith("network.")}
    tensors |= {f"network.{name}": value for name, value in network.state_dict().items()}
    meta = whole.meta | {"backbone": backbone.model_dump()}
    fitted = FittedCNN.restore(type(whole)(tensors, meta), CPU)
    table = attributions(fitted, x, ["moa-2"], method)
    assert table.shape == (40, 1) and np.isfinite(table).all(axis=None) and (table >= 0).all(axis=None)
    assert method == "grad-cam" or (table > 0).any(axis=None)


def test_explanations_refuse_what_they_do_not_know(probed):
    x, y = tables(5)
    with pytest.raises(UserError, match="target 'moa-9'"):
        attributions(probed, x, ["moa-9"])
    with pytest.raises(UserError, match="method 'tea leaves'"):
        attributions(probed, x, ["moa-0"], "tea leaves")
    with pytest.raises(UserError, match="no rows"):
        attributions(probed, x.iloc[:0], ["moa-0"])
    with pytest.raises(UserError, match="no row carries target 'moa-0'"):
        class_images(probed, x, y * 0, ["moa-0"])
    with pytest.raises(UserError, match="same rows"):
        class_images(probed, x, y.iloc[::-1], ["moa-0"])


def test_class_images_are_means_of_naive_images(probed, whole):
    x, y = tables()
    images = class_images(probed, x, y, ["moa-0", "moa-1"], batch_size=7)
    chosen = x[y["moa-1"] > 0]
    naive = naive_images(
        probed.scale(chosen).numpy(), whole.tensors["map.rows"].numpy(), whole.tensors["map.cols"].numpy(), (16, 16)
    )
    assert list(images) == ["moa-0", "moa-1"] and images["moa-1"].shape == (3, 16, 16)
    np.testing.assert_allclose(images["moa-1"], naive.mean(0), atol=1e-6)
