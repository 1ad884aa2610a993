"""A weights folder from a stranger: nothing is executed, no path leads out of it, and what is wrong is one line."""

import hashlib
import json
import os
import pickle
import re
import shutil
import struct
import zipfile
from io import BytesIO

import numpy as np
import pytest
import safetensors.torch
import skops.io
import torch
from sklearn.preprocessing import FunctionTransformer

from moa.data.stored_tables import read_table
from moa.errors import StoreError
from moa.features import LogScaler, StandardScaler
from moa.files import read_json, sha256, write_json
from moa.weights import fitted_transformers as fits
from moa.weights.layout import WeightsFolder
from moa.weights.merge import merge_weights
from moa.weights.trained import open_trained
from moa.whole_folders import only_one
from support.stored import STORED, unpack_store

MODEL, STAGE = "two-heads", "phase2"
DEEP = "[" * 200_000 + "]" * 200_000


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return unpack_store(tmp_path_factory.mktemp("stored"))


@pytest.fixture
def weights(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "store")


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    read_table(STORED / "features.parquet").to_csv(folder / "test_features.csv")
    return folder


class Forger:
    """Changes files of a weights folder, and sees to it that checksums are right."""

    def __init__(self, weights):
        self.weights, self.model = weights, weights / MODEL
        self.stage = self.model / STAGE / "stage.json"
        (self.unit,) = self.model.glob(f"{STAGE}/seed-*/fold-*")

    def edit(self, path, change):
        value = read_json(path)
        path.write_text(json.dumps(change(value) or value))

    def edit_step(self, **changes):
        self.edit(self.stage, lambda stage: stage["pipeline"]["steps"][-1].update(changes))

    def edit_unit(self, **changes):
        self.edit(self.unit / "unit.json", lambda unit: unit.update(changes))

    def replace(self, name, raw):
        """A file of the unit."""
        path = self.unit / name
        path.write_bytes(raw)
        self.edit(self.unit / "unit.json", lambda unit: unit["sha256"].update({name: sha256(path)}))

    def evidence(self, payload):
        """A fit that predictions are explained by."""
        write_json(self.model / "evidence.json", {"evidence": "0" * 20, "compounds": 1})
        (self.weights / "shared" / f"{'0' * 20}.skops").write_bytes(hashlib.sha256(payload).digest() + payload)

    def fit(self, payload, suffix=".fit"):
        """A shared fit in place of one that the stage uses."""
        key = next(step["key"] for step in read_json(self.stage)["pipeline"]["steps"] if step["key"])
        path = self.weights / "shared" / key
        path.with_suffix(suffix).write_bytes(hashlib.sha256(payload).digest() + payload)

    def features(self, fitted):
        """Fits of another origin in place of the unit's own."""
        payload = fitted if isinstance(fitted, bytes) else fits.dump(fitted)[0][32:]
        self.replace("features.fit", hashlib.sha256(payload).digest() + payload)


class Touching:
    """Unpickled, it would make a file in the working folder."""

    def __reduce__(self):
        return (os.system, ("touch executed",))


def header(text):
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def with_tensor(name, value):
    return safetensors.torch.save({name: value})


def packed(fit, arrays=(), form=1):
    """A file of fitted transformers as the package writes it, with this one transformer in its schema."""
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        file.writestr("fits.json", json.dumps({"format": form, "fits": {"": fit}}))
        for number, raw in enumerate(arrays):
            file.writestr(f"{number}.npy", raw)
    return made.getvalue()


def pickled_array():
    made = BytesIO()
    np.save(made, np.array([Touching()], dtype=object), allow_pickle=True)
    return made.getvalue()


RANK = {"class": "GaussianRank", "parameters": {}, "fitted": {"quantiles_": {"array": 0}}}
SYSTEM = skops.io.dumps(FunctionTransformer(os.system))
FORGERIES = {
    "a key that leads out": (lambda f: f.edit_step(key="../../../elsewhere/fit"), "stage.json: not as.*key"),
    "a key with a line break": (lambda f: f.edit_step(key="0" * 20 + "\n"), "stage.json: not as.*key"),
    "a key of another unit's fit": (lambda f: f.edit_step(key="fit-0"), "stage.json: not as.*shared fit"),
    "a stage in itself": (
        lambda f: f.edit(f.stage, lambda s: s.update(sources={STAGE: [[23, 0]]})),
        "stage.json: uses predictions of phase2",
    ),
    "a stage above": (
        lambda f: f.edit(f.stage, lambda s: s.update(sources={"../x": [[23, 0]]})),
        "stage.json: not as.*sources",
    ),
    "a stage of another shape": (lambda f: f.edit(f.stage, lambda s: [s]), "stage.json: not as"),
    "no steps": (
        lambda f: f.edit(f.stage, lambda s: s["pipeline"].pop("steps") and None),
        "pipeline.steps: Field required",
    ),
    "steps of words": (lambda f: f.edit(f.stage, lambda s: s["pipeline"].update(steps=["a"])), "pipeline.steps.0"),
    "steps that skip columns": (lambda f: f.edit_step(inputs=["x\x1b[31m"]), r"needs column 'x\\x1b\[31m'"),
    "a column twice": (
        lambda f: f.edit(f.stage, lambda s: s["pipeline"]["input_columns"].append("g-0")),
        "'g-0' occurs twice",
    ),
    "a type of columns that executes": (
        lambda f: f.edit(f.stage, lambda s: s["pipeline"].update(dtype="object")),
        "pipeline.dtype",
    ),
    "targets of numbers": (lambda f: f.edit(f.stage, lambda s: s.update(targets=[1])), "targets.0"),
    "a deep stage": (lambda f: f.stage.write_text(DEEP), "stage.json: damaged.*recursion limit"),
    "a deep manifest": (lambda f: (f.model / "manifest.json").write_text(DEEP), "manifest.json: damaged.*recursion"),
    "a manifest of another shape": (
        lambda f: f.edit(f.model / "manifest.json", lambda m: [m]),
        "manifest.json: not as this package writes it",
    ),
    "a manifest of another encoding": (
        lambda f: (f.model / "manifest.json").write_bytes(b"\xff\xfe{\x00"),
        "manifest.json: damaged",
    ),
    "settings of another shape": (
        lambda f: f.edit(f.model / "manifest.json", lambda m: m.update(settings=[])),
        "manifest.json: not as.*settings",
    ),
    "a schema of another shape": (
        lambda f: f.edit(f.model / "manifest.json", lambda m: m.update(schema={"name": 3})),
        "manifest.json: settings that this version",
    ),
    "a unit of another shape": (lambda f: (f.unit / "unit.json").write_text("3"), "unit.json: not as"),
    "a unit of another fold": (lambda f: f.edit_unit(fold=1), "unit.json: belongs to phase2, seed 23, fold 1"),
    "a file that leads out": (
        lambda f: f.edit_unit(sha256={"../../../secret": "0" * 64}),
        "unit.json: not as.*sha256",
    ),
    "a variant that leads out": (lambda f: f.edit_unit(variants=["../../secret"]), "unit.json: not as.*variants"),
    "seconds in words": (lambda f: f.edit_unit(seconds="many"), "unit.json: not as.*seconds"),
    "a network of a billion outputs": (
        lambda f: f.edit_unit(meta=read_json(f.unit / "unit.json")["meta"] | {"n_targets": 10**9}),
        "unit.json: n_targets is 1000000000, and the weights hold",
    ),
    "facts without an end": (
        lambda f: ((f.unit / "unit.json").unlink(), (f.unit / "unit.json").symlink_to("/dev/zero")),
        "unit.json: a device and no file",
    ),
    "weights with a foreign header": (
        lambda f: f.replace("weights.safetensors", header('{"w": {"dtype": "F99", "shape": [1]}}')),
        "weights.safetensors: holds no weights",
    ),
    "weights with a deep header": (
        lambda f: f.replace("weights.safetensors", header(DEEP)),
        "weights.safetensors: holds no weights",
    ),
    "a pickle named safetensors": (
        lambda f: f.replace("weights.safetensors", pickle.dumps(Touching())),
        "weights.safetensors: holds no weights",
    ),
    "weights of another network": (
        lambda f: f.replace("weights.safetensors", with_tensor("w", torch.ones(10**5))),
        "fold-0: does not fit this version of the model",
    ),
    "facts of another network": (lambda f: f.edit_unit(meta={}), "fold-0: does not fit this version of the model"),
    "features that execute": (
        lambda f: f.features(SYSTEM),
        "features.fit: holds types that are not trusted.*system",
    ),
    "no features": (
        lambda f: f.features({"fit-999": StandardScaler().fit(np.eye(2))}),
        "features.fit: lacks the fit of",
    ),
    "a fit that executes": (lambda f: f.fit(SYSTEM, ".skops"), "skops: holds types that are not trusted.*system"),
    "a fit of a class that is not stored": (
        lambda f: f.fit(packed(RANK | {"class": "Pipeline"})),
        "fit: holds types that are not trusted: Pipeline",
    ),
    "a fit with a method": (
        lambda f: f.fit(packed(RANK | {"fitted": {"transform": 1}})),
        "fit: holds no fit that can be read.*has no transform",
    ),
    "a fit with a private attribute": (
        lambda f: f.fit(packed(RANK | {"fitted": {"__class__": 1}})),
        "holds no fit that can be read.*has no __class__",
    ),
    "a fit of a later format": (
        lambda f: f.fit(packed(RANK, form=2)),
        "fit: written in format 2, this version reads up to 1",
    ),
    "a fit without its arrays": (lambda f: f.fit(packed(RANK)), "holds no fit that can be read.*0.npy"),
    "a fit whose array is pickled": (lambda f: f.fit(packed(RANK, [pickled_array()])), "holds no fit that can be read"),
    "a fit that is no zip": (lambda f: f.fit(b"PK"), "holds no fit that can be read"),
    "a fit of another kind": (lambda f: f.fit(skops.io.dumps(LogScaler())), "does not fit this version of the model"),
    "evidence that leads out": (
        lambda f: write_json(f.model / "evidence.json", {"evidence": "../../x", "compounds": 1}),
        "evidence.json: not as.*evidence",
    ),
    "evidence that executes": (
        lambda f: f.evidence(SYSTEM),
        "holds types that are not trusted.*system",
    ),
    "evidence of another kind": (lambda f: f.evidence(skops.io.dumps(LogScaler())), "holds no evidence"),
    "a familiarity that leads out": (
        lambda f: f.edit(f.model / "training.json", lambda t: t.update(familiarity="../../x")),
        "training.json: not as.*familiarity",
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_file_is_refused_in_one_line(name, weights, data, tmp_path, moa_here, monkeypatch):
    monkeypatch.chdir(tmp_path)
    forge, message = FORGERIES[name]
    forge(Forger(weights))
    if "familiarity" in name or "evidence" in name:  # only plates are compared with the training data
        arguments = ["--features", data / "test_features.csv", "--blend", MODEL]
    else:
        arguments = [MODEL, "--data", data]
    done = moa_here("predict", *arguments, "--weights", weights, "--out", tmp_path / "out", check=False)
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 2 and len(lines) == 1 and "Traceback" not in done.stderr, done.stderr
    assert done.stderr.splitlines()[-1] == lines[0], "the message is one line"
    assert re.search(message, lines[0])
    assert not (tmp_path / "executed").exists()
    results = [path for path in tmp_path.glob("out/**/*") if path.is_file() and ".parts" not in path.parts]
    assert not results, "parts of plates may be kept, to continue; no result is written"


def test_one_command_at_a_time_predicts_into_a_folder(weights, data, tmp_path, moa_here):
    out = tmp_path / "out"
    command = (
        "predict",
        "--features",
        data / "test_features.csv",
        "--blend",
        MODEL,
        "--weights",
        weights,
        "--out",
        out,
    )
    with only_one(out, ""):
        done = moa_here(*command, check=False)
        assert done.returncode == 2 and "another `moa predict` writes there; wait" in done.stderr
        assert "Traceback" not in done.stderr and not list(out.iterdir())
    moa_here(*command)


@pytest.mark.parametrize(
    "forge",
    [
        lambda f: f.edit_unit(sha256={"../../../../secret": sha256(f.weights.parent / "secret")}),
        lambda f: f.edit_unit(sha256={str(f.weights.parent / "secret"): sha256(f.weights.parent / "secret")}),
        lambda f: f.edit_step(key="../../secret"),
        lambda f: f.edit(f.model / "training.json", lambda t: t.update(familiarity="../../secret")),
        lambda f: write_json(f.model / "evidence.json", {"evidence": "../../secret", "compounds": 1}),
    ],
)
def test_a_merge_takes_nothing_from_outside(forge, weights, tmp_path):
    for name in ("secret", "secret.skops"):
        (tmp_path / name).write_text("private")
    forge(Forger(weights))
    with pytest.raises(StoreError, match="not as this package writes it") as caught:
        merge_weights([weights], tmp_path / "a" / "b" / "merged", models=[MODEL])
    assert "\n" not in str(caught.value)
    assert not [path for path in (tmp_path / "a").rglob("*") if path.is_file() and path.read_bytes() == b"private"]


def test_names_that_lead_out_are_refused_wherever_they_come_from(tmp_path):
    folder = WeightsFolder(tmp_path / "weights")
    for name in ("..", ".", "", "../x", "a/b", "a\\b", "/tmp", "x\n", "C:x", ".hidden"):
        assert not folder.has(name)
        for use in (folder.model, folder.model("m").stage, folder.fit):
            with pytest.raises(StoreError, match="copy the weights folder again") as caught:
                use(name)
            assert "\n" not in str(caught.value)


def test_folders_that_are_none_of_ours_are_left_alone(weights):
    model = weights / MODEL
    units = WeightsFolder(weights).model(MODEL).units()
    for name in ("seed-x/fold-0", "seed-023/fold-0", "seed-23/fold-١", "seed-23/fold-0.old"):
        shutil.copytree(model / STAGE / "seed-23" / "fold-0", model / STAGE / name)
    shutil.copytree(model, weights / ".ipynb_checkpoints")
    assert WeightsFolder(weights).model(MODEL).units() == units
    assert WeightsFolder(weights).models() == ["two-heads", "two-stage-nn-tabnet"]


def test_oof_predictions_of_other_targets_are_refused(weights):
    forger = Forger(weights)
    table = read_table(forger.unit / "oof.parquet")
    for other in (table.iloc[:, ::-1], table.astype(str), table.iloc[:, 1:]):
        other.to_parquet(forger.unit / "oof.parquet")
        forger.replace("oof.parquet", (forger.unit / "oof.parquet").read_bytes())
        with pytest.raises(StoreError, match="other columns than the targets of phase2"):
            open_trained(MODEL, weights, whole=False).oof()


def test_what_another_version_of_the_package_added_is_kept(weights, tmp_path):
    forger = Forger(weights)
    forger.edit(forger.model / "manifest.json", lambda manifest: manifest.update(cluster="nine machines"))
    forger.edit_unit(host="a machine")
    merge_weights([weights], tmp_path / "merged", models=[MODEL])
    merged = WeightsFolder(tmp_path / "merged").model(MODEL)
    assert read_json(merged.manifest)["cluster"] == "nine machines"
    assert read_json(merged.facts(merged.units()[-1]))["host"] == "a machine"
    forger.edit(forger.model / "manifest.json", lambda manifest: manifest.update(cluster="ten machines"))
    with pytest.raises(StoreError, match="cluster: nine|cluster .*nine machines"):
        merge_weights([weights], tmp_path / "merged", models=[MODEL])
