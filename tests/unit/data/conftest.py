"""A small copy of the competition's files."""

import shutil

import pytest

from moa.data.synthetic import synthesize


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small") / "data"
    synthesize(folder, rows=64, test_rows=16, seed=3)
    return folder


@pytest.fixture
def folder(clean, tmp_path):
    return shutil.copytree(clean, tmp_path / "data")
