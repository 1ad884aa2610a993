"""The default folders: one rule for commands, notebooks and reproduce.sh."""

import pytest

from moa.environment import Folders
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
    where = Folders.find(profile, data, root)
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
