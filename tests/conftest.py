"""Shared by all tests: a small synthetic data set of the full schema, and weights of every model trained on it once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Keep the tests' parsed files out of the user's cache."""
    os.environ["MOA_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    from moa.data.synthetic import synthesize

    folder = tmp_path_factory.mktemp("competition") / "data"
    synthesize(folder, rows=900, test_rows=120, seed=1)
    return folder


@pytest.fixture(scope="session")
def dataset(data_dir):
    from moa.data.dataset import load_dataset

    return load_dataset(data_dir, drugs=True)


@pytest.fixture(scope="session")
def moa_command():
    """Run ``moa`` as a user does, in a process of its own; returns the finished process."""

    def run(*arguments, check=True, **options):
        done = subprocess.run(
            [sys.executable, "-m", "moa.cli", *map(str, arguments)], capture_output=True, text=True, cwd=ROOT, **options
        )
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    return run


@pytest.fixture(scope="session")
def demo_weights(tmp_path_factory, data_dir, moa_command):
    """Weights of every model, demo profile, trained by the command line."""
    weights = tmp_path_factory.mktemp("weights")
    moa_command("train", "all", "--profile", "demo", "--data", data_dir, "--weights", weights, "--device", "cpu")
    return weights
