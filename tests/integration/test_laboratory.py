"""From a laboratory's file to ranked mechanisms in one command, by a model trained on the genes of competition data."""

import os
from pathlib import Path

import pandas as pd
import pytest

from moa.data.assay import COMPETITION
from moa.data.feature_names import competition_features
from moa.importing.for_model import read_for_model
from support.assays import l1000_plate, write_gct, write_gctx

GENES_ALONE = COMPETITION.model_copy(update={"groups": COMPETITION.groups[:1]})
FIELD = os.environ.get("MOA_FIELD_DATA")


@pytest.fixture(scope="module")
def genes_alone(data_dir, tmp_path_factory, moa_command):
    """Weights of the Simple NN of one seed and fold, trained without viabilities."""
    weights = tmp_path_factory.mktemp("genes") / "weights"
    part = ("--profile", "demo", "--groups", "genes", "--seeds", "1", "--folds", "1", "--device", "cpu")
    moa_command("train", "simple-nn-old-cv", "--data", data_dir, "--weights", weights, *part)
    return weights


def genes():
    table = competition_features().query("group == 'genes'")
    rows = pd.DataFrame({"pr_gene_id": table["entrez_id"].to_numpy()}, index=table["probe_id"].to_numpy())
    return rows.sample(frac=1, random_state=0)


def predict(features, weights):
    """A command line without its folder of results."""
    fixed = ("--blend", "simple-nn-old-cv", "--device", "cpu")
    return ("predict", "--features", features, "--weights", weights, *fixed)


def predicted(out):
    return (pd.read_csv(out / f"{name}.csv", index_col="sig_id") for name in ("probabilities", "ranked", "samples"))


@pytest.mark.parametrize("writer", [write_gct, write_gctx])
def test_a_plate_is_predicted_from_its_file(genes_alone, tmp_path, moa_here, writer):
    screen = l1000_plate([{"id": probe} for probe in genes().index])
    path = writer(tmp_path / "plate.dat", screen.values, screen.wells, genes())
    out = tmp_path / "out"
    done = moa_here(*predict(path, genes_alone), "--out", out, "--top", "3")
    assert "772 of the model's 772 features found, 772 by Entrez id" in done.stderr and "48 samples" in done.stdout
    probabilities, ranked, samples = predicted(out)
    control = (screen.wells["pert_type"] == "ctl_vehicle").to_numpy()
    assert list(probabilities.index) == list(screen.values.index) and probabilities.shape == (48, 206)
    assert (probabilities[control] == 0).all(axis=None) and (probabilities[~control] > 0).all(axis=None)
    assert len(ranked) == 3 * 36 and len(samples) == 48
    described = ["Metadata_compound", "Metadata_dose", "Metadata_plate", "Metadata_det_well"]
    assert samples.loc["PLATE_A375_24H_X1:A13", described].tolist() == ["compound-0", 10, "PLATE_A375_24H_X1", "A13"]
    # The same rows as a features file give the same predictions.
    rows = read_for_model([path], GENES_ALONE, competition_features()).features
    rows.to_parquet(tmp_path / "features.parquet")
    again = tmp_path / "again"
    moa_here(
        *("predict", "--features", tmp_path / "features.parquet", "--blend", "simple-nn-old-cv", "--format", "csv"),
        *("--weights", genes_alone, "--out", again, "--device", "cpu"),
    )
    assert (again / "probabilities.csv").read_bytes() == (out / "probabilities.csv").read_bytes()


def test_a_plate_without_metadata_and_its_map(genes_alone, tmp_path, moa_here):
    """GCT 1.2 holds no metadata: plates and places are those of the wells' names, the rest is in a table."""
    screen = l1000_plate([{"id": probe} for probe in genes().index])
    rows = genes().rename(columns={"pr_gene_id": "Description"})
    path = write_gct(tmp_path / "plate.gct", screen.values, pd.DataFrame(index=screen.wells.index), rows, "1.2")
    screen.wells.to_csv(tmp_path / "map.csv", index=False)
    command = predict(path, genes_alone)
    moa_here(*command, "--out", tmp_path / "out", "--wells", tmp_path / "map.csv", "--level", "3")
    probabilities, _, samples = predicted(tmp_path / "out")
    assert (probabilities.eq(0).all(axis=1) == (samples["cp_type"] == "ctl_vehicle")).all()
    assert samples["cp_type"].value_counts().to_dict() == {"trt_cp": 36, "ctl_vehicle": 12}


def test_a_model_that_wants_viabilities_says_how_to_train_without_them(weights_of, tmp_path, moa_here):
    screen = l1000_plate([{"id": probe} for probe in genes().index])
    path = write_gct(tmp_path / "plate.gct", screen.values, screen.wells, genes())
    done = moa_here(
        *predict(path, weights_of("simple-nn-old-cv")),
        *("--out", tmp_path / "out"),
        check=False,
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert "nothing of the group 'cells' (100 features)" in done.stderr and "--groups genes" in done.stderr


def test_genes_that_a_file_lacks_need_a_stated_value(genes_alone, tmp_path, moa_here):
    screen = l1000_plate([{"id": probe} for probe in genes().index[5:]])
    path = write_gct(tmp_path / "plate.gct", screen.values, screen.wells, genes().iloc[5:])
    command = predict(path, genes_alone)
    refused = moa_here(*command, "--out", tmp_path / "out", check=False)
    assert refused.returncode == 2 and "lacks 5 of the model's 772 features" in refused.stderr
    assert not (tmp_path / "out" / "probabilities.csv").exists()
    done = moa_here(*command, "--out", tmp_path / "out", "--fill-missing", "0")
    assert "5 features that plate.gct lacks set to 0" in done.stderr


@pytest.mark.skipif(FIELD is None, reason="needs a real plate of the field")
def test_the_real_plate_is_predicted_from_its_file(genes_alone, tmp_path, moa_here):
    path = Path(FIELD or "") / "LJP005_A375_24H_X1_B19_level3.gct.gz"
    out = tmp_path / "out"
    moa_here(*predict(path, genes_alone), "--out", out)
    probabilities, ranked, samples = predicted(out)
    control = (samples["cp_type"] == "ctl_vehicle").to_numpy()
    assert probabilities.shape == (377, 206) and control.sum() == 26
    assert (probabilities[control] == 0).all(axis=None) and ranked.index.nunique() == 351
    assert samples.loc["LJP005_A375_24H_X1_B19:A07", "Metadata_treatment"] == "CP-724714 @ 10 µM"
