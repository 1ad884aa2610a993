"""Models of one's own from the command line: a file to begin with, training, predicting, and changed settings."""

import ast
import importlib.util
import re
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

from moa.files import read_json
from moa.models import registry
from moa.models.templates import KINDS
from support import TESTS


@pytest.fixture(scope="module")
def data(tmp_path_factory, synthetic):
    return synthetic(tmp_path_factory.mktemp("data") / "data", rows=80, test_rows=8, seed=3)


@pytest.fixture
def here(moa_here, tmp_path, data, monkeypatch):
    """Run a command in a folder of its own, with data."""
    monkeypatch.setattr(registry, "_own", {})
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(data)
    shutil.copyfile(TESTS / "support" / "my_small.py", "my_small.py")
    return moa_here


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_to_begin_with_is_whole(kind, here):
    done = here("models", "new", "my-model", "--kind", kind)
    assert done.stdout == "wrote my_model.py; train it with: moa train my-model --recipe my_model.py\n"
    text = Path("my_model.py").read_text(encoding="utf-8")
    ast.parse(text)
    assert not re.search(r"<[A-Z]+>", text) and '"my-model"' in text and text.startswith('"""My model: ')
    done = here("models", "new", "my-model", check=False)
    assert done.returncode == 2 and done.stderr.startswith("error: my_model.py: exists already")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["My Model"], "'My Model' is not a valid model name"),
        (["../x"], "'../x' is not a valid"),
        (["two-heads"], "'two-heads' is a model of the package"),
        (["my-model", "--kind", "forest"], "--kind forest: choose one of: logistic, lightgbm, perceptron"),
    ],
)
def test_names_that_cannot_be_used(arguments, message, here):
    done = here("models", "new", *arguments, check=False)
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "lightgbm" or importlib.util.find_spec(kind)])
def test_it_trains_and_predicts_as_it_is(kind, here):
    here("models", "new", "my-model", "--kind", kind)
    done = here("train", "--recipe", "my_model.py", "--profile", "demo", "--device", "cpu")
    assert "My" in done.stdout and "Traceback" not in done.stderr
    assert "covered" not in done.stdout, "all rows are"
    here("predict", "--recipe", "my_model.py", "--profile", "demo", "--device", "cpu")
    table = pd.read_csv("output/demo/predictions/my-model/submission.csv", index_col="sig_id")
    assert table.shape == (8, 206) and ((table >= 0) & (table <= 1)).all(axis=None)
    if kind == "logistic":  # learners without epochs have no learning curves, and all else works
        here("report", "--recipe", "my_model.py", "--profile", "demo")
        assert "My model" in Path("output/demo/report.html").read_text(encoding="utf-8")
        listed = here("models", "--recipe", "my_model.py").stdout
        assert re.search(r"my-model\s+│\s+– │", listed), "no published figures"


def test_settings_are_changed_and_kept(here):
    options = ["--recipe", "my_small.py", "--weights", "w", "--device", "cpu"]
    here("train", "my-small", *options, "--set", "learner.hidden=4", "--set", "seeds=[3]")
    settings = read_json(Path("w/my-small/manifest.json"))["settings"]
    assert settings["learner"]["hidden"] == 4 and settings["seeds"] == [3]
    assert Path("w/my-small/nn/seed-3").is_dir()
    here("predict", "my-small", *options, "--out", "out")
    done = here("train", "my-small", *options, check=False)
    assert done.returncode == 2 and "made with other settings" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "name models or blends, 'all', or a file of your own: --recipe FILE"),
        (["train", "--recipe", "gone.py"], "gone.py: no such file; `moa models new NAME`"),
        (["train", "my-small"], "no model or blend is named 'my-small'; .*--recipe FILE"),
        (["train", "--recipe", "my_small.py", "--set", "learner.hiden=3"], "did you mean learner.hidden"),
        (["train", "--recipe", "my_small.py", "--set", "hidden"], "--set hidden: expected NAME=VALUE"),
    ],
)
def test_mistakes_are_one_line(arguments, message, here):
    done = here(*arguments, check=False)
    assert done.returncode == 2 and re.search(message, done.stderr) and done.stderr.count("\n") == 1


def test_a_column_of_text_is_named(here):
    path = Path("my_small.py")
    path.write_text(re.sub(r" *drop\(.*\),\n", "", path.read_text(encoding="utf-8")), encoding="utf-8")
    done = here("train", "--recipe", path, "--weights", "w", "--device", "cpu", check=False)
    assert (
        done.returncode == 2
        and "the column 'cp_dose' still holds text" in done.stderr
        and "Traceback" not in done.stderr
    )


def test_every_command_that_takes_models_takes_files_of_ones_own():
    from typer.main import get_command

    from moa.cli import app

    def commands(command, name=""):
        yield name, command
        for word, each in getattr(command, "commands", {}).items():
            yield from commands(each, f"{name} {word}".strip())

    taking = {name: {option.name for option in each.params} for name, each in commands(get_command(app))}
    lacking = [name for name, options in taking.items() if "models" in options and not {"recipe", "own"} & options]
    assert not lacking and {"train", "score", "compare", "blend search"} <= taking.keys()


def test_weights_of_a_model_that_is_not_read_are_merged(here):
    here("train", "--recipe", "my_small.py", "--weights", "w", "--device", "cpu")
    registry._own.clear()
    assert "?" in here("weights", "merge", "both", "w").stdout
    assert "?" not in here("weights", "merge", "both", "w", "--recipe", "my_small.py").stdout
