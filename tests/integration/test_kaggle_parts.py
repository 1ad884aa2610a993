"""On Kaggle, weights that several runs left are read as one folder, and training continues from them."""

import shutil

import pytest

from moa.kaggle.session import Session
from moa.weights.layout import WeightsFolder

MODEL = "simple-nn-old-cv"


@pytest.fixture
def session(weights_of, tmp_path):
    """A session to which the outputs of two runs are attached, one seed each."""
    weights = weights_of(MODEL)
    for seed in (940, 1513):
        store = tmp_path / "input" / f"train-{seed}" / "weights"
        shutil.copytree(weights / MODEL / "nn" / f"seed-{seed}", store / MODEL / "nn" / f"seed-{seed}")
        shutil.copyfile(weights / MODEL / "nn" / "stage.json", store / MODEL / "nn" / "stage.json")
        shutil.copyfile(weights / MODEL / "manifest.json", store / MODEL / "manifest.json")
        (store / "shared").symlink_to(weights / "shared")
    working = tmp_path / "working"
    working.mkdir()
    return Session(data=tmp_path / "input", out=working, attached=tmp_path / "input")


def test_parts_are_read_as_one_and_trained_on(session):
    read = session.collect_weights()
    assert len(WeightsFolder(read).model(MODEL).units()) == 6
    assert session.out not in read.parents, "links are no output"
    trained = session.collect_weights(train=MODEL)
    assert trained == session.out / "weights"
    model = WeightsFolder(trained).model(MODEL)
    assert len(model.units()) == 6
    assert not any(model.facts(unit).is_symlink() for unit in model.units()), "the output needs no other folder"
    other = session.collect_weights(train="simple-nn-new-cv")
    assert not WeightsFolder(other).has("simple-nn-new-cv")
