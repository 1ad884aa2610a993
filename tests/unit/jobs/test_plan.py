"""The wall time of a run on some workers, against times computed by hand."""

import re

import pytest

from moa.blending.catalogue import expand_models
from moa.errors import UserError
from moa.files import read_json, write_json
from moa.jobs.plan import ModelWork, StageWork, recorded, simulate
from moa.models.registry import recipe, recipes
from support.pages import DOCS, README
from support.planted import plant

FIVE = "three-stage-nn-5fold"


def model(name, *stages, first=0.0, last=0.0):
    return ModelWork(name, tuple(StageWork(f"s{at}", *stage) for at, stage in enumerate(stages)), first, last)


def test_a_stage_waits_for_the_one_before_and_units_share_the_workers():
    one = [model("a", (5, 4, 10), (1, 1, 30), first=2, last=3)]
    for workers, seconds in ((1, 2 + 5 + 40 + 1 + 30 + 3), (2, 2 + 5 + 20 + 1 + 30 + 3), (64, 2 + 5 + 10 + 1 + 30 + 3)):
        assert simulate(one, workers).seconds == pytest.approx(seconds)
    assert simulate(one, 64).limit == "a s1: 1 units of 30 s"
    assert simulate([model("a", (0, 8, 10))], 2) == simulate([model("a", (0, 8, 10))], 2)
    assert simulate([model("a", (0, 8, 10))], 2).limit == "number of workers"
    assert simulate([model("a", (0, 8, 10))], 2).busy == pytest.approx(1.0)


def test_models_run_at_the_same_time_and_the_driver_does_one_thing_after_another():
    two = [model("a", (10, 2, 100)), model("b", (10, 1, 100))]
    assert simulate(two, 8).seconds == pytest.approx(10 + 10 + 100), "b's features wait for a's"
    assert simulate(two, 1).seconds == pytest.approx(10 + 300)
    assert simulate(two, 2).seconds == pytest.approx(10 + 200), "b's unit waits for one of a's"
    assert simulate([model("a", (0, 1, 500)), model("b", (0, 64, 1))], 64).limit == "a s0: 1 units of 500 s"


def test_seconds_are_those_of_the_folder_and_else_of_the_package(tmp_path):
    losses = {("stage1", 0, 0): 1.0, ("stage1", 0, 1): 1.0, ("stage2", 0, 0): 1.0, ("stage3", 0, 0): 1.0}
    weights = plant(tmp_path, FIVE, losses)
    for path, seconds in (("stage1/seed-0/fold-1", 3.0), ("stage2/seed-0/fold-0", 7.0)):
        file = weights / FIVE / path / "unit.json"
        write_json(file, read_json(file) | {"seconds": seconds})
    write_json(weights / FIVE / "seconds.json", {"seconds": {"stage2": 5.0, "predictions": 4.0}})
    (found,) = recorded([recipe(FIVE)], weights, "kaggle")
    assert [(stage.name, stage.units) for stage in found.stages] == [("stage1", 25), ("stage2", 25), ("stage3", 25)]
    assert [stage.seconds for stage in found.stages] == [2.0, 7.0, 1.0] and found.measured
    assert found.stages[1].here == 5.0 and found.last == 4.0
    (other,) = recorded([recipe("simple-nn-old-cv")], weights, "kaggle")
    assert other.stages[0].units == 30 and other.stages[0].seconds > 10 and not other.measured


def test_the_package_knows_all_models_at_published_settings_and_estimates_gpus(tmp_path):
    work = recorded(list(recipes().values()), tmp_path, "kaggle")
    one, eight, many = (simulate(work, workers).seconds for workers in (1, 8, 64))
    assert one / 8 <= eight < one and one / 64 < many < eight
    assert not any(model.estimated for model in work)
    on_gpu = {model.name: model for model in recorded(list(recipes().values()), tmp_path, "kaggle", "cuda")}
    assert all(model.estimated for model in on_gpu.values())
    assert on_gpu["deepinsight-resnest-v1"].stages[-1].seconds == 9000, "2.5 hours a fold, the winners' most"
    assert [stage.seconds for stage in on_gpu[FIVE].stages] == [
        stage.seconds for model in work if model.name == FIVE for stage in model.stages
    ]
    capped = simulate([on_gpu["two-stage-nn-tabnet"]], 1).seconds
    assert capped == pytest.approx(9 * 3600), "as long as a notebook of 2020"
    with pytest.raises(UserError, match="no unit trained on a GPU of simple-nn-old-cv nn; train one of each first"):
        recorded([recipe("simple-nn-old-cv")], tmp_path, "demo", "cuda")
    with pytest.raises(UserError, match="no unit trained on a CPU of simple-nn-old-cv nn"):
        recorded([recipe("simple-nn-old-cv")], tmp_path, "demo")


def test_the_hours_in_the_docs_are_those_of_the_plan(tmp_path):
    def hours(models, workers=1, device="cpu"):
        return round(simulate(recorded(models, tmp_path, "kaggle", device), workers).seconds / 3600)

    text = (DOCS / "kaggle.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| `?([\w-]+)`? \| \d+ \| ([\d,]+) \| (\d+) \|$", text, re.MULTILINE)
    assert [name for name, *_ in table] == [*recipes(), "all"]
    for name, cores, gpu in table:
        models = list(recipes().values()) if name == "all" else [recipe(name)]
        assert (f"{hours(models):,}", f"{hours(models, device='cuda')}") == (cores, gpu), name
    small = [model for name, model in recipes().items() if "deepinsight" not in name]
    assert f"{hours(small, 2)} hours on two cores, {hours(small, 4)} on four" in text
    best = [recipe(name) for name in expand_models(["best-lb"])]
    assert f"about {hours(best, device='cuda')} GPU hours for Best LB" in text
    readme = README.read_text(encoding="utf-8")
    for words in (f"about {table[-1][2]} GPU hours", f"{table[-1][1]} core hours", f"{hours(small, 2)} hours on two"):
        assert words in " ".join(readme.split())


def test_the_command(tmp_path, moa_here):
    done = moa_here("plan", "--workers", "1,8", "--weights", tmp_path)
    assert done.stdout.count("number of workers") == 2 and "with seconds that the package records" in done.stdout
    done = moa_here("plan", FIVE, "--workers", "1", "--gpus", "1", "--weights", tmp_path)
    assert done.stdout.count("about ") == 1 and f"no unit on a GPU is recorded of {FIVE}" in done.stdout
    assert "--workers 0: expected numbers such as 1,8,64" in moa_here("plan", "--workers", "0", check=False).stderr
