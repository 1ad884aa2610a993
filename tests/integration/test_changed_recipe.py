"""A recipe that was edited since its weights were trained is refused: it is never served from the old fits."""

import dataclasses
import json
import shutil

import pytest
from sklearn.decomposition import PCA

from moa.environment import Folders
from moa.errors import StoreError
from moa.features.pipeline import FeaturePipeline
from moa.files import read_json
from moa.jobs.options import TrainOptions
from moa.jobs.train import train_models
from moa.models.own import load_recipes
from moa.weights.merge import merge_weights
from moa.weights.trained import open_trained
from support import TESTS

OWN = TESTS / "support" / "my_small.py"
NAME = "my-small"


@pytest.fixture(scope="module")
def data(tmp_path_factory, synthetic):
    return synthetic(tmp_path_factory.mktemp("data") / "data", rows=80, test_rows=8, seed=3)


@pytest.fixture(scope="module")
def once(data, tmp_path_factory):
    """The model in its file, trained."""
    folder = tmp_path_factory.mktemp("trained")
    file = shutil.copyfile(OWN, folder / "my_small.py")
    train(file, data, folder / "weights")
    return folder


@pytest.fixture
def trained(once, tmp_path):
    shutil.copytree(once, tmp_path, dirs_exist_ok=True)
    return tmp_path / "my_small.py", tmp_path / "weights"


def train(file, data, weights):
    return train_models(load_recipes(file), Folders.find("kaggle", data, weights=weights), TrainOptions(device="cpu"))


def edit(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def refused(file, data, weights, message):
    load_recipes(file)
    for use in (lambda: open_trained(NAME, weights), lambda: train(file, data, weights)):
        with pytest.raises(StoreError, match=message) as caught:
            use()
        assert "\n" not in str(caught.value) and "undo the change" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("random_state=0", "random_state=0, whiten=True", "stage.json.*steps.pc.transformer.whiten: False there, True"),
        ("*schema.values", "*schema.values[1:]", "stage.json.*steps.pc.columns: 872, 'g-0' among them"),
        ("config.learner),", "config.learner.model_copy(update={'smoothing': 0.1})),", "learner.smoothing: 0.0 there"),
        ("def stages", "WIDTH = 3\n\n\ndef stages", "manifest.json.*my_small.py: .*`WIDTH = 3` now"),
    ],
)
def test_an_edit_is_refused_with_what_changed(old, new, message, trained, data):
    file, weights = trained
    edit(file, old, new)
    refused(file, data, weights, message)
    edit(file, new, old)
    load_recipes(file)
    assert open_trained(NAME, weights).missing_units() == 0, "the edit undone, all is as before"


def test_comments_and_layout_change_nothing(trained, data):
    file, weights = trained
    edit(file, "components: int = 5", "# of the principal components\n    components: int = 5  # few")
    scores = train(file, data, weights)
    assert scores[0].covered == 1 and open_trained(NAME, weights).missing_units() == 0


def test_a_recipe_of_the_package_is_compared_by_its_structure(weights_of, monkeypatch):
    from moa.models import simple_nn

    name = "simple-nn-old-cv"
    weights, made = weights_of(name), simple_nn.features
    open_trained(name, weights)

    def whitened(config, schema):
        steps = made(config, schema).steps
        place = next(i for i, step in enumerate(steps) if step.name == "c-fa")
        steps[place] = dataclasses.replace(steps[place], transformer=PCA(config.cell_factors, whiten=True))
        return FeaturePipeline(steps)

    monkeypatch.setattr(simple_nn, "features", whitened)
    with pytest.raises(StoreError, match="steps.c-fa.transformer: sklearn.FactorAnalysis there, sklearn.PCA now"):
        open_trained(name, weights)


def test_parts_of_two_recipes_are_not_merged(trained, data, tmp_path):
    file, weights = trained
    merge_weights([weights], tmp_path / "merged")
    path = weights / NAME / "nn" / "stage.json"
    stage = read_json(path)
    stage["description"]["features"]["steps"]["pc"]["transformer"]["whiten"] = True
    path.write_text(json.dumps(stage))
    with pytest.raises(StoreError, match="whiten: False there, True now"):
        merge_weights([weights], tmp_path / "merged")
    del stage["description"]
    path.write_text(json.dumps(stage))
    merge_weights([weights], tmp_path / "merged")
    path = weights / NAME / "manifest.json"
    manifest = read_json(path)
    path.write_text(json.dumps(manifest | {"code": {"my_small.py": "other = 1"}}))
    with pytest.raises(StoreError, match="not of the same training.*my_small.py"):
        merge_weights([weights], tmp_path / "merged")
