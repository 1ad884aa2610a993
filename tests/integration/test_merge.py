"""Parts of a training run, from several places, become one store: whole, checked, and of one kind."""

import json
import shutil

import pandas as pd
import pytest
from typer.testing import CliRunner

from moa.cli import app
from moa.errors import UserError
from moa.files import read_json
from moa.weights.merge import merge_weights
from moa.weights.trained import open_trained
from support.demo import copy_models

MODEL = "simple-nn-old-cv"


@pytest.fixture(scope="module")
def weights(weights_of):
    return weights_of(MODEL)


@pytest.fixture
def parts(weights, tmp_path):
    """Two weights folders, as two sessions leave them, a seed each; one unit is in both."""
    units = {"first": ["seed-940/fold-*"], "second": ["seed-1513/fold-*", "seed-940/fold-0"]}
    for name, patterns in units.items():
        copy_models(weights, tmp_path / name)
        for file in ("manifest.json", "training.json", "evidence.json", "nn/stage.json"):
            path = weights / MODEL / file
            copy = tmp_path / name / path.relative_to(weights)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        for unit in (unit for pattern in patterns for unit in (weights / MODEL / "nn").glob(pattern)):
            shutil.copytree(unit, tmp_path / name / unit.relative_to(weights))
    return [tmp_path / name for name in units]


def test_parts_become_the_whole(dataset, weights, parts, tmp_path):
    whole, target = open_trained(MODEL, weights), tmp_path / "whole"
    outputs = [part.parent / "outputs" / part.name for part in parts]  # as `kaggle kernels output` writes them
    for part, output in zip(parts, outputs, strict=True):
        output.mkdir(parents=True)
        part.rename(output / "weights")
    parts = outputs
    done = CliRunner().invoke(app, ["weights", "merge", str(target), *map(str, parts)])
    assert done.exit_code == 0, done
    merged = open_trained(MODEL, target)
    assert merged.missing_units() == 0
    pd.testing.assert_frame_equal(merged.oof(), whole.oof())
    pd.testing.assert_series_equal(merged.prevalence(), whole.prevalence())
    assert (merged.familiarity().distances_ == whole.familiarity().distances_).all()
    assert merged.evidence().labels(merged.targets).equals(whole.evidence().labels(whole.targets))
    assert len(merged.evidence().names_) == len(whole.evidence().names_)
    assert len(whole.evidence().names_) == dataset.drugs[dataset.treated].nunique()
    assert not list(target.rglob("*.tmp"))
    units = len(whole.last.units())
    assert [(model.taken, model.there) for model in merge_weights(parts, target)] == [(0, units + 1)]
    linked = merge_weights([target], tmp_path / "links", link=True)
    assert [(model.taken, model.there) for model in linked] == [(units, 0)]
    assert all(path.is_symlink() for path in (tmp_path / "links").rglob("weights.safetensors"))
    pd.testing.assert_frame_equal(open_trained(MODEL, tmp_path / "links").oof(), whole.oof())


def test_what_explains_predictions_is_taken_from_the_part_that_has_it(weights, parts, tmp_path):
    (parts[0] / MODEL / "evidence.json").unlink()  # as in format 1
    merge_weights(parts, tmp_path / "whole")
    found = open_trained(MODEL, tmp_path / "whole", whole=False).evidence()
    assert list(found.names_) == list(open_trained(MODEL, weights).evidence().names_)
    (parts[1] / MODEL / "evidence.json").unlink()
    merge_weights(parts, tmp_path / "none")
    assert open_trained(MODEL, tmp_path / "none", whole=False).evidence() is None


def edit(path, **changes):
    path.write_text(json.dumps(read_json(path) | changes))


def without_version(path):
    manifest = read_json(path)
    del manifest["recipe"]
    path.write_text(json.dumps(manifest))


def damage(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def other_fit(part):
    """Another fit under the same key: that of another step."""
    steps = read_json(part / MODEL / "nn" / "stage.json")["pipeline"]["steps"]
    first, second = (part / "shared" / f"{step['key']}.fit" for step in steps if step["name"] in ("g-fa", "c-fa"))
    first.write_bytes(second.read_bytes())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda part: edit(part / MODEL / "manifest.json", settings={"seeds": [1]}), "not of the same training.*seeds"),
        (lambda part: edit(part / MODEL / "manifest.json", data={"x": "y"}), "not of the same training"),
        (lambda part: edit(part / MODEL / "nn" / "stage.json", rows=7), "other features or stages.*rows"),
        (lambda part: edit(part / MODEL / "manifest.json", recipe=2), "trained by version 2 of this model.*version 3"),
        (lambda part: without_version(part / MODEL / "manifest.json"), "trained by version 1 of this model.*version 3"),
        (lambda part: damage(part / MODEL / "nn" / "seed-1513" / "fold-0" / "weights.safetensors"), "checksum differs"),
        (lambda part: (part / MODEL / "nn" / "seed-1513" / "fold-0" / "oof.parquet").unlink(), "missing or damaged"),
        (other_fit, "fitted with another result"),
        (lambda part: shutil.rmtree(part / "shared"), "'shared' part included"),
        (lambda part: shutil.rmtree(part / MODEL), "holds no trained model"),
    ],
)
def test_what_does_not_belong_together_is_refused(parts, tmp_path, spoil, message):
    spoil(parts[1])
    with pytest.raises(UserError, match=message) as caught:
        merge_weights(parts, tmp_path / "whole")
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "whole").glob("*/nn/seed-1513/fold-*")), "nothing was taken of the second part"


def test_other_package_versions_are_said(parts, tmp_path):
    path = parts[1] / MODEL / "manifest.json"
    edit(path, versions=read_json(path)["versions"] | {"torch": "1.0"})
    assert "torch" in merge_weights(parts, tmp_path / "whole")[0].versions
