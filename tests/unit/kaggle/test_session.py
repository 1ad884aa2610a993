"""Folders are found at home and in a directory laid out like Kaggle's, whatever the data sets are called."""

import os
import shutil
import subprocess
import sys
import zipfile

import pytest

from moa.environment import FINAL, KAGGLE_ROOT, PRETRAINED
from moa.errors import UserError
from moa.kaggle.session import ADDITIONS, settle

MODEL = "simple-nn-old-cv"


@pytest.fixture
def kaggle(tmp_path, monkeypatch):
    """An empty Kaggle: its root."""
    root = tmp_path / "kaggle"
    for name in ("input", "working"):
        (root / name).mkdir(parents=True)
    monkeypatch.setenv(KAGGLE_ROOT, str(root))
    monkeypatch.setenv(PRETRAINED, "")
    monkeypatch.chdir(root / "working")
    return root


def attach(root, name, *files):
    folder = root / "input" / name
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    return folder


def part_of(weights, folder, seed):
    """A weights folder that holds one seed of the model."""
    store = folder / "weights"
    shutil.copytree(weights / MODEL / "nn" / f"seed-{seed}", store / MODEL / "nn" / f"seed-{seed}")
    shutil.copyfile(weights / MODEL / "nn" / "stage.json", store / MODEL / "nn" / "stage.json")
    shutil.copyfile(weights / MODEL / "manifest.json", store / MODEL / "manifest.json")
    (store / "shared").symlink_to(weights / "shared")
    return store


def test_at_home_the_folders_of_reproduce_are_found(monkeypatch, tmp_path):
    monkeypatch.setenv(KAGGLE_ROOT, str(tmp_path / "none"))
    home = FINAL.parent.resolve()
    places = settle("kaggle")
    assert (places.data, places.weights) == (home / "data", home / "output" / "kaggle" / "weights")
    assert places.submission("best-lb") == home / "output" / "kaggle" / "submission-best-lb.csv"
    places = settle("demo", data=tmp_path, out=tmp_path / "out")
    assert (places.data, places.weights) == (tmp_path, home / "output" / "demo" / "weights")
    assert places.submission("best-cv") == tmp_path / "out" / "submission-best-cv.csv"


@pytest.mark.parametrize("mount", ["{}", "datasets/someone/{}"])
def test_on_kaggle_folders_are_told_by_what_they_hold(kaggle, mount):
    data = attach(kaggle, "competitions/lish-moa", "train_features.csv")
    store = attach(kaggle, mount.format("any-name"), f"weights/{MODEL}/manifest.json") / "weights"
    images = attach(kaggle, mount.format("imagenet"), "tf_efficientnet_b3_ns-9d44bf68.pth")
    places = settle()
    assert places.on_kaggle and (places.data, places.weights) == (data, store)
    assert os.environ[PRETRAINED] == str(images)
    assert places.submission("best-lb") == kaggle / "working" / "submission.csv"


def test_on_kaggle_parts_are_read_as_one_and_trained_on(kaggle, weights_of):
    attach(kaggle, "lish-moa", "train_features.csv")
    for seed in (940, 1513):
        part_of(weights_of(MODEL), kaggle / "input" / f"train-{seed}", seed)
    read = settle().weights
    assert len(list(read.glob(f"{MODEL}/nn/seed-*/fold-*/unit.json"))) == 6
    assert kaggle not in read.parents, "links are no output"
    trained = settle(train=MODEL).weights
    assert trained == kaggle / "working" / "weights"
    units = list(trained.glob(f"{MODEL}/nn/seed-*/fold-*/unit.json"))
    assert len(units) == 6 and not any(unit.is_symlink() for unit in units), "the output stands by itself"
    assert not list(settle(train="simple-nn-new-cv").weights.glob("simple-nn-new-cv"))


def test_on_kaggle_what_is_not_attached_is_said(kaggle):
    with pytest.raises(UserError, match="attach the competition's data"):
        settle()
    attach(kaggle, "lish-moa", "train_features.csv")
    with pytest.raises(UserError, match="attach a data set or the output of a training notebook"):
        settle()
    assert settle(train=MODEL).weights == kaggle / "working" / "weights"


def wheel(folder, name, version):
    """A wheel that holds one empty module."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as packed:
        packed.writestr(f"{name}.py", "")
        packed.writestr(f"{facts}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        packed.writestr(f"{facts}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        packed.writestr(f"{facts}/RECORD", "")


def test_on_kaggle_missing_packages_come_from_the_attached_wheels(kaggle, tmp_path, monkeypatch, capsys):
    attach(kaggle, "lish-moa", "train_features.csv")
    wheels = kaggle / "input" / "wheels"
    wheel(wheels, "moa_never_installed", "1.0")
    wheel(wheels, "timm", "0.1")  # there already, and newer
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "site"))
    settle(train=MODEL)
    assert (tmp_path / "site" / "moa_never_installed.py").exists() and not (tmp_path / "site" / "timm.py").exists()
    assert "installing moa_never_installed" in capsys.readouterr().out
    (wheels / "moa_never_installed-1.0-py3-none-any.whl").write_bytes(b"no wheel")
    with pytest.raises(UserError, match="cannot be installed"):
        settle(train=MODEL)


def test_additions_are_pinned_and_need_no_import_of_their_own():
    """A notebook imports this module before they are installed."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import moa.kaggle.session; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-S", "-c", code, FINAL], capture_output=True, text=True, check=True)
    assert not {"numpy", "pandas", "torch"} & set(done.stdout.split())
    pinned = {line.split("==")[0] for line in (FINAL.parent / "requirements.txt").read_text().splitlines()}
    assert set(ADDITIONS) - pinned == {"prettytable", "pynndescent"}, "those that others need"
