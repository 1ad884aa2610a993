"""Every inference script explains itself, and reports any mistake in one line with status 2."""

import json
import runpy
import shutil
import subprocess
import sys

import pandas as pd
import pytest
import torch

from moa.environment import FINAL
from moa.files import read_json
from moa.models.registry import recipes
from support.demo import copy_models

SCRIPTS = {path.stem: path for path in FINAL.glob("*/Inference/*.py")}
NAME = "simple-nn-old-cv"


@pytest.fixture(scope="module")
def trained(weights_of):
    return weights_of(NAME)


@pytest.fixture
def script(in_process, monkeypatch):
    """Run a script in this process; returns its status, output and errors."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(name, *arguments):
        path = str(SCRIPTS[name])
        return in_process.run(lambda: runpy.run_path(path, run_name="__main__"), path, *arguments, check=False)

    return run


def test_every_model_has_a_script_of_its_name():
    assert set(SCRIPTS) == set(recipes())


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_scripts_explain_themselves_and_refuse_weights_that_are_not_there(name, script, tmp_path):
    status, text, _ = script(name, "--help")
    assert status == 0 and recipes()[name].title in text
    assert all(option in text for option in ("--data", "--weights", "--out", "--device"))
    status, text, errors = script(name, "--data", tmp_path, "--weights", tmp_path, "--out", tmp_path / "out")
    assert status == 2 and not text
    assert errors.startswith(f"error: {tmp_path / name / 'manifest.json'}: not found") and errors.count("\n") == 1
    assert not list(tmp_path.iterdir())


def without_column(data, weights):
    path = data / "test_features.csv"
    pd.read_csv(path).drop(columns="g-7").to_csv(path, index=False)


def with_word(data, weights):
    path = data / "test_features.csv"
    lines = path.read_text().splitlines()
    cells = lines[3].split(",")
    lines[3] = ",".join([*cells[:9], "much", *cells[10:]])
    path.write_text("\n".join(lines))


def edit_manifest(weights, change):
    path = weights / NAME / "manifest.json"
    manifest = read_json(path)
    change(manifest)
    path.write_text(json.dumps(manifest))


def cut(path):
    path.write_bytes(path.read_bytes()[:-9])


BAD_INPUTS = {
    "no data": (
        lambda data, weights: shutil.rmtree(data),
        "data: there is no such folder; name one that holds data, or make one",
    ),
    "a column is missing": (without_column, "test_features.csv: missing column 'g-7'"),
    "a word among numbers": (with_word, "test_features.csv: column 'g-5', line 4 (sig_id"),
    "a damaged unit": (
        lambda data, weights: cut(weights / NAME / "nn" / "seed-940" / "fold-1" / "weights.safetensors"),
        "weights.safetensors: missing or damaged (checksum differs)",
    ),
    "a damaged fit": (lambda data, weights: [cut(path) for path in weights.glob("shared/*")], "damaged (checksum"),
    "fits left behind": (lambda data, weights: shutil.rmtree(weights / "shared"), "copy the whole weights folder"),
    "no unit": (lambda data, weights: [shutil.rmtree(p) for p in weights.glob("*/nn/seed-*")], "no finished unit of"),
    "no description": (lambda data, weights: (weights / NAME / "nn" / "stage.json").unlink(), "stage.json: not found"),
    "half a manifest": (lambda data, weights: cut(weights / NAME / "manifest.json"), "manifest.json: damaged"),
    "another version's settings": (
        lambda data, weights: edit_manifest(weights, lambda manifest: manifest["settings"].update(layers=7)),
        "manifest.json: settings that this version of the package does not know (layers",
    ),
    "an empty manifest": (lambda data, weights: edit_manifest(weights, dict.clear), "manifest.json: holds no settings"),
}


@pytest.mark.parametrize("mistake", BAD_INPUTS)
def test_bad_input_is_reported_in_one_line(mistake, script, data_dir, trained, tmp_path):
    spoil, message = BAD_INPUTS[mistake]
    data, weights, out = tmp_path / "data", tmp_path / "weights", tmp_path / "out"
    data.mkdir()
    shutil.copyfile(data_dir / "test_features.csv", data / "test_features.csv")
    copy_models(trained, weights, NAME)
    spoil(data, weights)
    status, _, errors = script(NAME, "--data", data, "--weights", weights, "--out", out, "--device", "cpu")
    reported = [line for line in errors.splitlines() if message in line]
    assert status == 2 and len(reported) == 1 and "Traceback" not in errors, errors
    assert not out.exists(), "nothing is written"


@pytest.mark.parametrize("device", ["tpu", "cuda"])
def test_a_device_that_is_not_there(device, script, data_dir, trained, tmp_path):
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    status, _, errors = script(NAME, "--data", data_dir, "--weights", trained, "--device", device)
    assert status == 2 and errors.startswith(f"error: --device {device}") and errors.count("\n") == 1


def test_a_folder_that_cannot_be_written_is_reported_by_a_process(data_dir, trained, tmp_path):
    (tmp_path / "out").touch()
    command = [sys.executable, SCRIPTS[NAME], "--data", data_dir, "--weights", trained, "--out", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"error: {tmp_path / 'out'}")
