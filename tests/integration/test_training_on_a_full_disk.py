"""Training that cannot write any more: it says what is kept and how much room is needed, and goes on afterwards."""

import errno
import os
import shutil
import subprocess
import sys

import pytest
import safetensors
import safetensors.torch

from moa.environment import Folders
from moa.errors import WriteError
from moa.jobs.options import TrainOptions
from moa.jobs.predict import predict_model
from moa.jobs.train import train_models
from moa.models.own import load_recipes
from moa.weights.merge import merge_weights
from moa.weights.trained import open_trained
from support import TESTS

CPU = TrainOptions(device="cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory, synthetic):
    return synthetic(tmp_path_factory.mktemp("data") / "data", rows=80, test_rows=8, seed=3)


@pytest.fixture
def models(tmp_path):
    return load_recipes(shutil.copyfile(TESTS / "support" / "my_small.py", tmp_path / "my_small.py"))


def test_the_disk_is_full_after_the_first_unit(models, data, tmp_path, monkeypatch):
    save, calls = safetensors.torch.save_file, []

    def full(tensors, path):
        calls.append(path)
        if len(calls) > 1:
            raise safetensors.SafetensorError(
                "Error while serializing: I/O error: No space left on device (os error 28)"
            )
        save(tensors, path)

    with monkeypatch.context() as patch:
        patch.setattr(safetensors.torch, "save_file", full)
        with pytest.raises(WriteError, match="no space is left") as caught:
            train_models(models, Folders.find("kaggle", data, weights=tmp_path / "weights"), CPU)
    assert "1 of 2 units of nn are finished and kept; make room, and run the same command" in str(caught.value)
    assert "fold-" in caught.value.path.name and caught.value.needed > 30_000 and "\n" not in str(caught.value)
    trained = open_trained("my-small", tmp_path / "weights", whole=False)
    assert trained.missing_units() == 1 and not list(tmp_path.rglob("*.tmp"))
    monkeypatch.setattr(safetensors.torch, "save_file", lambda *arguments: calls.append(arguments) or save(*arguments))
    train_models(models, Folders.find("kaggle", data, weights=tmp_path / "weights"), CPU)
    assert trained.missing_units() == 0 and len(calls) == 3, "the first unit was not trained again"


def test_folders_that_cannot_be_written_are_refused_before_the_work(models, data, tmp_path, monkeypatch):
    train_models(models, Folders.find("kaggle", data, weights=tmp_path / "weights"), CPU)
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda path, mode: "closed" not in str(path))
        (tmp_path / "closed").mkdir()
        for work in (
            lambda: train_models(models, Folders.find(None, "/nowhere", weights=tmp_path / "closed" / "w"), CPU),
            lambda: predict_model("my-small", data, tmp_path / "weights", tmp_path / "closed" / "out", CPU.runtime),
            lambda: merge_weights([tmp_path / "weights"], tmp_path / "closed"),
        ):
            with pytest.raises(WriteError, match="closed.*: cannot be written, writing there is not allowed"):
                work()


def test_output_that_cannot_be_written_is_an_error():
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "moa.cli", "models"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"error: cannot write: {os.strerror(errno.ENOSPC)}")
