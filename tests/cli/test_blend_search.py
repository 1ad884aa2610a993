"""moa blend search: finds weights, writes a blend that can be applied, and refuses with the reason."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from moa.blending.blend import BlendSpec, load_blend, save_blend
from moa.cli import app
from moa.data.stored_tables import read_table, write_table
from moa.errors import UserError
from moa.jobs.blend import blend_submission


@pytest.fixture(scope="module")
def planted_predictions(dataset, tmp_path_factory):
    """A predictions folder whose members are truths behind noise: those named first know more."""
    folder = tmp_path_factory.mktemp("planted")
    rng = np.random.default_rng(3)
    y = dataset.scored.to_numpy()
    models = {"deepinsight-resnest-v1": 0.3, "three-stage-nn-10fold": 0.2, "simple-nn-new-cv": 0.1}
    for name, signal in models.items():
        p = np.clip((0.004 + signal * y * rng.random(y.shape)) * np.exp(rng.normal(0, 0.7, y.shape)), 1e-5, 0.9)
        table = pd.DataFrame(p.astype(np.float32), dataset.scored.index, dataset.scored.columns)
        write_table(folder / name / "oof.parquet", table if name.startswith("deep") else table[dataset.treated])
        test = pd.DataFrame(rng.random((len(dataset.test), y.shape[1])) / 9, dataset.test.index, table.columns)
        write_table(folder / name / "test.parquet", test)
    return folder


def run_search(data_dir, predictions, *arguments):
    folders = ["--data", data_dir, "--predictions", predictions, "--weights", "/nowhere"]
    done = CliRunner().invoke(app, ["blend", "search", *map(str, [*arguments, *folders])])
    return done, " ".join(done.output.split())


def test_command_line_searches_and_writes_a_blend_that_can_be_applied(data_dir, planted_predictions, tmp_path):
    methods = ["--method", "slsqp", "--method", "per-target", "--method", "tpe", "--trials", "10", "--bootstrap", "50"]
    path = tmp_path / "My Blend.yaml"
    done, text = run_search(data_dir, planted_predictions, "best-cv", "--folds", 2, "--out", path, *methods)
    assert done.exit_code == 0, done
    assert "without" in text and "deepinsight-resnest-v2" in text, "members that are missing are said"
    for word in ("best-single", "equal", "per-target", "tpe", "multilabel-10", "95 % interval", "optimistic"):
        assert word in text
    spec = load_blend(path)
    assert spec.name == "my-blend" and set(spec.weights.index) <= {"deepinsight-resnest-v1", "three-stage-nn-10fold"}
    assert spec.weights.sum() == pytest.approx(1.0, abs=1e-9)
    written, _ = blend_submission(str(path), data_dir, planted_predictions, tmp_path)
    mixed = pd.read_csv(written, index_col="sig_id")
    parts = sum(
        weight * read_table(planted_predictions / model / "test.parquet") for model, weight in spec.weights.items()
    )
    treated = (mixed > 0).all(axis=1)
    np.testing.assert_allclose(mixed[treated], parts.loc[mixed.index][treated], rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["best-cv", "simple-nn-new-cv"], "simple-nn-new-cv (drug-aware-5)"),
        (["best-cv", "simple-nn-new-cv"], "blend one kind, or give --mixed comparable"),
        (["best-cw"], "no model or blend is named 'best-cw'; did you mean 'best-cv' or 'best-lb'?"),
        (["three-stage-nn-10fold"], "OOF predictions of three-stage-nn-10fold; a blend needs at least two"),
        (["best-cv", "simple-nn-old-cv"], "simple-nn-old-cv/oof.parquet: not found"),
        (["best-cv", "--free", "--out", "x.yaml"], "a blend file holds one weight per model"),
        (["best-cv", "--method", "per-target", "--out", "x.yaml"], "a blend file holds one weight per model"),
        (["best-cv", "--method", "newton"], "--method newton: expected one of slsqp, tpe, per-target"),
        (["best-cv", "--mixed", "maybe"], "--mixed maybe: expected one of refuse, comparable, allow"),
    ],
)
def test_command_line_refuses_with_the_reason(data_dir, planted_predictions, arguments, message):
    done, _ = run_search(data_dir, planted_predictions, *arguments)
    assert isinstance(done.exception, UserError)
    assert message in str(done.exception)


def test_a_member_of_weight_0_may_be_absent(data_dir, planted_predictions, tmp_path):
    weights = {"deepinsight-resnest-v1": 0.6, "three-stage-nn-10fold": 0.4, "two-heads": 0.0}
    members = [{"model": model, "weight": weight} for model, weight in weights.items()]
    save_blend(BlendSpec(name="mine", title="Mine", members=members), tmp_path / "mine.yaml")
    _, note = blend_submission(str(tmp_path / "mine.yaml"), data_dir, planted_predictions, tmp_path)
    assert note == "", "no weight was scaled up"


def test_command_line_searches_mixed_folds_on_comparable_rows(data_dir, dataset, planted_predictions):
    models = ["simple-nn-new-cv", "three-stage-nn-10fold"]
    done, text = run_search(data_dir, planted_predictions, *models, "--mixed", "comparable", "--folds", 2)
    drugs = dataset.drugs[dataset.treated]
    size = drugs.map(drugs.value_counts())
    assert done.exit_code == 0, done
    assert f"over {((size == 1) | (size > 18)).sum():,} treated rows" in text
