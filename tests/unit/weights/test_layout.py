"""Where everything lies in a weights folder, found without any package."""

import subprocess
import sys

from moa.environment import FINAL
from moa.weights.layout import UnitKey, WeightsFolder


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def test_models_stages_and_units_are_those_that_are_finished(tmp_path):
    folder = WeightsFolder(tmp_path)
    assert folder.models() == [] and not folder.has("b") and folder.model("b").units() == []
    model, units = folder.model("b"), [UnitKey("nn", 2, 0), UnitKey("nn", 10, 1), UnitKey("nn", 10, 10)]
    for path in (model.manifest, model.stage("nn"), folder.model("a").manifest, *map(model.facts, units[::-1])):
        touch(path)
    touch(model.unit(UnitKey("nn", 3, 0)) / "weights.safetensors")  # not finished: the facts are written last
    touch(model.scratch(UnitKey("nn", 4, 0)) / "last.ckpt")
    assert folder.models() == ["a", "b"] and folder.has("b") and not folder.has("shared")
    assert model.stages() == ["nn"] and model.units() == units


def test_files_are_those_that_prediction_needs(tmp_path):
    folder = WeightsFolder(tmp_path)
    model, unit = folder.model("b"), UnitKey("nn", 2, 0)
    needed = [folder.fit("0" * 20), model.manifest, model.training, model.evidence, model.stage("nn")]
    needed += [model.facts(unit), model.unit(unit) / "weights.safetensors"]
    others = [
        model.prediction("oof"),
        model.scratch(unit) / "last.ckpt",
        model.unit(UnitKey("nn", 2, 1)) / "oof.parquet",
    ]
    for path in (*needed, *others):
        touch(path)
    assert list(folder.files()) == needed


def test_no_package_is_needed():
    code = "import sys; sys.path.insert(0, sys.argv[1]); import moa.weights.layout; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-S", "-c", code, FINAL], capture_output=True, text=True, check=True)
    assert not {"numpy", "pandas", "torch"} & set(done.stdout.split())
