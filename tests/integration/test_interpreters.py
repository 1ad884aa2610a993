"""The lowest declared versions and the pinned ones, each in a new environment of another Python.

Packages of several GB are installed, so this runs only where MOA_TEST_INTERPRETERS names interpreters, such as
"python3.12 python3.13".
"""

import os
import shutil
import subprocess
import tomllib

import pytest
from packaging.requirements import Requirement

from support import ROOT

WANTED = os.environ.get("MOA_TEST_INTERPRETERS", "").split()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(7200),  # an installation alone has taken half an hour on a busy machine
    pytest.mark.skipif(not WANTED, reason="MOA_TEST_INTERPRETERS names no interpreter"),
]


def lowest():
    """Each dependency at the lowest version that the package declares."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for each in map(Requirement, project["dependencies"]):
        (version,) = (part.version for part in each.specifier if part.operator == ">=")
        yield f"{each.name}=={version}"


CASES = [(name, which) for name in WANTED for which in ("lowest", "pinned")]


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def environment(request, tmp_path_factory):
    """The folder of an environment's commands."""
    name, which = request.param
    interpreter = shutil.which(name)
    assert interpreter, f"{name} was not found"
    folder = tmp_path_factory.mktemp(f"{os.path.basename(name)}-{which}")
    subprocess.run([interpreter, "-m", "venv", folder / "venv"], check=True)
    commands = folder / "venv" / "bin"
    wanted = list(lowest()) if which == "lowest" else ["-r", str(ROOT / "requirements.txt")]
    for arguments in (wanted, ["--no-deps", str(ROOT)]):
        subprocess.run([commands / "python", "-m", "pip", "install", "--quiet", *arguments], check=True)
    return commands


def test_the_package_is_imported_trains_and_predicts(environment, tmp_path):
    def moa(*arguments):
        done = subprocess.run([environment / "moa", *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    subprocess.run([environment / "python", "-c", "import moa; moa.train, moa.predict"], check=True)
    assert "simple-nn-old-cv" in moa("models")
    moa("data", "synthesize", "data", "--rows", "120", "--test-rows", "20")
    places = ("--data", "data", "--weights", "weights", "--device", "cpu")
    for model in ("simple-nn-old-cv", "two-stage-nn-tabnet"):
        moa("train", model, *places, "--profile", "demo")
        moa("predict", model, *places, "--out", "out")
        assert (tmp_path / "out" / model / "submission.csv").stat().st_size > 0
