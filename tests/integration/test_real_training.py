"""Models trained on real plates of the field: all of the way, and scores within what was measured."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import moa
from moa.data.dataset import load_dataset
from moa.data.wells import describe_rows
from moa.environment import Folders
from moa.importing.import_plates import import_plates
from moa.importing.options import ImportOptions
from moa.jobs.options import TrainOptions
from moa.jobs.train import train_models
from moa.metrics.losses import log_loss, prevalence_baseline
from moa.metrics.pooling import pool
from moa.metrics.ranking import measures
from moa.models.registry import recipe, recipes
from moa.weights.trained import open_trained
from support.screens import SMALL

pytestmark = pytest.mark.skipif("MOA_FIELD_DATA" not in os.environ, reason="needs real plates of the field")
FIELD = Path(os.environ.get("MOA_FIELD_DATA", "."))
NAME = "simple-nn-new-cv"


@pytest.fixture(scope="module")
def l1000(tmp_path_factory):
    folder = tmp_path_factory.mktemp("l1000") / "data"
    import_plates([FIELD / "LJP005_A375_24H_X1_B19_level3.gct.gz"], folder, ImportOptions(moa=FIELD / "ljp005_moa.tsv"))
    return folder


def test_the_simple_nn_tells_mechanisms_of_held_out_compounds_of_an_l1000_plate(l1000, tmp_path):
    """Published settings, ten parts, one seed. Five seeds: ROC-AUC 0.622 ± 0.004, average precision 0.234 ± 0.008."""
    moa.train(NAME, l1000, tmp_path, profile="kaggle", hold_out="compound", parts=10, seeds=1, device="cpu")
    table = moa.score(NAME, data=l1000, weights=tmp_path).set_index("prediction")
    near, chance = table.loc["5-NN, folds compound-10"], table.loc["shuffled labels"]
    assert table["rows"].eq(249).all() and table.loc[NAME, "labelled"] == 174
    raw = open_trained(NAME, tmp_path, whole=False).oof()  # as the figures above: not calibrated
    ours = measures(load_dataset(l1000).scored.loc[raw.index], raw)
    assert near["roc_auc_micro"] == pytest.approx(0.62, abs=0.01)
    assert near["average_precision_micro"] == pytest.approx(0.21, abs=0.01)
    assert ours["roc_auc_micro"] > near["roc_auc_micro"] - 0.02, "four times the spread below what was measured"
    assert ours["average_precision_micro"] > max(
        near["average_precision_micro"] - 0.03, 2 * chance["average_precision_micro"]
    )


def test_any_assay_is_better_and_calibrated_on_the_l1000_plate(l1000, tmp_path):
    """Ten parts, one seed. With another draw of the inner folds: ROC-AUC 0.70 to 0.72, log loss 0.221 to 0.228."""
    moa.train(data=l1000, weights=tmp_path, profile="kaggle", hold_out="compound", parts=10, seeds=1, device="cpu")
    data, trained = load_dataset(l1000, drugs=True), open_trained("any-assay", tmp_path, whole=False)
    y = data.scored[data.treated]
    found = measures(y, trained.calibrated_oof().loc[y.index])
    prevalence = prevalence_baseline(y, y.index)
    assert found["roc_auc_micro"] > 0.66 and found["average_precision_micro"] > 0.26 and found["top_1"] > 0.34
    assert found["log_loss"] < log_loss(y, prevalence) - 0.01, "the net without calibration has 0.33"


def test_any_assay_recognises_the_mechanisms_of_bbbc021(tmp_path):
    """Each compound held out in turn; a treatment is the mean evidence of its wells. Published: 94 % (Ljosa 2013)."""
    options = ImportOptions(wells=(FIELD / "bbbc021_wells.csv",), moa=FIELD / "bbbc021_moa.csv")
    import_plates([FIELD / "bbbc021_profiles.csv.gz"], tmp_path / "data", options)
    where = {"data": tmp_path / "data", "weights": tmp_path / "weights"}
    moa.train("any-assay", **where, profile="kaggle", hold_out="compound", parts="each", seeds=1, device="cpu")
    data, trained = load_dataset(where["data"], drugs=True), open_trained("any-assay", where["weights"], whole=False)
    treatment = describe_rows(data.features, data.schema, data.drugs, data.wells)["treatment"]
    y = data.scored[data.treated]
    assert trained.one_mechanism
    found = pool(trained.calibrated_oof().loc[y.index], treatment.loc[y.index])
    y = y.groupby(treatment.loc[y.index]).max().loc[found.index]
    scores = measures(y, found)
    assert len(y) == 103 and scores["top_1"] >= 0.94 and scores["average_precision_micro"] >= 0.975
    assert scores["log_loss"] <= 0.03


@pytest.mark.parametrize("name", [*SMALL, *sorted(set(recipes()) - set(SMALL))])
def test_every_model_is_trained_on_the_plate(name, l1000, tmp_path):
    alike = {"deepinsight-resnest-v2": "deepinsight-resnest-v1", "three-stage-nn-10fold": "three-stage-nn-5fold"}
    options = TrainOptions(settings=SMALL[alike.get(name, name)], seeds=1, folds=1, device="cpu", parts=10)
    train_models([recipe(name)], Folders.find("demo", l1000, weights=tmp_path), options)
    oof = open_trained(name, tmp_path, whole=False).oof()
    assert oof.shape[1] == 14 and np.isfinite(oof).all(axis=None) and 15 < len(oof) < 60


def test_the_cell_painting_plate_is_predicted_and_reported(tmp_path, moa_here):
    plate, data, weights = FIELD / "cellpainting_SQ00015054.csv.gz", tmp_path / "data", tmp_path / "weights"
    moa_here("data", "import", plate, "--out", data)
    options = TrainOptions(settings=SMALL[NAME] | {"seeds": [0]}, device="cpu", parts=2)
    train_models([recipe(NAME)], Folders.find("demo", data, weights=weights), options)
    moa_here("predict", "--features", plate, NAME, "--weights", weights, "--out", tmp_path / "new")
    found = pd.read_csv(tmp_path / "new" / "probabilities.csv", index_col="sig_id")
    wells = pd.read_csv(tmp_path / "new" / "samples.csv", index_col="sig_id")
    control = (wells["Metadata_broad_sample"] == "DMSO").to_numpy()
    assert found.shape == (384, 8) and control.sum() == 24
    assert (found[control] == 0).all(axis=None) and (found[~control] > 0).all(axis=None)
    common = ("--data", data, "--weights", weights)
    moa_here("predict", NAME, *common, "--out", tmp_path / "predictions")
    moa_here("report", *common, "--predictions", tmp_path / "predictions", "--out", tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Data of the assay data." in page and "phosphodiesterase inhibitor" in page


def test_mechanisms_of_unseen_compounds_of_bbbc021_are_recognised(tmp_path):
    """Published settings, each compound held out in turn: three folds of 38; all of them give 93 % right."""
    tables = ImportOptions(wells=(FIELD / "bbbc021_wells.csv",), moa=FIELD / "bbbc021_moa.csv")
    import_plates([FIELD / "bbbc021_profiles.csv.gz"], tmp_path / "data", tables)
    one = {"data": tmp_path / "data", "weights": tmp_path / "weights", "profile": "kaggle", "device": "cpu"}
    for fold in (0, 8, 30):
        moa.train(NAME, hold_out="compound", parts="each", seeds=1, fold=fold, **one)
    data, oof = load_dataset(tmp_path / "data", drugs=True), open_trained(NAME, tmp_path / "weights", whole=False).oof()
    treated = oof.index[data.treated[oof.index]]
    assert data.drugs[treated].nunique() == 3
    assert (oof.loc[treated].idxmax(axis=1) == data.scored.loc[treated].idxmax(axis=1)).mean() > 0.5
