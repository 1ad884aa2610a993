"""A small copy of the competition's files."""

import shutil

import pytest


@pytest.fixture(scope="module")
def clean(tmp_path_factory, synthetic):
    return synthetic(tmp_path_factory.mktemp("small") / "data", rows=64, test_rows=16, seed=3)


@pytest.fixture
def folder(clean, tmp_path):
    return shutil.copytree(clean, tmp_path / "data")
