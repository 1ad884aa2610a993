"""Units on disk: whole or absent, checked when read, and never taken for those of other settings."""

import os
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.decomposition import PCA

from moa.errors import StoreError, UserError
from moa.features import LogScaler
from moa.features.pipeline import FeaturePipeline, Step, excluding
from moa.files import read_json, replacing_folder, write_json
from moa.learners.base import Fitted
from moa.weights.layout import UnitKey
from moa.weights.records import FORMAT
from moa.weights.store import ModelStore
from moa.weights.units import UnitResult


@pytest.fixture
def store(tmp_path):
    return ModelStore(tmp_path / "weights", "some-model")


@pytest.fixture
def oof():
    return pd.DataFrame({"a": [0.1, 0.2], "b": [0.3, 0.4]}, index=pd.Index(["id_1", "id_2"], name="sig_id"))


UNIT = UnitKey("nn", 7, 0)


def save(store, oof, value=1.0, features=None):
    fitted = Fitted(
        {"w": torch.full((3,), value)},
        {"n": 3},
        [{"epoch": 0, "train_loss": 1.0, "valid_loss": 0.5}],
        variants={"other": oof.to_numpy() / 2},
    )
    store.save_unit(UNIT.stage, UnitResult(UNIT.seed, UNIT.fold, fitted, features, oof, seconds=1.0, threads=1))


def test_a_unit_comes_back_as_it_was(store, oof):
    save(store, oof)
    assert store.has_unit(*UNIT) and not store.has_unit("nn", 7, 1)
    back = store.load_unit(*UNIT)
    assert torch.equal(back.fitted.tensors["w"], torch.ones(3)) and back.fitted.meta == {"n": 3}
    assert back.features is None and back.inputs(oof) is oof
    facts = store.unit_facts(*UNIT)
    assert (facts.seconds, facts.threads, facts.device) == (1.0, 1, "cpu") and facts.variants == ["other"]
    pd.testing.assert_frame_equal(store.load_oof(*UNIT), oof)
    pd.testing.assert_frame_equal(store.load_oof(*UNIT, "other"), oof / 2)


def test_what_a_later_stage_starts_from_lies_beside_the_weights_and_is_read_where_it_is_asked_for(store, oof):
    starts = {"w": torch.zeros(3), "b": torch.arange(6.0).reshape(2, 3).T}
    for fold, start in ((0, starts), (1, None)):
        fitted = Fitted({"w": torch.ones(3), "b": torch.ones(3, 2)}, start=start)
        store.save_unit("nn", UnitResult(7, fold, fitted, None, oof, seconds=1.0, threads=1))
    for fold in (0, 1):
        plain, whole = (store.load_unit("nn", 7, fold, start=asked).fitted for asked in (False, True))
        assert plain.start is None
        assert all(found.tensors.keys() == starts.keys() for found in (plain, whole))
        assert all((value == 1).all() for found in (plain, whole) for value in found.tensors.values())
        if fold == 0:
            assert whole.start.keys() == starts.keys()
            assert all(torch.equal(whole.start[name], value) for name, value in starts.items())
        else:
            assert whole.start is None


def test_features_that_were_fitted_inside_a_unit_come_back_with_it(store, oof):
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 3)), columns=["f-0", "f-1", "f-2"])
    steps = [Step("scale", LogScaler(), excluding(), "in place"), Step("pc", PCA(1), excluding())]
    pipeline = FeaturePipeline(steps, dtype=np.float64).fit(frame)
    save(store, oof, features=pipeline)
    back = store.load_unit(*UNIT)
    pd.testing.assert_frame_equal(back.inputs(frame), pipeline.transform(frame), check_exact=True)
    path = store.layout.unit(UNIT) / "features.skops"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match="features.skops: missing or damaged"):
        store.load_unit(*UNIT)


def test_a_unit_finished_twice_is_kept_as_the_first_made_it(store, oof):
    save(store, oof, value=1.0)
    save(store, oof, value=2.0)
    assert store.load_unit(*UNIT).fitted.tensors["w"][0] == 1.0
    assert [path.name for path in (store.layout.path / "nn" / "seed-7").iterdir()] == ["fold-0"]


def test_nothing_is_left_behind_when_saving_fails(store, oof, monkeypatch):
    def full_disk(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr("safetensors.torch.save_file", full_disk)
    with pytest.raises(OSError, match="disk full"):
        save(store, oof)
    assert not store.has_unit(*UNIT)
    assert list((store.layout.path / "nn" / "seed-7").iterdir()) == []


def test_what_a_killed_run_left_is_removed_and_what_others_are_writing_stays(store, oof):
    final = store.layout.unit(UNIT)
    killed = [final.with_name(name) for name in (".fold-1.a.tmp", ".fold-2.b.tmp")]
    for folder in killed:
        folder.mkdir(parents=True)
        (folder / "weights.safetensors").write_bytes(b"half")
    other, scratch = store.scratch("nn", 7, 1), store.scratch(*UNIT)
    with replacing_folder(final.with_name("fold-2")) as writing:
        (writing / "weights.safetensors").write_bytes(b"half")
        save(store, oof)
        assert (writing / "weights.safetensors").exists() and other.exists()
    assert not any(folder.exists() for folder in killed) and not scratch.exists()


def test_oof_predictions_that_cannot_be_averaged_are_refused(store, oof):
    """With right checksums: whoever made the folder made them."""
    for wrong, message in (
        (oof.set_axis(["id_1", "id_1"]), r"oof.parquet: sig_id id_1 occurs twice"),
        (oof.mask(oof == 0.4), r"oof.parquet: NaN or infinity in 1 row, such as sig_id id_2"),
        (oof.replace(0.1, np.inf), r"oof.parquet: NaN or infinity in 1 row, such as sig_id id_1"),
    ):
        save(store, wrong)
        with pytest.raises(StoreError, match=message):
            store.load_oof(*UNIT)
        shutil.rmtree(store.layout.unit(UNIT))
    save(store, oof)
    store.save_unit("nn", UnitResult(7, 1, Fitted({"w": torch.ones(3)}, {}, []), None, oof.iloc[:1], 1.0, 1))
    with pytest.raises(StoreError, match="seed-7: sig_id id_1 is in the OOF predictions of two folds"):
        store.held_out_folds("nn", [(7, 0), (7, 1)])


def test_a_network_wider_than_its_weights_is_refused_before_it_is_made(store, oof):
    save(store, oof)
    path = store.layout.facts(UNIT)
    write_json(path, read_json(path) | {"meta": {"n_targets": 10**9}})
    with pytest.raises(StoreError, match="unit.json: n_targets is 1000000000, and the weights hold 3 numbers"):
        store.load_unit(*UNIT)


@pytest.mark.parametrize("target", ["a pipe", "/dev/zero", "a loop"])
def test_facts_whose_reading_would_not_end_are_refused(store, oof, target):
    save(store, oof)
    path = store.layout.facts(UNIT)
    path.unlink()
    if target == "a pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(target if target != "a loop" else path)
    with pytest.raises((UserError, OSError)) as caught:
        store.unit_facts(*UNIT)
    assert "\n" not in str(caught.value) and "unit.json" in str(caught.value)


@pytest.mark.parametrize("name", ["weights.safetensors", "oof.parquet"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_a_damaged_artifact_is_refused_by_name(store, oof, name, damage):
    save(store, oof)
    path = store.layout.unit(UNIT) / name
    raw = bytearray(path.read_bytes())
    if damage == "remove":
        path.unlink()
    else:
        raw[len(raw) // 2] ^= 0xFF
        path.write_bytes(raw if damage == "flip" else raw[: len(raw) // 2])
    read = store.load_unit if name.startswith("weights") else store.load_oof
    with pytest.raises(StoreError, match=name):
        read(*UNIT)


def test_weights_of_another_version_of_the_recipe_are_refused(store):
    store.claim({"settings": {}, "recipe": 3})
    store.check_version(3)
    with pytest.raises(
        StoreError, match="trained by version 3 of this model, and this package has version 4"
    ) as caught:
        store.check_version(4)
    assert "\n" not in str(caught.value)


def test_a_folder_of_a_newer_format_is_refused_in_one_line(store):
    store.claim({"settings": {}})
    manifest = read_json(store.layout.manifest)
    assert manifest["format"] == store.manifest().format == FORMAT
    write_json(store.layout.manifest, manifest | {"format": FORMAT + 1, "settings": "in a form of its own"})
    for use in (store.manifest, lambda: store.check_version(2), lambda: store.claim({"settings": {}})):
        with pytest.raises(StoreError, match=rf"manifest.json: was written in format {FORMAT + 1}, ") as caught:
            use()
        assert str(caught.value).endswith(f"this version reads up to {FORMAT}; install a newer version")
    write_json(store.layout.manifest, {"settings": {}})
    assert store.manifest().format == 1
    write_json(store.layout.manifest, {"settings": {}, "format": 0})
    with pytest.raises(StoreError, match="manifest.json: .*format.*") as caught:
        store.manifest()
    assert "\n" not in str(caught.value)


def test_a_manifest_without_a_version_is_of_the_first(store):
    write_json(store.layout.manifest, {"settings": {}, "profile": "kaggle"})
    assert store.manifest().recipe == 1
    store.check_version(1)
    with pytest.raises(StoreError, match="trained by version 1 of this model, and this package has version 2"):
        store.check_version(2)
    with pytest.raises(StoreError, match="made with other recipe .*1 there, 2 now"):
        store.claim({"recipe": 2, "settings": {}})


def test_a_manifest_of_other_settings_or_data_is_refused_with_the_place(store):
    identity = {"settings": {"learner": {"hidden": 8}}, "data": {"train_features.csv": "aa"}}
    store.claim(identity)
    store.claim(identity)
    with pytest.raises(StoreError, match="other settings .*learner.hidden: 8 there, 9 now"):
        store.claim({**identity, "settings": {"learner": {"hidden": 9}}})
    with pytest.raises(StoreError, match="other data .*train_features.csv"):
        store.claim({**identity, "data": {"train_features.csv": "bb"}})
    assert store.manifest().versions["torch"] == torch.__version__.split("+")[0]


def test_folds_are_those_of_the_stored_predictions(store):
    fitted = Fitted({"w": torch.ones(1)})
    for seed, fold, rows in ((1, 0, ["a", "b"]), (1, 1, ["c"]), (2, 1, ["a"])):
        part = pd.DataFrame({"t": 0.5}, index=pd.Index(rows, name="sig_id"))
        store.save_unit("nn", UnitResult(seed, fold, fitted, None, part, seconds=1.0, threads=1))
    folds = store.held_out_folds("nn", [(1, 0), (1, 1), (2, 1)])
    expected = pd.DataFrame({1: [0, 0, 1], 2: [1, np.nan, np.nan]}, index=pd.Index(["a", "b", "c"], name="sig_id"))
    pd.testing.assert_frame_equal(folds, expected, check_dtype=False)
