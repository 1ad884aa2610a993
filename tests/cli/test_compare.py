"""moa compare: its tables, and its exit status."""

import pytest
from typer.testing import CliRunner

from moa.cli import app
from moa.data.schema import TRAIN_SCORED
from moa.models.registry import recipes
from support.planted import logged, plant

OLD, FIVE = "simple-nn-old-cv", "three-stage-nn-5fold"


@pytest.fixture
def run(tmp_path):
    """A function: arguments of ``moa compare`` to its result, on a folder that passes for the competition's."""
    (tmp_path / TRAIN_SCORED).write_text("sig_id,a\nid_1,0\n")

    def invoke(*arguments):
        return CliRunner().invoke(app, ["compare", *arguments, "--data", str(tmp_path), "--weights", str(tmp_path)])

    return invoke


def test_a_faithful_part_of_a_run_exits_with_0(run, tmp_path):
    plant(tmp_path, OLD, {unit: loss for unit, loss in logged(OLD).items() if unit[1] == 940})
    done = run(OLD, "--folds", "2")
    assert done.exit_code == 0, done.stdout
    assert "exact run" in done.stdout and "within the spread" in done.stdout
    assert "0.015979" in done.stdout and done.stdout.count("±") == 3, "two units and the mean"


def test_a_different_run_exits_with_1(run, tmp_path):
    plant(tmp_path, OLD, logged(OLD, 1e-3))
    done = run(OLD)
    assert done.exit_code == 1 and "beyond the spread of the winners' seeds: 30 of 30 units and the mean" in done.stdout


def test_a_sister_run_has_no_verdict(run, tmp_path):
    plant(tmp_path, FIVE, {(stage, seed % 5, fold): loss for (stage, seed, fold), loss in logged(FIVE, 1.0).items()})
    done = run(FIVE)
    assert done.exit_code == 0 and done.stdout.count("no verdict") == 3 and "±" not in done.stdout


def test_losses_of_the_new_cv_are_shown_as_means_with_the_reason(run, tmp_path):
    plant(tmp_path, "simple-nn-new-cv", {("nn", 940, 2): 0.02})
    done = run("simple-nn-new-cv")
    lines = " ".join(done.stdout.split())
    assert done.exit_code == 0 and "ours 0.020000 (1 units)" in lines and "(30 units)" in lines
    assert "cannot be reproduced" in lines and "0.02000 " not in lines, "no unit stands beside a fold of theirs"


def test_several_models_are_compared_as_far_as_they_are_trained(run, tmp_path):
    plant(tmp_path, OLD, logged(OLD))
    done = run("all")
    assert done.exit_code == 0 and done.stdout.count("not trained in") == len(recipes()) - 1


def test_a_model_without_a_log_says_so(run):
    done = run("three-stage-nn-10fold")
    assert done.exit_code == 0 and "left no log" in done.stdout


def test_synthetic_data_are_refused_in_one_line(data_dir, tmp_path, moa_command):
    done = moa_command("compare", OLD, "--data", data_dir, "--weights", tmp_path, check=False)
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1
    assert "these data are synthetic" in done.stderr


def test_the_help_says_what_the_words_mean(moa_command):
    text = " ".join(moa_command("compare", "--help").stdout.split())
    assert "exact:" in text and "sister:" in text and "one seed:" in text
    assert "cannot be reproduced" in text
