"""Plates from Python: import, train, predict; further plates are read as those that the model was trained on."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml

import moa
from moa.errors import UserError
from support.assays import cell_painting, write_h5ad
from support.screens import SMALL

#: Columns as nobody else calls them.
NAMES = {
    "Metadata_Plate": "run",
    "Metadata_Well": "slot",
    "Metadata_broad_sample": "Agent X",
    "Metadata_mmoles_per_liter": "amount",
    "Metadata_moa": "effect",
}
STATED = {"plate": "run", "well": "slot", "compound": "Agent X", "dose": "amount", "mechanism": "effect"}


def table(screen):
    return screen.table.drop(columns="Metadata_pert_type").rename(columns=NAMES).replace({"DMSO": "medium 7"})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Weights of a Simple NN on three plates whose columns options name, and a fourth plate."""
    folder = tmp_path_factory.mktemp("python")
    whole = table(cell_painting(wells=160, features=24, compounds=8, mechanisms=4, raw=False))
    whole.iloc[:120].to_csv(folder / "plates.csv", index=False)
    whole.iloc[120:].drop(columns="effect").to_csv(folder / "next.csv", index=False)
    result = moa.import_plates(folder / "plates.csv", folder / "data", control="Agent X=medium 7", **STATED)
    assert result.mapping.column("dose") == "amount" and dict(result.counts)["plates"] == "3"
    small = {"settings": SMALL["simple-nn-new-cv"], "device": "cpu", "seeds": 1, "parts": 2}
    moa.train("simple-nn-new-cv", folder / "data", folder / "weights", profile="demo", **small)
    return folder


def test_a_further_plate_needs_no_option(trained, moa_here):
    common = {"weights": trained / "weights", "device": "cpu"}
    found = moa.predict(trained / "next.csv", "simple-nn-new-cv", **common)
    known = pd.read_csv(trained / "next.csv")
    assert found.shape == (40, 4) and ((found == 0).all(axis=1) == (known["Agent X"] == "medium 7").to_numpy()).all()
    out = trained / "out"
    moa_here(
        *("predict", "--features", trained / "next.csv", "simple-nn-new-cv", "--weights", trained / "weights"),
        *("--out", out, "--device", "cpu"),
    )
    written = pd.read_csv(out / "probabilities.csv", index_col="sig_id")
    np.testing.assert_allclose(written.to_numpy(), found.to_numpy(), atol=1e-6)
    assert list(written.index) == list(found.index)


def test_a_plate_with_other_headings_needs_a_mapping(trained, tmp_path, moa_here):
    """A whole mapping, or settings that name the columns, gives what the headings of the training data give."""
    names = {"run": "Lauf", "slot": "Ort", "Agent X": "Stoff", "amount": "Menge"}
    plate = pd.read_csv(trained / "next.csv").rename(columns=names)
    plate.to_csv(tmp_path / "other.csv", index=False)
    stated = {field: names[STATED[field]] for field in ("plate", "well", "compound", "dose")}
    moa.import_plates(tmp_path / "other.csv", tmp_path / "data", control="Stoff=medium 7", **stated)
    settings = tmp_path / "settings.yaml"
    settings.write_text(yaml.safe_dump({"settings": {**stated, "control": "Stoff=medium 7"}}))

    def predicted(features, out, *options, check=True):
        fixed = ("--weights", trained / "weights", "--device", "cpu", "--out", tmp_path / out)
        return moa_here("predict", "--features", features, "simple-nn-new-cv", *fixed, *options, check=check)

    def tables(out):
        return [pd.read_csv(tmp_path / out / f"{name}.csv") for name in ("probabilities", "compounds", "treatments")]

    predicted(trained / "next.csv", "known")
    predicted(tmp_path / "other.csv", "whole", "--mapping", tmp_path / "data" / "mapping.yaml")
    predicted(tmp_path / "other.csv", "settings", "--mapping", settings)
    for known, whole, alone in zip(tables("known"), tables("whole"), tables("settings"), strict=True):
        assert len(known) and known.equals(whole) and known.equals(alone)
    for text, options, message in (
        (
            "",
            (),
            "no well has dose, which the model takes; name the column that holds it with `settings: {dose: COLUMN}`",
        ),
        ("settings: {doze: Menge}", ("--mapping", settings), "settings.yaml: 'doze' is unknown (did you mean dose"),
        ("settings: {dose: Maenge}", ("--mapping", settings), "dose Maenge: no such column; there are Menge"),
        ("", ("--mapping", settings), "settings.yaml: no mapping of an import"),
    ):
        settings.write_text(text)
        done = predicted(tmp_path / "other.csv", "refused", *options, check=False)
        assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr, done.stderr
        assert not (tmp_path / "refused" / "probabilities.csv").exists()


def test_a_plate_as_an_object_and_as_a_file_of_another_format(trained):
    plate = pd.read_csv(trained / "next.csv")
    features = [name for name in plate if name.startswith(("Cells_", "Cytoplasm_", "Nuclei_"))]
    values, known = plate[features], plate.drop(columns=features)
    model = moa.load("simple-nn-new-cv", trained / "weights", device="cpu")
    expected = model.predict(trained / "next.csv")
    held = SimpleNamespace(X=values.to_numpy(), obs=known, var=pd.DataFrame(index=features), layers={})
    np.testing.assert_allclose(model.predict(held).to_numpy(), expected.to_numpy(), atol=1e-6)
    write_h5ad(trained / "next.h5ad", values, known)
    np.testing.assert_allclose(model.predict(str(trained / "next.h5ad")).to_numpy(), expected.to_numpy(), atol=1e-3)
    with pytest.raises(UserError, match=r"object 1: X has the shape \(40, 24\); expected \(39, 24\), obs by var"):
        model.predict(SimpleNamespace(X=values.to_numpy(), obs=known.iloc[1:], var=pd.DataFrame(index=features)))
    with pytest.raises(UserError, match="lacks 24 of the model's|none of the model's 24 features"):
        model.predict(SimpleNamespace(X=values.to_numpy(), obs=known, var=pd.DataFrame(index=[*map(str, range(24))])))


def test_objects_are_imported_as_files_are(trained, tmp_path):
    plate = pd.read_csv(trained / "plates.csv")
    features = [name for name in plate if name.startswith(("Cells_", "Cytoplasm_", "Nuclei_"))]
    known = plate.drop(columns=features)
    held = SimpleNamespace(
        X=None, obs=known, var=pd.DataFrame(index=features), layers={"z": plate[features].to_numpy()}
    )
    with pytest.raises(UserError, match="object 1: has no X; choose a layer: z"):
        moa.import_plates(held, tmp_path / "no", **STATED)
    result = moa.import_plates([held], tmp_path / "data", layer="z", name="data", control="medium 7", **STATED)
    for name in ("assay.json", "features.csv"):
        assert (tmp_path / "data" / name).read_bytes() == (trained / "data" / name).read_bytes()
    tables = [pd.read_csv(folder / "data" / "train_features.csv").iloc[:, 1:] for folder in (tmp_path, trained)]
    pd.testing.assert_frame_equal(*tables)
    assert result.folder == tmp_path / "data"


def test_without_a_folder_nothing_is_written(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = moa.import_plates(trained / "plates.csv", control="medium 7", **STATED)
    assert plan.mapping.column("compound") == "Agent X" and not list(tmp_path.iterdir())
    with pytest.raises(UserError, match="ImportOptions has no compounds"):
        moa.import_plates(trained / "plates.csv", compounds="Agent X")
