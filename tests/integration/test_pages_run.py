"""The commands and Python code of README and documentation run as they are written, after ``final/reproduce.sh``."""

import glob
import os
import re
import runpy
import shlex
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest
from filelock import FileLock
from typer.main import get_command

from moa.cli import app, main
from moa.data.feature_names import competition_features
from moa.data.synthetic import WORLD
from moa.environment import FINAL
from moa.errors import DataError
from moa.jobs import demo
from moa.models import registry
from moa.models.registry import recipes
from support import ROOT, TESTS
from support.assays import cell_painting, l1000_plate, write_gct
from support.demo import TINY_CNN
from support.in_process import InProcess
from support.pages import DOCS, PAGES, README, blocks

#: Commands that are not run, by what they begin with, and why. Their options are checked all the same.
NOT_RUN = {
    "bash final/reproduce.sh": "the demo itself: minutes",
    "bash tests/run.sh": "all tests",
    "pip install": "network",
    "mkdocs": "tested with the documentation",
    "moa --install-completion": "changes the user's shell",
    "moa data download": "network",
    "moa train deepinsight-resnest-v2 --devices 2": "two GPUs",
    "python -m tests.benchmarks": "a quarter of an hour or more",
    "python tests/benchmarks/": "minutes",
    "git clone": "network",
    "cd moa": "the clone",
    ". .venv/bin/activate": "changes the user's shell",
    "pre-commit": "changes the user's checkout",
    "python -m pytest": "one test of this suite",
    "ruff": "tests/run.sh runs it",
    "lint-imports": "tests/run.sh runs it",
    "mypy": "tests/run.sh runs it",
    "kaggle kernels output": "network",
    "kaggle competitions submit": "network",
    "TORCH_INDEX=": "network",
    "uv pip": "network",
    "dask": "other machines",
    "moa weights pretrained": "network",
    "moa kaggle push": "network",
    "moa notebooks": "minutes; tests of their own execute the notebooks and write their pages",
}
#: Slow commands, which are run where the README has them, and not again on other pages.
ONCE = ("moa report", "moa train best-lb --on local", "moa predict best-lb", "moa score best-lb")
#: Options that stand for other machines, or for settings that the demo does not have.
NOT_HERE = {
    r"--on (tcp|tls)://": "another machine",
    r"--on \S+\.yaml": "a cluster",
    r"--device cuda": "a GPU",
    r"moa ablate (?!--list)": "trains several models",
    r"--seeds 1513,940": "seeds of the published settings",
    r"--unit stage2:seed=3": "seeds of the published settings",
    r"moa train all --on local": "best-lb is trained on this machine's workers",
    r"moa blend search best-cv --on local": "minutes",
    r"big\.parquet": "another machine",
    r"weights/screen": "a training for each compound",
    r"moa (train|score) MODEL |data/exchanged": "minutes on each of six public screens",
    r"moa data import (bbbc021_profiles|injury/|drug_activity|embeddings|LJP005)": "files of public screens",
}
ROWS = {"rows": 120, "test_rows": 20, "seed": 0}


def of_two_epochs(settings):
    """Settings of a recipe with two epochs at most in each of its stages."""
    return {
        name: of_two_epochs(value) if isinstance(value, dict) else min(value, 2) if name == "epochs" else value
        for name, value in settings.items()
    }


@pytest.fixture(scope="module")
def patched():
    """Small networks and few epochs: pages say what commands do, not how good a model is."""
    with pytest.MonkeyPatch.context() as patch:
        for name, model in recipes().items():
            tiny = {"learner": model.demo["learner"] | TINY_CNN} if name.startswith("deepinsight") else {}
            for key, value in (of_two_epochs(model.demo) | tiny).items():
                patch.setitem(model.demo, key, value)
        figures = demo.reference().assign(tolerance=1.0)  # the data are not the demo's: any figure will do
        patch.setattr(demo, "reference", lambda: figures)
        patch.setattr(demo, "DATA", ROWS | {"world": WORLD})
        yield


@pytest.fixture(scope="module")
def after_the_demo(patched, shared_folder):
    """A working folder as ``reproduce.sh`` leaves it after the demo, of fewer rows; made once in a run of the tests."""
    folder = shared_folder / "after-the-demo"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            beginning = folder.with_name("the-demo")
            beginning.mkdir(exist_ok=True)
            run_the_demo(beginning)
            files_of_a_laboratory(beginning)
            beginning.rename(folder)
    return folder


def run_the_demo(folder):
    """The steps of ``reproduce.sh``, but for its report."""
    steps = [
        f"data synthesize output/demo/data --rows {ROWS['rows']} --test-rows {ROWS['test_rows']}",
        "train all",
        "predict all",
        "blend apply best-lb best-cv",
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for step in steps:
            patch.setattr(sys, "argv", ["moa", *step.split()])
            with pytest.raises(SystemExit) as ended:
                main()
            assert not ended.value.code, step


def files_of_a_laboratory(folder):
    """Files that a reader has: plates, tables, weights from elsewhere."""
    data = folder / "output" / "demo" / "data"
    test = pd.read_csv(data / "test_features.csv")
    test.head(6).to_csv(folder / "my.csv", index=False)
    genes = competition_features().query("group == 'genes'")
    rows = pd.DataFrame({"pr_gene_id": genes["entrez_id"].to_numpy()}, index=genes["probe_id"].to_numpy())
    plate = l1000_plate([{"id": probe} for probe in rows.index])
    write_gct(folder / "plate.gct.gz", plate.values, plate.wells, rows)
    known = pd.DataFrame({"pert_iname": [f"compound-{number}" for number in range(6)], "moa": ["HDAC", "MEK"] * 3})
    known.to_csv(folder / "repurposing_drugs.txt", sep="\t", index=False)
    screen = cell_painting(wells=96, features=30, compounds=8, mechanisms=4, plates=1)
    screen.table.to_csv(folder / "SQ00015054_normalized.csv.gz", index=False)
    place = ["Metadata_Plate", "Metadata_Well"]
    pd.concat([screen.wells[place], screen.values], axis=1).to_csv(folder / "profiles.csv.gz", index=False)
    screen.wells.drop(columns="Metadata_moa").to_csv(folder / "platemap.csv", index=False)
    pd.Series(screen.mechanisms, name="moa").rename_axis("broad_id").to_csv(folder / "mechanisms.csv")
    labels = pd.read_csv(data / "train_targets_scored.csv", index_col="sig_id")
    labels.to_csv(folder / "labels.csv")
    (labels * 0.5 + 0.1).to_csv(folder / "mine.csv")
    (folder / "DIR").mkdir()
    (folder / "DIR" / "backbone.pth").write_bytes(b"weights")
    shutil.copytree(folder / "output/demo/weights", folder / "outputs" / "KERNEL" / "weights", copy_function=os.link)


@pytest.fixture
def here(after_the_demo, tmp_path, monkeypatch):
    """A copy of the folder, to run the commands of a page in."""
    folder = tmp_path / "checkout"
    shutil.copytree(after_the_demo, folder, copy_function=os.link)  # files are replaced whole, never written into
    (folder / "final").symlink_to(FINAL)
    monkeypatch.chdir(folder)
    monkeypatch.setattr("moa.kaggle.package._download_wheels", lambda folder, python: None)  # the network
    return folder


def commands(page):
    """The command lines of a page's shell blocks, each as words."""
    for block in blocks(page, "bash"):
        for line in block.text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words:
                end = words.index("&&") if "&&" in words else len(words)
                yield words[:end]
                words = words[end + 1 :]


def reason(words):
    """Why a command is not run; None where it is."""
    line = " ".join(words)
    found = [why for start, why in NOT_RUN.items() if line.startswith(start)]
    return next(iter(found + [why for pattern, why in NOT_HERE.items() if re.search(pattern, line)]), None)


def parse(words):
    """Check the names of a command and of its options, and run nothing."""
    command = get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    left = command.make_parser(command.context_class(command)).parse_args(list(words))[1]
    assert not (left and hasattr(command, "commands")), f"no such command: {left}"


def run(words, in_process):
    program, *arguments = words
    arguments = [each for word in arguments for each in (sorted(glob.glob(word)) if "*" in word else [word])]
    if program == "moa":
        in_process.run(main, "moa", *arguments)
    elif program == "python":
        script = arguments.pop(0)
        in_process.run(lambda: runpy.run_path(script, run_name="__main__"), script, *arguments)
    else:
        pytest.fail(f"{program}: say above why it is not run")


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "bash")], ids=lambda page: page.stem)
def test_the_commands_of_a_page_run(page, here, monkeypatch, capsys):
    in_process, ran = InProcess(monkeypatch, capsys), 0
    for words in commands(page):
        if words[0] == "moa":
            parse(words[1:])
        elif words[:2] == ["python", "-m"]:
            assert find_spec(words[2]), words[2]
        elif words[0] in ("bash", "python"):
            assert (ROOT / words[1]).exists(), words[1]
        if not reason(words) and (page == README or shlex.join(words) not in ONCE):
            registry._own.clear()  # each command is a process of its own
            try:
                run(words, in_process)
            except AssertionError as error:
                raise AssertionError(f"{page.name}: {shlex.join(words)}\n{error}") from error
            ran += 1
    assert ran >= (15 if page == README else 0)


@pytest.mark.parametrize("page", [README, DOCS / "index.md", DOCS / "tutorial.md"], ids=lambda page: page.stem)
def test_the_python_of_a_page_runs(page, here):
    known = {}
    found = blocks(page, "python")
    for block in found:
        text = re.sub(r"^synthesize\(.*\)$", "", block.text, flags=re.MULTILINE)  # the data are there, of fewer rows
        shown = next((each for each in blocks(page) if each.language == "text" and "Error" in each.text), None)
        if shown and "drop(columns" in text:
            with pytest.raises(DataError) as raised:
                exec(text, known)
            assert str(raised.value) in shown.text.split("DataError: ")[1]
            continue
        exec(text, known)
    assert found and "model" in known


def test_every_reason_is_needed():
    lines = [" ".join(words) for page in PAGES for words in commands(page)]
    assert not [start for start in NOT_RUN if not any(line.startswith(start) for line in lines)]
    assert not [pattern for pattern in NOT_HERE if not any(re.search(pattern, line) for line in lines)]


def test_a_wrong_option_is_found():
    parse(shlex.split("predict --features my.csv --blend best-lb"))
    for line in ("predict --feature my.csv --blnd x", "train x --fold", "models nwe x", "data import x --moas y"):
        with pytest.raises(Exception, match="(?i)no such|requires"):
            parse(shlex.split(line))


def test_pages_name_no_file_of_a_checkout_that_is_not_there():
    """Paths of the repository that pages name in code."""
    for page in PAGES:
        for path in re.findall(r"`((?:final|tests)/[\w./ -]+)`", page.read_text(encoding="utf-8")):
            assert (ROOT / path).exists(), f"{page.name}: {path}"
    assert (TESTS / "run.sh").exists() and isinstance(README, Path)
