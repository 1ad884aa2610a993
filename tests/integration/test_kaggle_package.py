"""The folders for Kaggle pass its client's checks, and their notebooks run in a directory laid out like Kaggle's."""

import json
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import requests

from moa.blending.blend import BlendSpec, load_blend, save_blend
from moa.data.stored_tables import read_table
from moa.environment import FINAL, KAGGLE_ROOT
from moa.errors import UserError
from moa.files import read_json
from moa.kaggle.contents import Contents
from moa.kaggle.options import PackageOptions
from moa.kaggle.package import package, training_kernels
from moa.kaggle.push import push
from moa.kaggle.session import ADDITIONS
from moa.models.registry import recipes
from support.kaggle_client import install
from support.notebooks import execute

MEMBERS = ("simple-nn-old-cv", "simple-nn-new-cv")
#: Members of the other blend, whose folds are of one kind.
ROW_WISE = ("simple-nn-old-cv", "two-heads")
#: Where Kaggle has put data sets and the competition's files.
LAYOUTS = {"flat": ("{}", "{}"), "by owner": ("datasets/some-one/{}", "competitions/{}")}
#: Every process of a run loads this first: it can reach itself and nothing else.
NO_NETWORK = """
import socket

def refuse(connect):
    def guarded(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1"):
            raise OSError(f"no network in this test: {address}")
        return connect(self, address)
    return guarded

socket.socket.connect = refuse(socket.socket.connect)
socket.socket.connect_ex = refuse(socket.socket.connect_ex)
"""


def pack(out, **options):
    """The folders for Kaggle; without wheels, which would be downloaded."""
    return out, package(out, PackageOptions(**{"user": "some-one", "wheels": False, "profile": "demo"} | options))


@pytest.fixture(scope="module")
def packed(weights_of, tmp_path_factory):
    """The folders for the weights of three models."""
    return pack(tmp_path_factory.mktemp("packed"), weights=weights_of(*dict.fromkeys((*MEMBERS, *ROW_WISE))))


def lay_out(root, packed, data, layout):
    """A directory like Kaggle's, with the data sets attached; its root."""
    datasets, competitions = LAYOUTS[layout]
    (root / "working").mkdir()
    shutil.copytree(data, root / "input" / competitions.format("lish-moa"))
    for folder in (packed[0] / "datasets").iterdir():
        place = root / "input" / datasets.format(folder.name)
        shutil.copytree(folder, place, ignore=shutil.ignore_patterns("dataset-metadata.json"))
    # Other mixtures than the published ones, to see that what is attached is what runs.
    code = root / "input" / datasets.format("moa-code") / "final"
    for name, folder, weights in (
        ("best-lb", "Best LB", {MEMBERS[0]: 0.7, MEMBERS[1]: 0.2, "two-heads-v2": 0.1}),
        ("best-cv", "Best CV", {ROW_WISE[0]: 0.6, ROW_WISE[1]: 0.4}),
    ):
        members = [{"model": model, "weight": weight} for model, weight in weights.items()]
        save_blend(BlendSpec(name=name, title="Other", members=members), code / folder / "blend.yaml")
    return root


@pytest.fixture(scope="module")
def kaggle(packed, data_dir, tmp_path_factory):
    """Where a run was stopped before its end."""
    root = lay_out(tmp_path_factory.mktemp("kaggle"), packed, data_dir, "flat")
    shutil.rmtree(root / "input" / "moa-weights" / "weights" / MEMBERS[0] / "nn" / "seed-940" / "fold-1")
    return root


@pytest.fixture(scope="module")
def rerun(packed, data_dir, tmp_path_factory):
    """The other layout, with a test set of another size: Kaggle runs a submission again on the whole test set."""
    data = tmp_path_factory.mktemp("data") / "whole"
    shutil.copytree(data_dir, data, ignore=shutil.ignore_patterns("truth", "SYNTHETIC.json"))
    for name in ("test_features", "sample_submission"):
        table = pd.read_csv(data / f"{name}.csv", dtype=str)
        more = table.assign(sig_id="id_" + table["sig_id"].str[::-1])
        pd.concat([more, table]).iloc[: len(table) + 37].to_csv(data / f"{name}.csv", index=False)
    return lay_out(tmp_path_factory.mktemp("rerun"), packed, data, "by owner")


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """The environment of a run there, by its root: no network, nothing of the checkout, read-only inputs."""
    (tmp_path / "sitecustomize.py").write_text(NO_NETWORK)

    @contextmanager
    def at(root):
        for name, value in {
            KAGGLE_ROOT: root,
            "PYTHONPATH": tmp_path,
            "PYTHONDONTWRITEBYTECODE": 1,
            "MOA_PRETRAINED": "",
        }.items():
            monkeypatch.setenv(name, str(value))
        before = snapshot(root / "input")
        yield
        assert snapshot(root / "input") == before, "inputs are read-only"

    return at


def snapshot(folder):
    return {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))}


def run(kernel, root, out, **parameters):
    """Execute a kernel's notebook as it was packed; returns what it prints and the number of its pictures.

    ``parameters`` take the place of all that it was packed with.
    """
    notebook = kernel / read_json(kernel / "kernel-metadata.json")["code_file"]
    words, kinds = execute(notebook, out, cwd=root / "working", **parameters)
    assert "profile: demo" in words and "fewer than two members" not in words
    return words, kinds.count("image/png")


def check_submission(root, sample, weights):
    """The submission is the weighted mean of the members' predictions, in the order of the sample."""
    working = root / "working"
    mixed = pd.read_csv(working / "submission.csv", index_col="sig_id")
    sample = pd.read_csv(sample, index_col="sig_id")
    assert mixed.index.equals(sample.index) and mixed.columns.equals(sample.columns)
    tables = {name: read_table(working / "predictions" / name / "test.parquet").astype(float) for name in weights}
    mean = sum(weight * tables[name].loc[mixed.index] for name, weight in weights.items())
    assert ((mean - mixed).abs() < 1e-6).all(axis=None), "the attached blend's weights"
    return mixed


def test_the_submission_notebook_runs_as_packed(kaggle, packed, offline, tmp_path):
    with offline(kaggle):
        words, pictures = run(packed[0] / "kernels" / "moa-final-best-lb", kaggle, tmp_path)
    assert "not trained, and so left out: two-heads-v2" in words
    assert pictures == 2, "the OOF predictions of the attached units, which have no table"
    check_submission(kaggle, kaggle / "input/lish-moa/sample_submission.csv", {MEMBERS[0]: 7 / 9, MEMBERS[1]: 2 / 9})


def test_a_submission_is_run_again_on_a_larger_test_set(rerun, packed, offline, data_dir, tmp_path):
    with offline(rerun):
        run(packed[0] / "kernels" / "moa-final-best-cv", rerun, tmp_path)
    sample = rerun / "input" / "competitions" / "lish-moa" / "sample_submission.csv"
    mixed = check_submission(rerun, sample, {ROW_WISE[0]: 0.6, ROW_WISE[1]: 0.4})
    assert len(mixed) == len(pd.read_csv(data_dir / "sample_submission.csv")) + 37


def test_the_search_notebook_runs_as_packed(rerun, packed, offline, tmp_path):
    with offline(rerun):
        words, pictures = run(packed[0] / "kernels" / "moa-blend-search", rerun, tmp_path, profile="demo", trials=5)
    assert "no OOF predictions of: none" in words and pictures == 5
    found = load_blend(rerun / "working" / "searched.yaml")
    assert list(found.weights.index) == list(ROW_WISE) and found.searched.best_single in ROW_WISE


def test_a_training_notebook_continues_where_the_attached_run_stopped(kaggle, packed, offline, tmp_path):
    with offline(kaggle):
        run(packed[0] / "kernels" / f"moa-train-{MEMBERS[0]}", kaggle, tmp_path, profile="demo", device="cpu")
    units = kaggle / "working" / "weights" / MEMBERS[0] / "nn"
    before = kaggle / "input" / "moa-weights" / "weights" / MEMBERS[0] / "nn"
    there = {path.relative_to(before): path.read_text() for path in before.glob("seed-*/fold-*/unit.json")}
    here = {path.relative_to(units): path.read_text() for path in units.glob("seed-*/fold-*/unit.json")}
    assert len(here) == 6 and there.items() <= here.items(), "they hold the seconds of their training"
    assert {str(path.parent) for path in here.keys() - there.keys()} == {"seed-940/fold-1"}, "trains this unit alone"
    assert not (units / "seed-1513").is_symlink() and (units.parent / "predictions" / "oof.parquet").exists()


def test_there_is_no_network_in_these_runs(kaggle, offline):
    code = "import socket; socket.create_connection(('192.0.2.1', 80), 5)"
    with offline(kaggle):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "no network in this test" in done.stderr
    assert socket.socket.connect.__name__ == "connect", "the tests' own process is left as it is"


@pytest.fixture
def client(monkeypatch):
    """Kaggle's client, which checks a folder and hands its request to ``sent`` instead of the server."""
    monkeypatch.setenv("KAGGLE_USERNAME", "some-one")
    monkeypatch.setenv("KAGGLE_KEY", "none")
    from kaggle.api.kaggle_api_extended import KaggleApi

    api, sent = KaggleApi(), []
    api.authenticate()

    def not_there(request):
        response = requests.Response()
        response.status_code = 404
        raise requests.HTTPError(response=response)

    def accept(request):
        sent.append(request)
        return SimpleNamespace(error="", status="ok", url="")

    @contextmanager
    def nobody():
        # Version 2 asks first whether the data set is there already.
        take = SimpleNamespace(save_kernel=sent.append, create_dataset=accept, get_dataset_status=not_there)
        yield SimpleNamespace(
            kernels=SimpleNamespace(kernels_api_client=take), datasets=SimpleNamespace(dataset_api_client=take)
        )

    monkeypatch.setattr(api, "build_kaggle_client", nobody)
    monkeypatch.setattr(api, "upload_files", lambda *arguments: None)
    api.sent = sent
    return api


def test_kaggles_client_accepts_every_folder(packed, client, capsys):
    out, _ = packed
    kernels = sorted((out / "kernels").iterdir())
    for folder in kernels:
        client.kernels_push(str(folder))
    assert len(kernels) == len(client.sent) == len({request.slug for request in client.sent})
    for request in client.sent:
        assert request.slug == f"some-one/{request.new_title.replace(' ', '-')}" and len(request.new_title) <= 50
        assert request.enable_internet is False and request.is_private is True
        assert request.competition_data_sources == ["lish-moa"]
        assert {"some-one/moa-code", "some-one/moa-wheels"} <= set(request.dataset_data_sources)
    assert "surprising" not in capsys.readouterr().out, "titles and ids agree"
    client.sent.clear()
    datasets = sorted((out / "datasets").iterdir())
    for folder in datasets:
        client.dataset_create_new(str(folder), quiet=True)
    assert [request.slug for request in client.sent] == ["moa-code", "moa-weights"]


def test_each_model_has_kernels_that_fit_a_session(packed):
    out, written = packed
    kernels = training_kernels()
    assert set(kernels) == set(recipes())
    for name, group in kernels.items():
        folds = [kernel.parameters.get("fold") for kernel in group]
        assert folds == (list(range(10)) if name.startswith("deepinsight") else [None])
        assert ("moa-pretrained" in group[0].datasets) == name.startswith("deepinsight")
    notebook = (out / "kernels" / "moa-train-deepinsight-resnest-v1-fold-1" / "notebook.ipynb").read_text()
    cells = json.loads(notebook)["cells"]
    assert not any(cell.get("outputs") for cell in cells), "those in the repository are of the demo"
    assert '"fold = 1' in notebook and '"profile = \\"demo\\"' in notebook
    assert [line.split()[1:3] for line in written.commands] == [["datasets", "create"]] * 2 + [["kernels", "push"]] * 3
    for name in ("moa-final-best-lb", "moa-final-best-cv", "moa-blend-search"):
        assert 'profile = \\"demo\\"' in (out / "kernels" / name / "notebook.ipynb").read_text()


def pushed(out, kaggle):
    """The calls of Kaggle's client that push a packed folder, in order, by the name of the folder pushed."""
    assert push(out, wait=True, pause=lambda: None).finished
    calls = [call for call in kaggle()["calls"] if call.startswith(("datasets create", "kernels push"))]
    return [call.split("/")[-1].split()[0] for call in calls]


def test_what_is_pushed_is_what_is_needed(packed, tmp_path, monkeypatch):
    final = ["moa-final-best-lb", "moa-final-best-cv", "moa-blend-search"]
    shutil.copytree(packed[0], tmp_path / "trained")
    kaggle = install(tmp_path, monkeypatch)
    names = pushed(tmp_path / "trained", kaggle)
    assert names[:2] == ["moa-code", "moa-weights"] and sorted(names[2:]) == sorted(final), "no training"
    assert packed[1].untrained == []

    cnns = [name for name in recipes() if name.startswith("deepinsight")]
    training = [f"moa-train-{name}" for name in recipes() if name not in cnns]
    out, written = pack(tmp_path / "untrained")
    assert written.untrained == cnns
    kaggle(calls=[], datasets={}, kernels={})
    names = pushed(out, kaggle)
    assert names[0] == "moa-code" and sorted(names[1:-3]) == sorted(training) and sorted(names[-3:]) == sorted(final)
    sources = read_json(out / "kernels" / final[0] / "kernel-metadata.json")["kernel_sources"]
    assert len(sources) == 5 and not [source for source in sources if "deepinsight" in source]

    (tmp_path / "imagenet").mkdir()
    (tmp_path / "imagenet" / "resnest50.pth").touch()
    out, written = pack(tmp_path / "with-cnns", pretrained=tmp_path / "imagenet", profile="kaggle")
    contents = Contents.read(out)
    assert written.untrained == [] and len(contents.training) == 37 and "moa-pretrained" in contents.datasets
    sources = read_json(out / "kernels" / final[0] / "kernel-metadata.json")["kernel_sources"]
    assert "some-one/moa-train-deepinsight-resnest-v2-fold-9" in sources


def test_the_code_data_set_holds_what_a_run_needs_and_no_more(packed):
    code = packed[0] / "datasets" / "moa-code"
    names = {str(path.relative_to(code)) for path in code.rglob("*") if path.is_file()}
    assert {
        "LICENSE",
        "final/moa/kaggle/session.py",
        "final/moa/reporting/page.html",
        "final/Best CV/blend.yaml",
    } <= names
    assert {f"final/{path.parent.parent.name}/Inference/{path.name}" for path in inference_scripts()} <= names
    assert not [name for name in names if name.endswith((".pyc", ".ipynb")) or "/." in name]
    weights = packed[0] / "datasets" / "moa-weights" / "weights"
    assert sorted(path.name for path in weights.iterdir()) == ["shared", *sorted({*MEMBERS, *ROW_WISE})]
    assert not list(weights.rglob(".scratch*"))


def inference_scripts():
    return FINAL.glob("*/Inference/*.py")


def test_wheels_are_asked_of_pip_for_kaggles_python(tmp_path, monkeypatch):
    asked = []

    def pip(command, **options):
        asked.append(command)
        return SimpleNamespace(returncode=len(asked) - 1, stdout="looking\nERROR: no matching distribution\n")

    monkeypatch.setattr("moa.kaggle.session.subprocess.run", pip)
    package(tmp_path / "out", PackageOptions(user="me", python="3.11"))
    command = " ".join(asked[0])
    assert "--python-version 3.11" in command and "--no-deps" in command
    assert {word.split("==")[0] for word in asked[0] if "==" in word} == set(ADDITIONS)
    with pytest.raises(UserError, match="pip has no wheels for Python 3.12: ERROR: no matching"):
        package(tmp_path / "out", PackageOptions(user="me"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"user": "no body"}, "expected a Kaggle user name"),
        ({"weights": Path("/nowhere")}, "/nowhere: holds no trained model"),
        ({"pretrained": Path("/nowhere")}, "/nowhere: holds no \\*.pth"),
        ({"profile": "huge"}, "profile 'huge' is unknown"),
    ],
)
def test_mistakes_are_reported_before_anything_is_written(tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        package(tmp_path / "out", PackageOptions(**({"user": "me", "wheels": False} | options)))
    assert not (tmp_path / "out").exists()
