"""An L1000 plate of LINCS: what is said of its wells, compounds and mechanisms, and of wells that cannot be real."""

import json

import numpy as np
import pandas as pd
import pytest

from moa.importing.formats import gct
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.source import Source
from moa.weights.trained import open_trained
from support.field_data import field_data
from support.invoking import invoke

NAME = "any-assay"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("l1000")
    plate = field_data("LJP005_A375_24H_X1_B19_level3.gct.gz")
    invoke("data", "import", plate, "--moa", field_data("ljp005_moa.tsv"), "--out", folder / "data")
    options = ["--hold-out", "compound", "--parts", "5", "--seeds", "1"]
    invoke("train", NAME, "--data", folder / "data", "--weights", folder / "weights", *options)
    out = ["--weights", folder / "weights", "--out", folder / "out", "--format", "gct"]
    invoke("predict", "--features", plate, NAME, *out)
    return folder


def table(folder, name):
    return pd.read_csv(folder / "out" / f"{name}.csv", keep_default_na=False)


def test_wells_and_compounds_that_were_in_training_are_marked(folder):
    samples = table(folder, "samples").set_index("sig_id")
    labels = pd.read_csv(folder / "data" / "train_drug.csv", index_col="sig_id")["drug_id"]
    treated = samples["cp_type"] != "ctl_vehicle"
    assert (samples.loc[treated, "in_training"] == "well").equals(pd.Series(samples.index[treated].isin(labels.index),
                                                                          samples.index[treated]))  # fmt: skip
    assert (samples.loc[treated, "in_training"] == "well").sum() == 249
    compounds = table(folder, "compounds").query("rank == 1").set_index("compound")
    assert len(compounds) == 59 and (compounds["in_training"] == "well").sum() == 42
    page = (folder / "out" / "plate.html").read_text(encoding="utf-8")
    assert "249 samples are of compounds that were in training: marked" in page


def test_compounds_of_training_are_answered_out_of_fold(folder):
    trained, p = open_trained(NAME, folder / "weights", whole=False), table(folder, "compounds")
    oof = trained.calibrated_oof()
    labels = pd.read_csv(folder / "data" / "train_drug.csv", index_col="sig_id")["drug_id"].loc[oof.index]
    logit = np.log(oof.clip(1e-6, 1 - 1e-6) / (1 - oof.clip(1e-6, 1 - 1e-6)))
    pooled = 1 / (1 + np.exp(-logit.groupby(labels).mean()))
    first = p[(p["rank"] == 1) & (p["in_training"] == "well")].set_index("compound")
    np.testing.assert_allclose(first["probability"], pooled.max(axis=1)[first.index], rtol=1e-3)


def test_mechanisms_of_few_compounds_are_marked_wherever_they_are_ranked(folder):
    labels = pd.read_csv(folder / "data" / "train_targets_scored.csv", index_col="sig_id")
    drugs = pd.read_csv(folder / "data" / "train_drug.csv", index_col="sig_id")["drug_id"]
    compounds = {target: drugs[labels[target] == 1].nunique() for target in labels}
    few = {target for target, count in compounds.items() if count < 5}
    for name in ("ranked", "compounds", "treatments", "mechanisms"):
        marked = table(folder, name).drop_duplicates("moa").set_index("moa")["caution"]
        for target in few & set(marked.index):
            assert marked[target] == f"{compounds[target]} training compounds"
        assert (marked != "").sum() >= len(few & set(marked.index))


def test_wells_whose_genes_are_permuted_are_found(folder):
    trained = open_trained(NAME, folder / "weights", whole=False)
    features = pd.read_csv(folder / "data" / "train_features.csv", index_col="sig_id")
    values = features.loc[features["cp_type"] != "ctl_vehicle", list(trained.schema.values)].to_numpy()
    rng = np.random.default_rng(0)
    mixed = np.stack([rng.permutation(column) for column in values.T], axis=1)[:100]
    usual = trained.familiarity()
    assert (usual.unexplained(mixed)[:, 1] > usual.unusual_).sum() >= 90
    samples = table(folder, "samples")
    new = samples[(samples["in_training"] == "") & (samples["cp_type"] != "ctl_vehicle")]
    assert len(new) == 102 and (new["warning"] != "").mean() <= 0.1, "wells of compounds that are not annotated"


def test_the_gct_file_comes_back(folder):
    found = gct.read(Source(folder / "out" / "probabilities.gct"), ImportOptions(), Notes())
    p = table(folder, "probabilities").set_index("sig_id")
    np.testing.assert_allclose(found.values.to_numpy(), p, rtol=1e-6)


def test_scores_of_the_plate(folder):
    rows = json.loads(
        invoke("score", NAME, "--data", folder / "data", "--weights", folder / "weights", "--format", "json")
    )
    by = {row["kind"]: row for row in reversed(rows)}
    assert rows[0]["rows"] == 249 and by["exchanged profiles"]["roc_auc_micro"] <= 0.53
    assert rows[0]["log_loss"] < by["prevalence"]["log_loss"] == pytest.approx(0.2444, abs=1e-4)
