"""Every notebook runs at demo size, is what its page says, and is kept in git without outputs."""

import json
import re
import runpy

import nbformat
import pandas as pd
import papermill
import pytest

from moa.blending.blend import load_blend
from moa.data.stored_tables import read_table
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
    assert sum(len(cell["source"]) for cell in cells) <= 160, "a notebook is read at one go"
    longest = max(sum(map(bool, map(str.strip, cell["source"]))) for cell in code)
    assert longest <= 40, "logic lives in the package"


def test_notebooks_are_what_their_pages_say():
    rendered = dict(runpy.run_path(str(FINAL / "notebooks" / "render.py"))["notebooks"]())
    assert set(FINAL.rglob("*.ipynb")) - set(rendered) == {FINAL / "Your assay" / "your-assay.ipynb"}, "has no page"
    stale = [name_of(path) for path, text in rendered.items() if path.read_text(encoding="utf-8") != text]
    assert stale == [], "run: python final/notebooks/render.py"


@pytest.mark.parametrize("path", TRAINING, ids=name_of)
def test_training_notebooks_run(path, data_dir, weights_of, tmp_path):
    weights = weights_of(path.stem)  # trained already: what is tested is the notebook, not training
    words, kinds = run(path, tmp_path, profile="demo", data=str(data_dir), weights=str(weights), device="cpu")
    assert kinds.count("image/png") >= 6, "data, conditions, distributions, features, curves and calibration"
    assert "data: SYNTHETIC" in words and "profile: demo" in words, "it says what it runs on"
    assert "units are trained already" in words and "nothing is changed" in words
    assert "class " in words and "def stages(" in words, "the recipe and the network, as they run"
    assert "prevalence" in words and "ROC-AUC, micro" in words, "the score"
    cells = json.loads((tmp_path / "out.ipynb").read_text())["cells"]
    outputs = [output for cell in cells if cell["cell_type"] == "code" for output in cell["outputs"]]
    shown = ["".join(output.get("data", {}).get("text/plain", [])) for output in outputs]
    assert sum(text.startswith("{") for text in shown) == 1, "the settings; all else are tables"
    drawn = not winners.curves(path.stem).empty
    assert drawn == ("the winners' losses are left out" in words), "of the competition's data, and these are not"


def test_a_reader_changes_the_width_and_adds_a_feature_and_a_network(data_dir, weights_of, tmp_path):
    """As the notebook tells: `settings` and `own` are edited, and the rest is run."""
    name, weights = "simple-nn-old-cv", weights_of("simple-nn-old-cv")
    before = {path: path.stat().st_mtime_ns for path in (weights / name).rglob("*")}
    path = FINAL / "Best LB" / "Training" / f"{name}.ipynb"
    book = nbformat.read(path, 4)
    edits = {
        "settings = {}": 'settings = {"learner": {"hidden": 48, "epochs": 2}}',
        "own = {}": 'own = {"features": my_features, "learner": my_network}',
    }
    for cell in book.cells:
        for old, new in edits.items():
            cell.source = re.sub(f"^{re.escape(old)}", new, cell.source, flags=re.MULTILINE)
    nbformat.write(book, tmp_path / path.name)
    parameters = {"profile": "demo", "data": str(data_dir), "weights": str(weights), "device": "cpu", "seeds": 1}
    papermill.execute_notebook(
        tmp_path / path.name, tmp_path / "out.ipynb", cwd=path.parent, progress_bar=False, parameters=parameters
    )
    edited = weights.with_name(f"{weights.name}-edited")
    (folder,) = [each for each in edited.iterdir() if each.name != "shared"]
    assert re.fullmatch(rf"{name}\+learner.hidden=48,learner.epochs=2\+own-[0-9a-f]{{6}}", folder.name)
    assert json.loads((folder / "manifest.json").read_text())["settings"]["learner"]["hidden"] == 48
    assert "low viability-0" in json.loads((folder / "nn" / "stage.json").read_text())["pipeline"]["feature_names"]
    assert before == {path: path.stat().st_mtime_ns for path in (weights / name).rglob("*")}, "left as it was"
    cells = json.loads((tmp_path / "out.ipynb").read_text())["cells"]
    outputs = {"".join(cell["source"]): json.dumps(cell["outputs"]) for cell in cells if cell["cell_type"] == "code"}
    trained, compared = (next(o for s, o in outputs.items() if word in s) for word in (".train(", "against_unchanged"))
    assert "image/png" in trained, "curves while it is trained"
    assert "unchanged" in compared and re.search(r"[+-]0\.\d{5} to [+-]0\.\d{5}", compared)


def test_pages_are_written_with_their_pictures(data_dir, weights_of, tmp_path, moa_here):
    options = ["--data", data_dir, "--weights", weights_of("simple-nn-old-cv"), "--profile", "demo"]
    only = [word for name in ("eda", "two-heads") for word in ("--only", name)]
    done = moa_here("notebooks", tmp_path / "pages", *only, *options)
    assert "not trained, and so left out: two-heads" in done.stdout
    page = (tmp_path / "pages" / "eda.html").read_text()
    assert page.count('src="data:image/png;base64,') == 6 and "data: SYNTHETIC" in page
    assert not re.search(r"""(src|href)=["']https?://[^"']+\.(js|css)""", page), "nothing comes from the network"
    assert "eda.html" in (tmp_path / "pages" / "index.html").read_text()
    done = moa_here("notebooks", tmp_path / "pages", "--only", "nope", *options, check=False)
    assert done.returncode == 2 and "notebook 'nope' is unknown; choose of: eda, simple-nn-old-cv" in done.stderr


def test_the_final_notebook_runs_the_members_scripts_and_mixes(data_dir, weights_of, tmp_path):
    members = ["three-stage-nn-10fold", "deepinsight-resnest-v2"]
    weights = weights_of(*members)
    words, kinds = run(
        FINAL / "Best CV" / "final-best-cv.ipynb", tmp_path, data=str(data_dir), weights=str(weights), out=str(tmp_path)
    )
    assert "not trained, and so left out: two-heads-v2, deepinsight-efficientnet-b3, deepinsight-resnest-v1" in words
    assert kinds.count("image/png") == 2, "weight and diversity, and the correlation of ranks"
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
    assert kinds.count("image/png") == 5, "gains, history, correlations by target, diversity and weights"
    assert load_blend(tmp_path / "searched.yaml").weights.sum() == pytest.approx(1.0)
