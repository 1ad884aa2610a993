"""``moa score`` of trained models and of files, as a user sees it."""

import json
import shutil
from io import StringIO

import numpy as np
import pandas as pd
import pytest

from moa.data.stored_tables import write_table
from moa.jobs.model_scores import score_model
from moa.metrics.losses import log_loss
from moa.models.registry import recipe
from moa.weights.trained import open_trained

OLD, NEW = "simple-nn-old-cv", "simple-nn-new-cv"


@pytest.fixture
def run(moa_here, monkeypatch):
    """Run ``moa score`` on a terminal of 80 columns."""
    monkeypatch.setattr("moa.cli.console.out.width", 80, raising=False)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments, **options):
        wide = options.pop("wide", False)
        done = moa_here("score", *arguments, **options)
        assert wide or max(map(len, done.stdout.splitlines()), default=0) <= 80, done.stdout
        return done

    return run


def test_trained_models_are_scored_out_of_fold(run, data_dir, weights_of, dataset, tmp_path):
    weights, path = weights_of(OLD, NEW), tmp_path / "scores.csv"
    done = run(OLD, NEW, "--data", data_dir, "--weights", weights, "--out", path)
    table = pd.read_csv(path).set_index("prediction")
    for name in (OLD, NEW):
        oof = open_trained(name, weights).oof()
        ours = score_model(recipe(name), dataset, oof).treated_rows
        assert table.loc[name, "log_loss"] == pytest.approx(ours, rel=1e-6) and f"{ours:.5f}" in done.stdout
    assert list(table.index[2:4]) == ["mean of these 2", "prevalence"]
    near = table.index[table["kind"] == "neighbours"]
    kinds = [(folds, how) for folds in ("multilabel-3", "drug-aware-3") for how in ("", " sphered")]
    assert list(near) == [f"{k}-NN{how}, folds {folds}" for folds, how in kinds for k in (1, 5)]
    sentences = " ".join(done.stdout.split())
    assert f"{OLD}: " in sentences and "95 % intervals over compounds" in sentences
    assert table["rows"].eq(dataset.treated.sum()).all() and OLD in done.stdout
    # Replicates of a drug are in other folds of the old CV, and the nearest neighbours of each other.
    assert table.loc["5-NN, folds multilabel-3", "top_1"] > 2 * table.loc["5-NN, folds drug-aware-3", "top_1"]


@pytest.mark.parametrize("by", ["dose", "seed", "treatment,target"])
def test_tables_fit_a_terminal_and_name_what_they_are_by(run, data_dir, weights_of, by):
    done = run(OLD, "--data", data_dir, "--weights", weights_of(OLD), "--by", by)
    words = {"dose": "dose D1", "seed": "seed mean"}.get(by, "scores by target")
    assert words in done.stdout and OLD in done.stdout and "…" not in done.stdout


def test_a_file_is_scored_against_a_table_of_labels(run, tmp_path):
    rng = np.random.default_rng(0)
    rows = pd.Index([f"id_{i}" for i in range(50)], name="sig_id")
    y = pd.DataFrame((rng.random((50, 3)) < 0.3).astype(int), rows, list("abc"))
    p = pd.DataFrame(rng.random((50, 2)), rows, ["b", "a"])
    y.to_csv(tmp_path / "truth.csv")
    p.to_csv(tmp_path / "mine.csv")
    pd.DataFrame({"sig_id": rows, "compound": np.arange(50) // 5, "plate": np.arange(50) % 2}).to_csv(
        tmp_path / "wells.csv", index=False
    )
    files = ["--predictions", tmp_path / "mine.csv", "--truth", tmp_path / "truth.csv", "--data", tmp_path]
    done = run(*files, "--out", tmp_path / "s.csv")
    table = pd.read_csv(tmp_path / "s.csv").set_index("prediction")
    assert list(table.index) == ["mine", "prevalence", "shuffled labels"]  # no features are known
    assert table.loc["mine", "log_loss"] == pytest.approx(log_loss(y[["a", "b"]], p), rel=1e-6)
    assert "1 targets of truth.csv are not predicted" in done.stdout
    wells = ["--wells", tmp_path / "wells.csv"]
    assert "plate 1: 25 wells" in run(*files, *wells, "--by", "plate").stdout
    assert "Scores over 10 compounds" in run(*files, *wells, "--by", "compound").stdout


def test_predictions_of_test_rows_have_neighbours_among_training_rows(run, data_dir, weights_of, dataset, tmp_path):
    p = open_trained(OLD, weights_of(OLD)).predict(dataset.test)
    write_table(tmp_path / OLD / "test.parquet", p)
    truth = data_dir / "truth" / "test_targets_scored.csv"
    files = ["--predictions", tmp_path / OLD / "test.parquet", "--data", data_dir]
    run(*files, "--truth", truth, "--out", tmp_path / "s.csv")
    table = pd.read_csv(tmp_path / "s.csv").set_index("prediction")
    assert (table["rows"] == dataset.test_treated.sum()).all() and "5-NN, training rows" in table.index
    rows = dataset.test.index[dataset.test_treated]
    y = pd.read_csv(truth, index_col="sig_id").loc[rows]
    assert table.loc[OLD, "log_loss"] == pytest.approx(log_loss(y, p.loc[rows]), rel=1e-6)
    done = run(*files, check=False)
    assert done.returncode == 2 and "give the labels of these rows with --truth FILE" in done.stderr


def test_out_of_fold_predictions_of_a_file_have_neighbours_of_other_compounds(run, data_dir, weights_of, tmp_path):
    write_table(tmp_path / "mine.parquet", open_trained(OLD, weights_of(OLD)).oof())
    run("--predictions", tmp_path / "mine.parquet", "--data", data_dir, "--out", tmp_path / "s.csv")
    assert "5-NN, other compounds" in set(pd.read_csv(tmp_path / "s.csv")["prediction"])


def test_baselines_can_be_had_before_anything_is_trained(run, data_dir, dataset, tmp_path):
    run("--data", data_dir, "--out", tmp_path / "s.csv")
    table = pd.read_csv(tmp_path / "s.csv")
    near = [f"{k}-NN{how}, other compounds" for how in ("", " sphered") for k in (1, 5)]
    assert list(table["prediction"]) == ["prevalence", "training prevalence", *near, "exchanged profiles, 5-NN"]
    assert (table["rows"] == dataset.treated.sum()).all()
    run("--data", data_dir, "--by", "treatment", "--out", tmp_path / "s.csv")
    treatments = pd.concat([dataset.drugs, dataset.features["cp_dose"]], axis=1)[dataset.treated].drop_duplicates()
    table = pd.read_csv(tmp_path / "s.csv")
    assert "1-NN, other compounds" in set(table["prediction"]) and (table["rows"] == len(treatments)).all()
    assert "5-NN" in run("--data", data_dir, "--by", "target").stdout


def test_retrieval_has_one_line_per_source(run, data_dir, weights_of, tmp_path):
    pytest.importorskip("copairs")
    options = ["--retrieval", "--no-baselines", "--out", tmp_path / "s.csv"]
    done = run(OLD, "--data", data_dir, "--weights", weights_of(OLD), *options)
    assert "Retrieval of mechanisms" in done.stdout and "features" in done.stdout
    table = pd.read_csv(tmp_path / "s-retrieval.csv")
    assert set(table["source"]) == {"features", OLD} and table["mean_average_precision"].between(0, 1).all()


def test_every_figure_can_be_read_by_a_program(run, data_dir, weights_of, tmp_path):
    options = [OLD, "--data", data_dir, "--weights", weights_of(OLD), "--by", "treatment"]
    done = run(*options, "--format", "json", "--out", tmp_path / "s.json", wide=True)
    rows = json.loads(done.stdout)
    assert rows == json.loads((tmp_path / "s.json").read_text())
    first = rows[0]
    assert (first["prediction"], first["kind"], first["by"]) == (OLD, "model", "treatment")
    for name in ("rows", "top_1", "f1_macro", "average_precision_micro", "roc_auc_micro", "log_loss", "ece"):
        assert isinstance(first[name], int | float), name
    assert isinstance(first["better"], bool) and first["average_precision_micro_baseline"]
    near = next(row for row in rows if row["kind"] == "neighbours")
    assert near["log_loss"] is None and near["top_1"] > 0
    table = pd.read_csv(StringIO(run(*options, "--format", "csv", wide=True).stdout))
    assert list(table["prediction"]) == [row["prediction"] for row in rows]
    assert table["log_loss"][0] == pytest.approx(first["log_loss"], rel=1e-6)


def test_weights_of_other_data_are_refused(run, data_dir, weights_of, tmp_path):
    other, target = tmp_path / "data", open_trained(OLD, weights_of(OLD)).targets[3]
    shutil.copytree(data_dir, other)
    for name in ("train_targets_scored.csv", "sample_submission.csv"):
        path = other / name
        if path.exists():
            path.write_text(path.read_text().replace(target, "another_target", 1))
    done = run(OLD, "--data", other, "--weights", weights_of(OLD), check=False)
    assert done.returncode == 2 and "trained on other targets than those of" in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([OLD, "--format", "xml"], "--format xml: give json or csv"),
        (["--leaks"], "--leaks: name one trained model or more"),
        (["--no-baselines"], "name MODELS, or give files with --predictions FILE"),
        ([OLD, "--truth", "t.csv"], "name MODELS, or give files"),
        ([OLD, "--data", "DATA", "--weights", "none"], "none"),
        (["best-lb", "--data", "DATA", "--weights", "none"], "none: holds trained weights of none of these: best-lb"),
        (["--predictions", "p.csv", "--data", "DATA"], "p.csv: missing"),
    ],
)
def test_mistakes_are_reported_in_one_line(run, data_dir, arguments, message):
    done = run(*[str(data_dir) if word == "DATA" else word for word in arguments], check=False)
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr
