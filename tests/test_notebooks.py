"""Every notebook runs at demo size, and is kept in git without outputs."""

import json
from pathlib import Path

import papermill
import pytest

FINAL = Path(__file__).resolve().parents[1] / "final"
NOTEBOOKS = sorted(FINAL.glob("*/Training/*.ipynb"))


def name_of(path):
    return f"{path.parts[-3]}/{path.name}"


@pytest.mark.parametrize("path", sorted(FINAL.rglob("*.ipynb")), ids=name_of)
def test_notebooks_are_kept_clean_and_short(path):
    cells = json.loads(path.read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code and all(not cell["outputs"] and cell["execution_count"] is None for cell in code)
    assert sum(len(cell["source"]) for cell in cells) <= 120, "a notebook tells its story in a page"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_training_notebooks_run(path, data_dir, demo_weights, tmp_path):
    # The weights of the session are used where there are some: what is tested is the notebook, not training again.
    papermill.execute_notebook(
        path,
        tmp_path / "out.ipynb",
        cwd=path.parent,
        progress_bar=False,
        parameters={"profile": "demo", "data": str(data_dir), "weights": str(demo_weights), "device": "cpu"},
    )
    cells = json.loads((tmp_path / "out.ipynb").read_text())["cells"]
    outputs = [output for cell in cells if cell["cell_type"] == "code" for output in cell["outputs"]]
    assert any("image/png" in output.get("data", {}) for output in outputs), "the learning curves"
    assert any("prevalence" in str(output.get("data", {}).get("text/plain", "")) for output in outputs), "the score"
