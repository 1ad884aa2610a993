"""Every notebook runs at demo size and is what its page says; a training notebook trains what its cells say."""

import base64
import json
import re
import runpy

import nbformat
import pandas as pd
import pytest
from matplotlib.figure import Figure

from moa.blending.blend import load_blend
from moa.cells import HEAD, assembled, statements
from moa.data.stored_tables import read_table
from moa.environment import FINAL
from moa.models import winners
from moa.notebook.outputs import KEY, MOST, MOST_OF_ALL, digest
from moa.notebook.pages import as_html
from support.browser import DESK, PHONE, chromium
from support.forked import kernels
from support.notebooks import execute, run
from support.weights import files

TRAINING = sorted(FINAL.glob("*/Training/*.ipynb"))


def name_of(path):
    return f"{path.parts[-3]}/{path.name}"


#: Notebooks that train a unit from their cells; the others are executed on what is trained already.
FROM_CELLS = ("simple-nn-old-cv", "two-stage-nn-tabnet", "deepinsight-efficientnet-b3")
#: Executed in every run of the tests. The others differ from one of these by settings, and their outputs show that they
#: were executed with their present cells.
EXECUTED = (*FROM_CELLS, "three-stage-nn-10fold", "two-heads")
#: What a reader must find in the notebook of a model, by its start.
SHOWN = {
    "simple-nn": ("loss.backward()", "torch.optim.Adam", "OneCycleLR", "FactorAnalysis", "IterativeStratification"),
    "three-stage": ("loss.backward()", "torch.optim.Adam", "OneCycleLR", "UMAP(", "IterativeStratification"),
    "two-stage": ("loss.backward()", "MultiStepLR", "OneCycleLR", "entmax", "UMAP(", "clip_grad_norm_"),
    "two-heads": ("loss.backward()", "KerasAdam", "Adadelta", "EarlyStopping", "KFold"),
    "deepinsight": ("TSNE(", "RAdam(", "CosineAnnealing", "SwapNoise", "training_step", "ConvexHull"),
}


def code_of(path):
    """The code cells of a notebook by id."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return {cell["id"]: "".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"}


def definitions(path):
    """The cells of a notebook that hold definitions, without their first lines, by module."""
    found = {}
    for source in code_of(path).values():
        if head := HEAD.match(source):
            found.setdefault(head[1], []).append(source[head.end() :])
    return found


@pytest.mark.parametrize("path", TRAINING, ids=name_of)
def test_cells_are_the_package_s_own_source(path):
    for module, cells in definitions(path).items():
        own = (FINAL / f"{module}.py").read_text()
        assert assembled(own, cells) == own, module
        known = {part.code for part in statements(own)}
        assert [part.code for cell in cells for part in statements(cell) if part.code not in known] == []
    code = "".join(code_of(path).values())
    words = next(words for start, words in SHOWN.items() if path.stem.startswith(start))
    assert [
        word
        for word in (*words, "def stages(", "def train_unit(", "mean_of_units", "Config(ModelConfig):")
        if word not in code
    ] == []


@pytest.mark.parametrize("path", sorted(FINAL.rglob("*.ipynb")), ids=name_of)
def test_outputs_are_of_the_present_cells_small_and_of_no_machine(path):
    text = path.read_text(encoding="utf-8")
    notebook = json.loads(text)
    outputs = [each for cell in notebook["cells"] for each in cell.get("outputs", [])]
    assert outputs, "run: moa notebooks --write --profile demo"
    assert notebook["metadata"][KEY] == digest(notebook["cells"]), "run: moa notebooks --write --profile demo"
    assert len(text.encode()) <= MOST
    first = json.dumps(outputs[0])
    assert "SYNTHETIC" in first or "a plate made up here" in first, "the first output says what the data are"
    assert not any(each["output_type"] == "error" for each in outputs)
    plain = json.dumps([each for each in outputs if "image/png" not in each.get("data", {})])
    assert not re.search(r"[\"' (](/home/|/root/|/tmp/|/work/|[A-Z]:)", plain)


def test_all_notebooks_together_are_small():
    assert sum(path.stat().st_size for path in FINAL.rglob("*.ipynb")) <= MOST_OF_ALL


def test_pictures_of_the_documentation_are_those_of_the_notebooks():
    pictures = dict(runpy.run_path(str(FINAL / "notebooks" / "pictures.py"))["pictures"]())
    stale = [path.name for path, content in pictures.items() if path.read_bytes() != content]
    assert stale == [], "run: python final/notebooks/pictures.py"


def test_notebooks_are_what_their_pages_say():
    rendered = dict(runpy.run_path(str(FINAL / "notebooks" / "render.py"))["notebooks"]())
    assert set(FINAL.rglob("*.ipynb")) - set(rendered) == {FINAL / "Your assay" / "your-assay.ipynb"}, "has no page"
    stale = [name_of(path) for path, text in rendered.items() if path.read_text(encoding="utf-8") != text]
    assert stale == [], "run: python final/notebooks/render.py"


@pytest.mark.parametrize("path", [path for path in TRAINING if path.stem in EXECUTED], ids=name_of)
def test_training_notebooks_run(path, data_dir, weights_of, tmp_path):
    """On what is trained already; of three kinds a seed is trained from the cells, to the bytes of ``moa train``."""
    trained, chosen = weights_of(path.stem), path.stem in FROM_CELLS
    weights = tmp_path / "weights" if chosen else trained
    only = {"seeds": 1, "fold": 1} if chosen else {}
    words, kinds = run(path, tmp_path, profile="demo", data=str(data_dir), weights=str(weights), device="cpu", **only)
    assert kinds.count("image/png") >= 8, (
        "data, conditions, distributions, folds, features, schedule, curves, calibration"
    )
    assert "data: SYNTHETIC" in words and "profile: demo" in words, "it says what it runs on"
    assert "units are trained already" in words and "nothing is changed" in words
    assert "prevalence" in words and "ROC-AUC, micro" in words, "the score"
    cells = json.loads((tmp_path / "out.ipynb").read_text())["cells"]
    outputs = [output for cell in cells if cell["cell_type"] == "code" for output in cell["outputs"]]
    shown = ["".join(output.get("data", {}).get("text/plain", [])) for output in outputs]
    assert sum(text.startswith("{") for text in shown) == 1, "the settings; all else are tables"
    drawn = not winners.curves(path.stem).empty
    assert drawn == ("the winners' losses are left out" in words), "of the competition's data, and these are not"
    if not chosen:
        return
    (file,) = tmp_path.glob("weights-cells/*/cells.py")
    assert {head[1] for head in HEAD.finditer(file.read_text())} == set(definitions(path)), "what processes are given"
    ours, theirs = (files(folder / path.stem) for folder in (weights, trained))
    finished = [name for name in ours if name.endswith("unit.json")]
    assert len(finished) >= 1 and all(ours[name] == theirs[name] for name in ours if not name.startswith(PARTLY))
    shared = files(weights / "shared")
    assert shared and shared.items() <= files(trained / "shared").items()


#: Of the units that are trained, and so of fewer here.
PARTLY = ("predictions", "manifest")


def test_an_edited_cell_trains_another_model(data_dir, weights_of, tmp_path):
    """As the notebook tells: a cell and `settings` are edited, and the rest is run."""
    name, weights = "simple-nn-old-cv", weights_of("simple-nn-old-cv")
    before = {path: path.stat().st_mtime_ns for path in (weights / name).rglob("*")}
    path = FINAL / "Best LB" / "Training" / f"{name}.ipynb"
    book = nbformat.read(path, 4)
    edits = {
        "settings = {}": 'settings = {"learner": {"hidden": 48, "epochs": 2}}',
        "adam.step()": "adam.step()  # as before",
        "values[:] = 0.5 * (np.interp": "values[:] = 0.499 * (np.interp",
        "smooth(labels, settings.smoothing)": "smooth(labels, 0.01)",
    }
    for old, new in edits.items():
        edited = [cell for cell in book.cells if old in cell.source]
        assert len(edited) == 1, old
        edited[0].source = edited[0].source.replace(old, new)
    nbformat.write(book, tmp_path / path.name)
    parameters = {"profile": "demo", "data": str(data_dir), "weights": str(weights), "device": "cpu", "seeds": 1}
    with kernels():
        execute(tmp_path / path.name, tmp_path, path.parent, **parameters)
    (file,) = weights.with_name(f"{weights.name}-cells").glob("*/cells.py")
    assert "smooth(labels, 0.01)" in file.read_text(), "kept beside the weights that it made"
    (folder,) = [each for each in file.parent.iterdir() if each.is_dir() and each.name != "shared"]
    assert re.fullmatch(rf"{name}\+learner.hidden=48,learner.epochs=2\+cells-{file.parent.name}", folder.name)
    assert json.loads((folder / "manifest.json").read_text())["settings"]["learner"]["hidden"] == 48
    ranks = {each["key"] for each in json.loads((folder / "nn" / "stage.json").read_text())["pipeline"]["steps"]}
    assert ranks - {each.stem for each in (weights / "shared").iterdir()}, "later fits are of other values"
    assert before == {path: path.stat().st_mtime_ns for path in (weights / name).rglob("*")}, "left as it was"
    cells = json.loads((tmp_path / "out.ipynb").read_text())["cells"]
    outputs = {"".join(cell["source"]): json.dumps(cell["outputs"]) for cell in cells if cell["cell_type"] == "code"}
    trained, compared = (
        next(o for s, o in outputs.items() if word in s) for word in ("experiment.train(", "against_unchanged")
    )
    assert "edited: moa/features/ranks.py, moa/learners/perceptron/training.py" in trained
    assert "image/png" in trained, "curves while it is trained"
    assert "unchanged" in compared and re.search(r"[+-]0\.\d{5} to [+-]0\.\d{5}", compared)


def test_pages_are_written_with_their_pictures(data_dir, weights_of, tmp_path, moa_here):
    options = ["--data", data_dir, "--weights", weights_of("simple-nn-old-cv"), "--profile", "demo"]
    only = [word for name in ("eda", "two-heads") for word in ("--only", name)]
    with kernels():
        done = moa_here("notebooks", tmp_path / "pages", *only, *options)
    assert "not trained, and so left out: two-heads" in done.stdout
    page = (tmp_path / "pages" / "eda.html").read_text()
    assert page.count('src="data:image/png;base64,') == 7 and "data: SYNTHETIC" in page
    assert not re.search(r"""(src|href)=["']https?://[^"']+\.(js|css)""", page), "nothing comes from the network"
    assert "eda.html" in (tmp_path / "pages" / "index.html").read_text()
    done = moa_here("notebooks", *options, check=False)
    assert done.returncode == 2 and "give a folder OUT for the pages, or --write" in done.stderr
    done = moa_here("notebooks", tmp_path / "pages", "--only", "nope", *options, check=False)
    assert done.returncode == 2 and "notebook 'nope' is unknown; choose of: eda, simple-nn-old-cv" in done.stderr


def test_pages_can_be_read_on_a_phone(tmp_path):
    pictures = []
    for width in (9.5, 4):
        Figure(figsize=(width, 3), dpi=100).savefig(tmp_path / "picture.png")
        pictures.append(base64.b64encode((tmp_path / "picture.png").read_bytes()).decode())
    words = "wrote predictions of a model with a long name " * 4
    outputs = [
        nbformat.v4.new_output("stream", text=words),
        *(nbformat.v4.new_output("display_data", {"image/png": picture}) for picture in pictures),
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1  # " + "words " * 40, outputs=outputs)])
    nbformat.write(book, tmp_path / "page.ipynb")
    (tmp_path / "page.html").write_text(as_html(tmp_path / "page.ipynb"))
    with chromium() as browser:
        browser.open(tmp_path / "page.html", PHONE)
        assert browser.size[0] == PHONE[0], "nothing makes the page wider than the screen"
        images, text = browser.all(".jp-RenderedImage img"), browser.one(".jp-OutputArea-output pre")
        assert images[0].size["width"] == 570, "small text can still be read"
        assert PHONE[0] * 0.8 < images[1].size["width"] < PHONE[0], "it fits, and its text can be read"
        scrolled = "const place = arguments[0].parentElement; return place.scrollWidth > place.clientWidth"
        assert [browser.run(scrolled, image) for image in images] == [True, False]
        assert browser.run("return getComputedStyle(arguments[0]).wordBreak", text) == "normal"
        assert browser.run("return arguments[0].scrollWidth <= arguments[0].clientWidth", text)
        browser.open(tmp_path / "page.html", DESK)
        assert [image.size["width"] for image in browser.all(".jp-RenderedImage img")] == [950, 400]
        assert browser.size[0] == DESK[0]
        assert browser.errors() == [] and browser.requests() == []


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
    weights = weights_of("three-stage-nn-10fold", "deepinsight-resnest-v2")
    words, kinds = run(
        FINAL / "Best CV" / "blend-search.ipynb",
        tmp_path,
        data=str(data_dir),
        weights=str(weights),
        trials=5,
        out=str(tmp_path),
    )
    assert "no OOF predictions of: two-heads-v2, deepinsight-efficientnet-b3, deepinsight-resnest-v1" in words
    assert kinds.count("image/png") == 5, "gains, history, correlations by target, diversity and weights"
    assert load_blend(tmp_path / "searched.yaml").weights.sum() == pytest.approx(1.0)
