"""The command line: help, results, and mistakes told in one line with status 2."""

import subprocess
import sys

import pandas as pd
import pytest

from moa.environment import FINAL


@pytest.fixture(scope="module")
def weights(weights_of):
    return weights_of("simple-nn-old-cv", "simple-nn-new-cv")


@pytest.mark.parametrize(
    "command",
    [
        "",
        "data",
        "data check",
        "data synthesize",
        "data download",
        "train",
        "predict",
        "compare",
        "blend",
        "blend apply",
        "blend search",
        "kaggle package",
        "report",
        "weights merge",
    ],
)
def test_help_reads_well(command, moa_command):
    text = moa_command(*command.split(), "--help").stdout
    assert "Usage" in text and "Traceback" not in text


def test_models_lists_every_model_with_its_published_figures(moa_command):
    text = moa_command("models").stdout
    assert "simple-nn-old-cv" in text and "0.01585 (treated)" in text and "0.01626" in text
    assert "0.01572 (all) †" in text and "printed 0.01564" in text


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["train", "nope"], "model 'nope' is unknown"),
        (["train", "simple-nn-old-cv", "--data", "/nowhere"], "/nowhere"),
        (["train", "simple-nn-old-cv", "--profile", "big"], "profile 'big' is unknown"),
        (["predict", "simple-nn-old-cv", "--weights", "/nowhere"], "/nowhere"),
        (["blend", "apply", "nope"], "blend 'nope' is unknown"),
        (["data", "check", "/nowhere"], "/nowhere"),
    ],
)
def test_mistakes_are_told_without_a_traceback(arguments, expected, moa_command):
    done = moa_command(*arguments, check=False)
    assert done.returncode == 2
    assert expected in done.stderr and "Traceback" not in done.stderr + done.stdout


def test_from_weights_to_submission_without_training_data(weights, data_dir, tmp_path, moa_command):
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("test_features.csv", "sample_submission.csv"):
        (folder / name).symlink_to(data_dir / name)
    data_dir = folder
    for name in ("simple-nn-old-cv", "simple-nn-new-cv"):
        script = FINAL / "Best LB" / "Inference" / f"{name}.py"
        subprocess.run(
            [
                sys.executable,
                script,
                "--data",
                data_dir,
                "--weights",
                weights,
                "--out",
                tmp_path / "predictions",
            ],
            check=True,
            capture_output=True,
        )
    done = moa_command(
        "blend", "apply", "best-lb", "--data", data_dir, "--predictions", tmp_path / "predictions", "--out", tmp_path
    )
    assert "two-heads" in " ".join(done.stdout.split()), "says which members are missing"
    mixed = pd.read_csv(tmp_path / "submission-best-lb.csv", index_col="sig_id")
    parts = [
        pd.read_csv(tmp_path / "predictions" / name / "submission.csv", index_col="sig_id")
        for name in ("simple-nn-old-cv", "simple-nn-new-cv")
    ]
    assert ((mixed - (parts[0] + parts[1]) / 2).abs() < 1e-6).all(axis=None), "equal published weights"
    control = pd.read_csv(data_dir / "test_features.csv", index_col="sig_id")["cp_type"] == "ctl_vehicle"
    assert (mixed[control] == 0).all(axis=None) and (mixed[~control] > 0).all(axis=None)


def test_report_shows_scores_beside_the_published_ones(weights, data_dir, tmp_path, moa_command):
    moa_command(
        "predict",
        "simple-nn-old-cv",
        "simple-nn-new-cv",
        "--data",
        data_dir,
        "--weights",
        weights,
        "--out",
        tmp_path / "predictions",
    )
    moa_command(
        "report",
        "--data",
        data_dir,
        "--weights",
        weights,
        "--predictions",
        tmp_path / "predictions",
        "--out",
        tmp_path,
    )
    page = (tmp_path / "report.html").read_text()
    assert "0.01585" in page and "synthetic" in page.lower() and "data:image/png;base64" in page
