"""From a laboratory's file to ranked mechanisms in one command, by a model trained on the genes of competition data."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moa.data.feature_names import competition_features
from support.assays import l1000_plate, write_gct, write_gctx

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


def predicted(out):
    return (pd.read_csv(out / f"{name}.csv", index_col="sig_id") for name in ("probabilities", "ranked", "samples"))


@pytest.mark.parametrize("writer", [write_gct, write_gctx])
def test_a_plate_is_predicted_from_its_file(genes_alone, tmp_path, moa_here, writer):
    screen = l1000_plate([{"id": probe} for probe in genes().index])
    path = writer(tmp_path / "plate.dat", screen.values, screen.wells, genes())
    out = tmp_path / "out"
    done = moa_here(
        *("predict", "--features", path, "--blend", "simple-nn-old-cv", "--weights", genes_alone, "--out", out),
        *("--device", "cpu", "--top", "3"),
    )
    assert "772 of the model's 772 features found, 772 by Entrez id" in done.stdout and "48 samples" in done.stdout
    probabilities, ranked, samples = predicted(out)
    control = screen.wells["pert_type"] == "ctl_vehicle"
    assert list(probabilities.index) == list(screen.values.index) and probabilities.shape == (48, 206)
    assert (probabilities[control.to_numpy()] == 0).all(axis=None) and (probabilities[~control.to_numpy()] > 0).all(
        axis=None
    )
    assert len(ranked) == 3 * 36 and len(samples) == 48
    wells = pd.read_csv(out / "wells.csv", index_col="sig_id")
    assert wells.loc["PLATE_A375_24H_X1:A13", ["compound", "dose"]].tolist() == ["compound-0", 10]
    # The rows that the model saw are kept, and give the same predictions.
    again = tmp_path / "again"
    moa_here(
        *("predict", "--features", out / "features.parquet", "--blend", "simple-nn-old-cv", "--weights", genes_alone),
        *("--out", again, "--device", "cpu", "--format", "csv"),
    )
    np.testing.assert_array_equal(pd.read_csv(again / "probabilities.csv"), pd.read_csv(out / "probabilities.csv"))


def test_a_model_that_wants_viabilities_says_how_to_train_without_them(weights_of, tmp_path, moa_here):
    screen = l1000_plate([{"id": probe} for probe in genes().index])
    path = write_gct(tmp_path / "plate.gct", screen.values, screen.wells, genes())
    done = moa_here(
        *("predict", "--features", path, "--blend", "simple-nn-old-cv", "--weights", weights_of("simple-nn-old-cv")),
        *("--out", tmp_path / "out", "--device", "cpu"),
        check=False,
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "nothing of the group 'cells' (100 features)" in done.stderr and "--groups genes" in done.stderr


def test_genes_that_a_file_lacks_need_a_stated_value(genes_alone, tmp_path, moa_here):
    screen = l1000_plate([{"id": probe} for probe in genes().index[5:]])
    path = write_gct(tmp_path / "plate.gct", screen.values, screen.wells, genes().iloc[5:])
    command = [
        "predict",
        "--features",
        path,
        "--blend",
        "simple-nn-old-cv",
        "--weights",
        genes_alone,
        "--device",
        "cpu",
    ]
    refused = moa_here(*command, "--out", tmp_path / "out", check=False)
    assert refused.returncode == 2 and "lacks 5 of the model's 772 features" in refused.stderr
    assert not (tmp_path / "out").exists()
    done = moa_here(*command, "--out", tmp_path / "out", "--fill-missing", "0")
    assert "5 features that plate.gct lacks set to 0" in done.stdout


@pytest.mark.skipif(FIELD is None, reason="needs a real plate of the field")
def test_the_real_plate_is_predicted_from_its_file(genes_alone, tmp_path, moa_here):
    path = Path(FIELD or "") / "LJP005_A375_24H_X1_B19_level3.gct.gz"
    out = tmp_path / "out"
    moa_here(
        *("predict", "--features", path, "--blend", "simple-nn-old-cv", "--weights", genes_alone, "--out", out),
        *("--device", "cpu"),
    )
    probabilities, ranked, _ = predicted(out)
    wells = pd.read_csv(out / "wells.csv", index_col="sig_id")
    control = (wells["cp_type"] == "ctl_vehicle").to_numpy()
    assert probabilities.shape == (377, 206) and control.sum() == 26
    assert (probabilities[control] == 0).all(axis=None) and ranked.index.nunique() == 351
