"""Every notebook runs at demo size, and is kept in git without outputs."""

import json

import pandas as pd
import pytest

from moa.blending.blend import load_blend
from moa.data.table_files import read_table
from moa.environment import FINAL
from moa.models import winners
from support.notebooks import run

TRAINING = sorted(FINAL.glob("*/Training/*.ipynb"))


def name_of(path):
    return f"{path.parts[-3]}/{path.name}"


@pytest.mark.parametrize("path", sorted(FINAL.rglob("*.ipynb")), ids=name_of)
def test_notebooks_are_kept_clean_and_short(path):
    cells = json.loads(path.read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code and all(not cell["outputs"] and cell["execution_count"] is None for cell in code)
    assert sum(len(cell["source"]) for cell in cells) <= 120, "a notebook is at most a page long"


@pytest.mark.parametrize("path", TRAINING, ids=name_of)
def test_training_notebooks_run(path, data_dir, weights_of, tmp_path):
    weights = weights_of(path.stem)  # trained already: what is tested is the notebook, not training
    words, kinds = run(path, tmp_path, profile="demo", data=str(data_dir), weights=str(weights), device="cpu")
    assert "image/png" in kinds, "the learning curves"
    assert "prevalence" in words and "ROC-AUC, micro" in words, "the score"
    cells = json.loads((tmp_path / "out.ipynb").read_text())["cells"]
    outputs = [output for cell in cells if cell["cell_type"] == "code" for output in cell["outputs"]]
    shown = ["".join(output.get("data", {}).get("text/plain", [])) for output in outputs]
    assert sum(text.startswith("{") for text in shown) == 1, "the settings; all else are tables"
    drawn = not winners.curves(path.stem).empty
    assert drawn == ("the winners' losses are left out" in words), "of the competition's data, and these are not"


def test_the_final_notebook_runs_the_members_scripts_and_mixes(data_dir, weights_of, tmp_path):
    members = ["three-stage-nn-10fold", "deepinsight-resnest-v2"]
    weights = weights_of(*members)
    words, _ = run(
        FINAL / "Best CV" / "final-best-cv.ipynb", tmp_path, data=str(data_dir), weights=str(weights), out=str(tmp_path)
    )
    assert "not trained, and so left out: two-heads-v2, deepinsight-efficientnet-b3, deepinsight-resnest-v1" in words
    share = 0.36704255 / (0.36704255 + 0.27213043)
    parts = [read_table(tmp_path / "predictions" / name / "test.parquet").astype(float) for name in members]
    mixed = pd.read_csv(tmp_path / "submission-best-cv.csv", index_col="sig_id")
    assert ((share * parts[0] + (1 - share) * parts[1] - mixed).abs() < 1e-6).all(axis=None)


def test_the_search_notebook_finds_weights_and_draws_them(data_dir, weights_of, tmp_path):
    weights = weights_of("three-stage-nn-10fold", "deepinsight-resnest-v1")
    words, kinds = run(
        FINAL / "Best CV" / "blend-search.ipynb",
        tmp_path,
        data=str(data_dir),
        weights=str(weights),
        trials=5,
        out=str(tmp_path),
    )
    assert "no OOF predictions of: two-heads-v2, deepinsight-efficientnet-b3, deepinsight-resnest-v2" in words
    assert kinds.count("image/png") == 2, "the gains and the weights"
    assert load_blend(tmp_path / "searched.yaml").weights.sum() == pytest.approx(1.0)
