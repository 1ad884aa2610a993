"""Artifacts: whole or absent, checked when read, free of pickles, and never taken for another's."""

import json

import numpy as np
import pandas as pd
import pytest
import skops.io
import torch
from sklearn.decomposition import PCA
from sklearn.preprocessing import FunctionTransformer

from moa.errors import StoreError
from moa.features import GaussianRank
from moa.learners.base import Fitted
from moa.training.store import ModelStore, SharedFits


@pytest.fixture
def store(tmp_path):
    return ModelStore(tmp_path / "weights", "some-model")


@pytest.fixture
def oof():
    return pd.DataFrame({"a": [0.1, 0.2], "b": [0.3, 0.4]}, index=pd.Index(["id_1", "id_2"], name="sig_id"))


def save(store, oof, fold=0, value=1.0):
    fitted = Fitted(
        {"w": torch.full((3,), value)},
        {"n": 3},
        [{"epoch": 0, "train_loss": 1.0, "valid_loss": 0.5}],
        {"other": oof.to_numpy() / 2},
    )
    store.save_unit("nn", 7, fold, fitted, oof, seconds=1.0)


def test_a_unit_comes_back_as_it_was(store, oof):
    save(store, oof)
    assert store.has_unit("nn", 7, 0) and not store.has_unit("nn", 7, 1)
    back = store.load_unit("nn", 7, 0)
    assert torch.equal(back.tensors["w"], torch.ones(3)) and back.meta == {"n": 3}
    pd.testing.assert_frame_equal(store.load_oof("nn", 7, 0), oof)
    pd.testing.assert_frame_equal(store.load_oof("nn", 7, 0, "other"), oof / 2)


def test_a_unit_finished_twice_is_kept_as_the_first_made_it(store, oof):
    save(store, oof, value=1.0)
    save(store, oof, value=2.0)
    assert store.load_unit("nn", 7, 0).tensors["w"][0] == 1.0
    assert [path.name for path in (store.folder / "nn" / "seed-7").iterdir()] == ["fold-0"]


def test_nothing_is_left_behind_when_saving_fails(store, oof, monkeypatch):
    monkeypatch.setattr("moa.training.store.write_json", lambda *a: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save(store, oof)
    assert not store.has_unit("nn", 7, 0)
    assert list((store.folder / "nn" / "seed-7").iterdir()) == []


@pytest.mark.parametrize("name", ["weights.safetensors", "oof.parquet"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_a_damaged_artifact_is_refused_by_name(store, oof, name, damage):
    save(store, oof)
    path = store.unit_path("nn", 7, 0) / name
    raw = bytearray(path.read_bytes())
    if damage == "remove":
        path.unlink()
    else:
        raw[len(raw) // 2] ^= 0xFF
        path.write_bytes(raw if damage == "flip" else raw[: len(raw) // 2])
    read = store.load_unit if name.startswith("weights") else store.load_oof
    with pytest.raises(StoreError, match=name):
        read("nn", 7, 0)


def test_a_manifest_of_other_settings_or_data_is_refused_with_the_place(store):
    identity = {"settings": {"learner": {"hidden": 8}}, "data": {"train_features.csv": "aa"}}
    store.claim(identity)
    store.claim(identity)
    with pytest.raises(StoreError, match="other settings .*learner.hidden: 8 there, 9 now"):
        store.claim({**identity, "settings": {"learner": {"hidden": 9}}})
    with pytest.raises(StoreError, match="other data .*train_features.csv"):
        store.claim({**identity, "data": {"train_features.csv": "bb"}})
    assert store.manifest()["versions"]["torch"] == torch.__version__.split("+")[0]


def test_the_second_model_reads_the_first_ones_fit(tmp_path, monkeypatch):
    x = np.random.default_rng(0).normal(size=(50, 4))
    first, key = SharedFits(tmp_path).fit(PCA(2), x)
    monkeypatch.setattr(PCA, "fit", lambda *a: pytest.fail("fitted again"))
    second, same = SharedFits(tmp_path).fit(PCA(2), x.copy())
    assert same == key and np.array_equal(first.transform(x), second.transform(x))


def test_another_fit_has_another_key(tmp_path):
    x = np.random.default_rng(0).normal(size=(50, 4))
    fits = SharedFits(tmp_path)
    y = np.arange(50) % 2
    keys = {
        fits.fit(PCA(2), x)[1],
        fits.fit(PCA(3), x)[1],
        fits.fit(PCA(2), x + 1)[1],
        fits.fit(PCA(2), x[:, ::-1])[1],
        fits.fit(PCA(2), x, y)[1],
        fits.fit(GaussianRank(), x)[1],
    }
    assert len(keys) == 6


def test_a_fit_of_an_untrusted_type_or_a_damaged_one_is_refused(tmp_path):
    import hashlib

    payload = skops.io.dumps(FunctionTransformer(json.loads))
    (tmp_path / "evil.skops").write_bytes(hashlib.sha256(payload).digest() + payload)
    with pytest.raises(StoreError, match="not trusted.*json"):
        SharedFits(tmp_path).load("evil")
    (tmp_path / "torn.skops").write_bytes(payload[:40])
    with pytest.raises(StoreError, match="torn.skops: damaged"):
        SharedFits(tmp_path).load("torn")
    with pytest.raises(StoreError, match="gone.skops: missing"):
        SharedFits(tmp_path).load("gone")
