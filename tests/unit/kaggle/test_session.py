"""Folders are found at home and in a directory laid out like Kaggle's, under any name of the data sets."""

import os
import subprocess
import sys
import zipfile

import pytest

from moa.environment import FINAL, KAGGLE_ROOT, PRETRAINED
from moa.errors import UserError
from moa.kaggle.session import ADDITIONS, Session

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


def test_at_home_the_folders_of_reproduce_are_found(monkeypatch, tmp_path):
    monkeypatch.setenv(KAGGLE_ROOT, str(tmp_path / "none"))
    home = FINAL.parent.resolve()
    session = Session.find("kaggle")
    assert not session.on_kaggle and session.data == home / "data"
    assert session.collect_weights() == home / "output" / "kaggle" / "weights"
    assert session.submission("best-lb") == home / "output" / "kaggle" / "submission-best-lb.csv"
    session = Session.find("demo", data=tmp_path, out=tmp_path / "out")
    assert session.data == tmp_path and session.collect_weights(train=MODEL) == home / "output" / "demo" / "weights"
    assert session.submission("best-cv") == tmp_path / "out" / "submission-best-cv.csv"
    assert Session.find("demo", weights=tmp_path / "mine").collect_weights() == tmp_path / "mine"


def test_at_home_nothing_is_installed_or_set(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv(KAGGLE_ROOT, str(tmp_path / "none"))
    monkeypatch.delenv(PRETRAINED, raising=False)
    session = Session.find("demo")
    session.install_wheels()
    session.use_pretrained()
    assert PRETRAINED not in os.environ and not capsys.readouterr().out


@pytest.mark.parametrize("mount", ["{}", "datasets/someone/{}"])
def test_on_kaggle_folders_are_recognised_by_what_they_hold(kaggle, mount):
    data = attach(kaggle, "competitions/lish-moa", "train_features.csv")
    store = attach(kaggle, mount.format("any-name"), f"weights/{MODEL}/manifest.json") / "weights"
    images = attach(kaggle, mount.format("imagenet"), "tf_efficientnet_b3_ns-9d44bf68.pth")
    session = Session.find()
    assert session.on_kaggle and (session.data, session.collect_weights()) == (data, store)
    assert os.environ[PRETRAINED] == "", "to find changes nothing"
    session.use_pretrained()
    assert os.environ[PRETRAINED] == str(images)
    assert session.submission("best-lb") == kaggle / "working" / "submission.csv"


def test_on_kaggle_what_is_not_attached_is_named(kaggle):
    with pytest.raises(UserError, match="attach the competition's data"):
        Session.find()
    attach(kaggle, "lish-moa", "train_features.csv")
    session = Session.find()
    with pytest.raises(UserError, match="attach a data set or the output of a training notebook"):
        session.collect_weights()
    own = kaggle / "working" / "weights"
    assert session.collect_weights(train=MODEL) == own
    own.mkdir()
    assert session.collect_weights() == own, "trained earlier in this run"


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
    session = Session.find()
    session.install_wheels()
    assert (tmp_path / "site" / "moa_never_installed.py").exists() and not (tmp_path / "site" / "timm.py").exists()
    assert "installing moa_never_installed" in capsys.readouterr().out
    (wheels / "moa_never_installed-1.0-py3-none-any.whl").write_bytes(b"no wheel")
    with pytest.raises(UserError, match="cannot be installed"):
        session.install_wheels()


def test_additions_are_pinned_and_need_no_import_of_their_own():
    """A notebook imports this module before they are installed."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import moa.kaggle.session; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-S", "-c", code, FINAL], capture_output=True, text=True, check=True)
    assert not {"numpy", "pandas", "torch"} & set(done.stdout.split())
    pinned = {line.split("==")[0] for line in (FINAL.parent / "requirements.txt").read_text().splitlines()}
    assert set(ADDITIONS) - pinned == {"prettytable", "pynndescent"}, "those that others need"
