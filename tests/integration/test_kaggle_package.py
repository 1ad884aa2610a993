"""The folders for Kaggle pass its client's checks, and their notebooks run in a directory laid out like Kaggle's."""

import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import papermill
import pytest
import requests

from moa.blending.blend import BlendSpec, save_blend
from moa.data.stored_tables import read_table
from moa.environment import FINAL, KAGGLE_ROOT
from moa.errors import UserError
from moa.files import read_json
from moa.kaggle.options import PackageOptions
from moa.kaggle.package import package, submission_kernels, training_kernels
from moa.kaggle.session import ADDITIONS
from moa.models.registry import recipes

MEMBERS = ("simple-nn-old-cv", "simple-nn-new-cv")
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


@pytest.fixture(scope="module")
def packed(weights_of, tmp_path_factory):
    """The folders for two members' weights; without wheels, which would be downloaded."""
    out = tmp_path_factory.mktemp("packed")
    return out, package(
        out, PackageOptions(user="some-one", weights=weights_of(*MEMBERS), wheels=False, profile="demo")
    )


@pytest.fixture(scope="module")
def kaggle(packed, data_dir, tmp_path_factory):
    """A directory like Kaggle's, with the data sets attached; its root."""
    root = tmp_path_factory.mktemp("kaggle")
    (root / "working").mkdir()
    shutil.copytree(data_dir, root / "input" / "lish-moa")
    for folder in (packed[0] / "datasets").iterdir():
        shutil.copytree(folder, root / "input" / folder.name, ignore=shutil.ignore_patterns("dataset-metadata.json"))
    # A run that was stopped before its end.
    shutil.rmtree(root / "input" / "moa-weights" / "weights" / MEMBERS[0] / "nn" / "seed-940" / "fold-1")
    # Another mixture than the published one, to see that what is attached is what runs.
    weights = {MEMBERS[0]: 0.7, MEMBERS[1]: 0.2, "two-heads": 0.1}
    members = [{"model": model, "weight": weight} for model, weight in weights.items()]
    spec = BlendSpec(name="best-lb", title="Other", members=members)
    save_blend(spec, root / "input" / "moa-code" / "final" / "Best LB" / "blend.yaml")
    return root


@pytest.fixture
def offline(kaggle, tmp_path, monkeypatch):
    """The environment of a run there: no network, nothing of the checkout, read-only inputs."""
    (tmp_path / "sitecustomize.py").write_text(NO_NETWORK)
    for name, value in {
        KAGGLE_ROOT: kaggle,
        "PYTHONPATH": tmp_path,
        "PYTHONDONTWRITEBYTECODE": 1,
        "MOA_PRETRAINED": "",
    }.items():
        monkeypatch.setenv(name, str(value))
    before = snapshot(kaggle / "input")
    yield
    assert snapshot(kaggle / "input") == before, "inputs are read-only"


def snapshot(folder):
    return {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))}


def run(kernel, root, out, **parameters):
    """Execute a kernel's notebook as it was packed; returns the executed notebook's text."""
    notebook = kernel / read_json(kernel / "kernel-metadata.json")["code_file"]
    papermill.execute_notebook(
        notebook, out / "out.ipynb", cwd=root / "working", progress_bar=False, parameters=parameters
    )
    return (out / "out.ipynb").read_text()


def test_the_submission_notebook_runs_as_packed(kaggle, packed, offline, tmp_path):
    words = run(packed[0] / "kernels" / "moa-final-best-lb", kaggle, tmp_path)
    assert "not trained, and so left out: two-heads" in words
    working = kaggle / "working"
    mixed = pd.read_csv(working / "submission.csv", index_col="sig_id")
    sample = pd.read_csv(kaggle / "input" / "lish-moa" / "sample_submission.csv", index_col="sig_id")
    assert mixed.index.equals(sample.index) and mixed.columns.equals(sample.columns)
    first, second = (read_table(working / "predictions" / name / "test.parquet").astype(float) for name in MEMBERS)
    assert ((7 / 9 * first + 2 / 9 * second - mixed).abs() < 1e-6).all(axis=None), "the attached blend's weights"


def test_a_training_notebook_continues_where_the_attached_run_stopped(kaggle, packed, offline, tmp_path):
    run(packed[0] / "kernels" / f"moa-train-{MEMBERS[0]}", kaggle, tmp_path, profile="demo", device="cpu")
    units = kaggle / "working" / "weights" / MEMBERS[0] / "nn"
    before = kaggle / "input" / "moa-weights" / "weights" / MEMBERS[0] / "nn"
    there = {path.relative_to(before): path.read_text() for path in before.glob("seed-*/fold-*/unit.json")}
    here = {path.relative_to(units): path.read_text() for path in units.glob("seed-*/fold-*/unit.json")}
    assert len(here) == 6 and there.items() <= here.items(), "they hold the seconds of their training"
    assert {str(path.parent) for path in here.keys() - there.keys()} == {"seed-940/fold-1"}, "trains this unit alone"
    assert not (units / "seed-1513").is_symlink() and (units.parent / "predictions" / "oof.parquet").exists()


def test_there_is_no_network_in_these_runs(offline):
    code = "import socket; socket.create_connection(('192.0.2.1', 80), 5)"
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
    out, commands = packed
    kernels = training_kernels()
    assert set(kernels) == set(recipes())
    for name, group in kernels.items():
        folds = [kernel.parameters.get("fold") for kernel in group]
        assert folds == (list(range(10)) if name.startswith("deepinsight") else [None])
        assert ("moa-pretrained" in group[0].datasets) == name.startswith("deepinsight")
    notebook = (out / "kernels" / "moa-train-deepinsight-resnest-v1-fold-1" / "notebook.ipynb").read_text()
    assert '"fold = 1' in notebook and '"profile = \\"demo\\"' in notebook
    assert [command.split()[1:3] for command in commands] == [["datasets", "create"]] * 2 + [["kernels", "push"]] * 3
    without = submission_kernels(weights=False)[0]
    assert "moa-weights" not in without.datasets and "moa-train-deepinsight-resnest-v2-fold-9" in without.kernels


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
    assert sorted(path.name for path in weights.iterdir()) == ["shared", *sorted(MEMBERS)]
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
