"""The lowest declared versions and the pinned ones, each in a new environment of another Python.

Packages of several GB are installed, so this runs only where MOA_TEST_INTERPRETERS names interpreters, such as
"python3.12 python3.13".
"""

import os
import shutil
import subprocess

import pytest

from support import ROOT, bounds

WANTED = os.environ.get("MOA_TEST_INTERPRETERS", "").split()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(7200),  # an installation alone has taken half an hour on a busy machine
    pytest.mark.skipif(not WANTED, reason="MOA_TEST_INTERPRETERS names no interpreter"),
]
#: The lowest version of these is a source archive; they are Python alone, and so need no compiler.
NO_WHEELS = ("kaggle",)


def lowest(interpreter, extras=False):
    """Each dependency at the lowest version that the package declares for an interpreter."""
    command = [interpreter, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    version = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return [f"{name}=={lowest}" for name, lowest in bounds.lowest(version, extras).items()]


@pytest.fixture(scope="module", params=WANTED)
def interpreter(request):
    found = shutil.which(request.param)
    assert found, f"{request.param} was not found"
    return found


def test_lowest_versions_have_wheels(interpreter, tmp_path):
    done = subprocess.run(
        [interpreter, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps", "--quiet"]
        + ["--only-binary=:all:", f"--no-binary={','.join(NO_WHEELS)}", *lowest(interpreter, extras=True)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "yanked" not in done.stderr, done.stderr


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
    wanted = lowest(interpreter) if which == "lowest" else ["-r", str(ROOT / "requirements.txt")]
    for arguments in (wanted, ["--no-deps", str(ROOT)]):
        subprocess.run([commands / "python", "-m", "pip", "install", "--quiet", *arguments], check=True)
    yield commands
    shutil.rmtree(folder)  # several GB


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
