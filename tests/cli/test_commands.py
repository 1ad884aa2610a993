"""The command line: help, results, and mistakes reported in one line with status 2."""

import runpy
import subprocess
import sys

import pandas as pd
import pytest
from typer.main import get_command

from moa.cli import app
from moa.environment import FINAL
from moa.jobs.model_scores import score_model
from moa.jobs.train import TrainingIncomplete
from moa.models.registry import recipe

OLD, NEW = "simple-nn-old-cv", "simple-nn-new-cv"


def names_of(command, name=""):
    """The words of a command and of every command below it."""
    yield name
    for word, each in getattr(command, "commands", {}).items():
        yield from names_of(each, f"{name} {word}".strip())


COMMANDS = tuple(names_of(get_command(app)))


@pytest.fixture(scope="module")
def weights(weights_of):
    return weights_of(OLD, NEW)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_reads_well_on_a_terminal_of_80_columns(command, moa_here, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    text = moa_here(*command.split(), "--help").stdout
    assert len(COMMANDS) > 20 and "data check" in COMMANDS
    assert "Usage" in text and "Traceback" not in text
    assert max(map(len, text.splitlines())) <= 80 and "\N{HORIZONTAL ELLIPSIS}" not in text, "nothing is cut off"


def test_models_lists_every_model_with_its_published_figures(moa_command):
    text = moa_command("models").stdout
    assert OLD in text and "0.01585 (treated)" in text and "0.01626" in text
    assert "0.01572 (all) †" in text and "printed 0.01564" in text
    assert all(f"{figure} (treated) ‡" in text for figure in ("0.01589", "0.01566")) and "\n‡ After phase 3" in text
    assert "0.01561 (treated) §" in text and "0.01546 (treated) " in text and "\n§ The winners clipped" in text
    assert "[0.0005, 0.9995]" in text, "and is not taken for a style"


@pytest.mark.parametrize("whole", [True, False])
def test_training_shows_the_leaky_score_beside_the_honest_one_and_says_why(dataset, moa_here, monkeypatch, whole):
    y = dataset.scored[dataset.treated]
    scores = score_model(recipe("two-heads"), dataset, y * 0.2 + 0.01, y * 0.3 + 0.01)

    def finished(*_):
        if whole:
            return [scores]
        raise TrainingIncomplete(1, ["two-heads-v2"], [scores])

    monkeypatch.setattr("moa.jobs.train.train_models", finished)
    text = moa_here("train", "two-heads", check=whole).stdout
    honest, leaky = (text.index(f"{loss:.5f}") for loss in (scores.treated_rows, scores.as_published))
    assert honest < text.index("↳") < leaky < text.index("\n‡ After phase 3, which was fitted on the validation fold")
    assert "†" not in text and "§" not in text, "of other models"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["train", "nope"], "no model or blend is named 'nope'"),
        (["train", OLD, "--data", "/nowhere"], "/nowhere"),
        (["train", OLD, "--profile", "big"], "profile 'big' is unknown"),
        (["predict", OLD, "--weights", "/nowhere"], "/nowhere"),
        (["predict", "any-asay"], "no model or blend is named 'any-asay'; did you mean 'any-assay'?"),
        (["predict", "--features", "x.csv", "--blend", "any-asay"], "no model or blend is named 'any-asay'; did you"),
        (["blend", "apply", "nope"], "no model or blend is named 'nope'"),
        (["data", "check", "/nowhere"], "/nowhere"),
    ],
)
def test_mistakes_are_reported_without_a_traceback(arguments, expected, moa_here):
    done = moa_here(*arguments, check=False)
    assert done.returncode == 2
    assert expected in done.stderr and "Traceback" not in done.stderr + done.stdout


#: Commands that read a data set; without one at all, the first of them look for nothing else before.
READING = ("train", f"train {OLD}", f"score {OLD}", f"score {OLD} --leaks", "score", f"predict {OLD}")
OTHERS = ("report", "blend apply best-lb", "blend search all", "data shuffle copy")


@pytest.mark.parametrize(
    ("command", "folder"),
    [
        *((command, folder) for command in (*READING, *OTHERS) for folder in ("../nope", "plate.csv")),
        *((command, None) for command in READING),
    ],
)
def test_a_data_folder_that_is_not_there_is_named_as_typed(command, folder, weights, tmp_path, moa_here, monkeypatch):
    """One line that says how to get one, and not that each of its files is missing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plate.csv").write_text("")
    words = [*command.split(), *([] if folder is None else ["--data", folder])]
    if words[0] in ("train", "score", "predict"):
        words += ["--weights", weights]
    done = moa_here(*words, check=False)
    error = done.stderr.splitlines()[-1]
    reason = "a file, where" if folder == "plate.csv" else "there is no such folder"
    assert done.returncode == 2 and error.startswith(f"error: {folder or 'data'}: {reason}"), done.stderr
    assert all(f"`moa data {way}" in error for way in ("synthesize", "import", "download"))


def test_a_folder_to_check_that_is_not_there_is_named_as_typed(tmp_path, moa_here, monkeypatch):
    monkeypatch.chdir(tmp_path)
    error = moa_here("data", "check", "../nope", check=False).stderr
    assert error.startswith("error: ../nope: there is no such folder; ") and error.count("\n") == 1


def test_a_process_ends_with_the_status_of_a_mistake(moa_command):
    done = moa_command("train", "nope", check=False)
    assert done.returncode == 2 and done.stderr.startswith("error: no model or blend is named 'nope'")
    assert done.stderr.count("\n") == 1 and not done.stdout


def test_from_weights_to_submission_without_training_data(weights, data_dir, tmp_path, moa_here, in_process):
    folder, predictions = tmp_path / "data", tmp_path / "predictions"
    folder.mkdir()
    for name in ("test_features.csv", "sample_submission.csv"):
        (folder / name).symlink_to(data_dir / name)
    options = ["--data", folder, "--weights", weights, "--out", predictions]
    first, second = (FINAL / "Best LB" / "Inference" / f"{name}.py" for name in (OLD, NEW))
    subprocess.run([sys.executable, first, *options], check=True, capture_output=True)
    in_process.run(lambda: runpy.run_path(str(second), run_name="__main__"), second, *options)
    done = moa_here("blend", "apply", "best-lb", "--data", folder, "--predictions", predictions, "--out", tmp_path)
    assert "two-heads" in " ".join(done.stdout.split()), "names the members that are missing"
    mixed = pd.read_csv(tmp_path / "submission-best-lb.csv", index_col="sig_id")
    parts = [pd.read_csv(predictions / name / "submission.csv", index_col="sig_id") for name in (OLD, NEW)]
    assert ((mixed - (parts[0] + parts[1]) / 2).abs() < 1e-6).all(axis=None), "equal published weights"
    control = pd.read_csv(folder / "test_features.csv", index_col="sig_id")["cp_type"] == "ctl_vehicle"
    assert (mixed[control] == 0).all(axis=None) and (mixed[~control] > 0).all(axis=None)


def test_report_shows_scores_beside_the_published_ones(weights, data_dir, tmp_path, moa_here):
    predictions = tmp_path / "predictions"
    folders = ["--data", data_dir, "--weights", weights]
    moa_here("predict", OLD, NEW, *folders, "--out", predictions)
    moa_here("report", *folders, "--predictions", predictions, "--out", tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "0.01585" in page and "synthetic" in page.lower() and "data:image/png;base64" in page
