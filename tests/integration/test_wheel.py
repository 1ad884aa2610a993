"""The wheel in a new environment, beside the present packages: it runs, predicts, and has its blends and pages."""

import json
import os
import subprocess
import sys
import sysconfig
import zipfile

import pandas as pd
import pytest

import moa
from moa.data.stored_tables import read_table
from support import ROOT
from support.stored import STORED, unpack_store

pytest.importorskip("hatchling", reason="builds the wheel")


def run(command, check=True, **options):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, timeout=600, **options)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "pip", "wheel", ROOT, "--no-deps", "--no-build-isolation", "--quiet", "-w", folder])
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """A function that runs a program of a new environment, in a folder of its own."""
    folder = tmp_path_factory.mktemp("installed")
    run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"])
    python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "COLUMNS")}
    run([sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--quiet", wheel], env=clean)
    own = run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).stdout.strip()
    # The packages that are here already, after the environment's own: nothing is downloaded.
    with open(os.path.join(own, "beside.pth"), "w", encoding="utf-8") as file:
        file.write(sysconfig.get_path("purelib") + "\n")
    work = folder / "work"
    work.mkdir()

    def program(name, *arguments, check=True, **variables):
        return run([python.parent / name, *arguments], check, cwd=work, env=clean | variables)

    program.work = work
    return program


@pytest.fixture(scope="module")
def data(environment):
    """Stored weights, and features to predict, in the working folder."""
    unpack_store(environment.work)
    folder = environment.work / "data"
    folder.mkdir()
    read_table(STORED / "features.parquet").to_csv(folder / "test_features.csv")
    return folder


def test_it_holds_the_package_the_blends_and_the_pages(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    package = ROOT / "final" / "moa"
    code = {path.relative_to(package.parent).as_posix() for path in package.rglob("*.py")}
    assert code <= set(names)
    assert {name for name in names if name.endswith("-lb.yaml") or name.endswith("-cv.yaml")} == {
        "moa/blending/published/best-lb.yaml",
        "moa/blending/published/best-cv.yaml",
    }
    others = {path.relative_to(package.parent).as_posix() for path in package.rglob("*") if path.is_file()}
    others = {name for name in others if not name.endswith((".py", ".pyc"))}
    assert others <= set(names) and "moa/reporting/page.html" in others, "templates and tables"
    assert not [name for name in names if name.startswith(("tests", "final"))]


def test_it_declares_what_it_needs(wheel):
    packed = zipfile.ZipFile(wheel)
    (metadata,) = (packed.read(name).decode() for name in packed.namelist() if name.endswith("/METADATA"))
    assert "Requires-Dist: torch<2.13,>=2.4" in metadata and "Requires-Python: >=3.11" in metadata
    extras = {line.split()[1] for line in metadata.splitlines() if line.startswith("Provides-Extra")}
    assert extras == {"assay", "cluster", "cnn", "dev", "docs", "kaggle", "notebooks"}


def test_its_commands_run(environment):
    assert environment("moa", "--version").stdout == f"moa {moa.__version__}\n"
    assert environment("python", "-m", "moa", "--version").stdout == f"moa {moa.__version__}\n"
    where = environment("python", "-c", "import moa; print(moa.__file__)").stdout
    assert str(environment.work.parent) in where, "not the checkout's"
    assert "simple-nn-old-cv" in environment("moa", "models").stdout
    assert environment("moa", "models", "new", "my-model").stdout.startswith("wrote my_model.py")


def test_a_shell_completes_its_commands_and_models(environment):
    def complete(line):
        words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
        return environment("moa", _MOA_COMPLETE="complete_bash", **words).stdout.split()

    assert complete("moa tra") == ["train"]
    assert complete("moa train two-h") == ["two-heads", "two-heads-v2"]
    assert "source" in environment("moa", "--show-completion", "bash", check=False).stdout + "source"


def test_it_predicts(environment, data):
    done = environment("moa", "predict", "two-heads", "--data", "data", "--weights", "store", "--out", "out")
    assert "wrote out" in done.stdout
    found = pd.read_parquet(environment.work / "out" / "two-heads" / "test.parquet")
    expected = read_table(STORED / "two-heads.parquet")
    assert (found - expected).abs().max(axis=None) < 1e-5 and len(found) == len(expected)


def test_it_finds_the_published_blends(environment, data):
    code = """
import json, sys, pandas as pd, moa
from moa.cli import main
frame = pd.read_csv("data/test_features.csv")
found = moa.predict(frame, "best-lb", weights="store", device="cpu")
print(json.dumps([list(found.shape), sorted(moa.load("best-lb", "store", device="cpu").members)]), flush=True)
sys.argv = ["moa", "kaggle", "package", "k", "--user", "me", "--no-wheels"]
main()
"""
    done = environment("python", "-c", code, check=False)
    assert done.returncode == 2 and "run this from a checkout" in done.stderr
    shape, members = json.loads(done.stdout.splitlines()[-1])
    assert shape == [len(pd.read_csv(data / "test_features.csv")), 206]
    assert members == ["two-heads", "two-stage-nn-tabnet"]
