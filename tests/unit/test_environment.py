"""The default folders, one rule for commands, notebooks and reproduce.sh; and how other libraries are set."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from moa.environment import FINAL, Folders, give_numba_a_cache
from moa.errors import UserError


@pytest.fixture
def place(tmp_path):
    """A function: fill folders below a new root with features; returns the root."""

    def fill(*folders, name="train_features.csv"):
        for folder in folders:
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / name).touch()
        return tmp_path

    return fill


def found(root, profile=None, data=None):
    where = Folders.find(profile, data, root=root)
    return where.profile, where.data.relative_to(root).as_posix(), where.weights.relative_to(root).as_posix()


KAGGLE = ("kaggle", "data", "output/kaggle/weights")
DEMO = ("demo", "output/demo/data", "output/demo/weights")


def test_real_data_come_first_and_then_the_demos(place):
    assert found(place("output/demo/data")) == DEMO
    assert found(place("data")) == KAGGLE
    assert found(place(), "demo") == DEMO, "its weights belong to its data"


def test_test_features_alone_are_data_too(place):
    assert found(place("output/demo/data")) == DEMO
    assert found(place("data", name="test_features.csv")) == KAGGLE


def test_small_settings_on_real_data(place):
    assert found(place("data"), "demo") == ("demo", "data", "output/demo/weights")


def test_data_that_are_given(place):
    root = place("data", "mine", "output/demo/data")
    assert found(root, data=root / "mine") == ("kaggle", "mine", "output/kaggle/weights")
    assert found(root, "demo", root / "mine") == ("demo", "mine", "output/demo/weights")
    assert found(root, data=root / "output" / "demo" / ".." / "demo" / "data")[0] == "demo"


def test_without_any_data_the_results_decide(place, tmp_path):
    assert found(tmp_path) == ("demo", "data", "output/demo/weights")
    assert found(place("output/kaggle/weights", name="manifest.json")) == KAGGLE


def test_an_unknown_profile(tmp_path):
    with pytest.raises(UserError, match="profile 'big' is unknown; choose one of: kaggle, demo"):
        Folders.find("big", root=tmp_path)


#: Asks numba to keep a function, as umap does hundreds of times, where neither the folder of the function nor the home
#: can be written to, as in a read-only container.
READ_ONLY = """
import os, sys, tempfile
real = tempfile.TemporaryFile

def refuse(*args, dir=None, **options):
    if str(dir).startswith((sys.prefix, sys.argv[1])):
        raise PermissionError("read-only")
    return real(*args, dir=dir, **options)

tempfile.TemporaryFile = refuse
if "unprepared" not in sys.argv:
    from moa.environment import give_numba_a_cache
    give_numba_a_cache()
    print(os.environ["NUMBA_CACHE_DIR"])
sys.path.insert(0, sys.argv[1])
import kept
print(kept.double(21))
"""
KEPT = """
import numba

@numba.njit(cache=True)
def double(x):
    return 2 * x
"""


@pytest.fixture
def read_only(tmp_path):
    """A function: run numba in a read-only place; returns the finished process."""
    package = tmp_path / "packages"
    package.mkdir()
    (package / "kept.py").write_text(KEPT)

    def run(*arguments, **variables):
        clean = {key: value for key, value in os.environ.items() if key not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
        command = [sys.executable, "-c", READ_ONLY, str(package), *arguments]
        environment = clean | {"HOME": "/dev/null", "TMPDIR": str(tmp_path), **variables}
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)

    return run


def test_numba_works_in_a_read_only_container(read_only, tmp_path):
    done = read_only(MOA_CACHE=str(tmp_path / "cache"))
    assert done.stdout.split() == [str(tmp_path / "cache" / "numba"), "42"], done.stderr
    done = read_only(MOA_CACHE="/dev/null/cache")
    folder = Path(done.stdout.split()[0])
    assert done.stdout.split()[1:] == ["42"] and folder.parent == tmp_path and list(folder.rglob("kept*"))
    assert folder.stat().st_mode & 0o077 == 0, "what lies there is unpickled, so nobody else may write"
    folder.chmod(0o777)
    other = read_only(MOA_CACHE="/dev/null/cache").stdout.split()
    assert other[1] == "42" and other[0] != str(folder), "a folder that others can write to is not used"
    assert "no locator available" in read_only("unprepared").stderr, "without it, numba refuses"


def test_numba_keeps_its_own_folder_where_it_has_one(tmp_path, monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    give_numba_a_cache()
    assert "NUMBA_CACHE_DIR" not in os.environ


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "moa.cli", "train", "all", "--device", "nope"],
        [FINAL / "Best LB" / "Inference" / "simple-nn-old-cv.py", "--device", "nope"],
        ["-c", "import moa, sklearn.cluster"],
    ],
    ids=("command", "script", "scikit-learn"),
)
def test_threads_that_wait_never_spin(command):
    """OpenMP itself says what it has read, when torch or scikit-learn loads it."""
    variables = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        capture_output=True,
        text=True,
        env=variables | {"OMP_DISPLAY_ENV": "true"},
    )
    shown = [line.strip() for line in done.stderr.splitlines() if "OMP_WAIT_POLICY" in line]
    if not shown:
        pytest.skip("this OpenMP tells nothing")
    assert all("PASSIVE" in line for line in shown)
