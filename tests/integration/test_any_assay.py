"""A screen of an assay of its own, from the laboratory's table to predictions of a new plate and a report.

600 wells, 300 features in three compartments, 40 compounds at 5 doses, no nonscored targets: every recipe takes it. The
models are trained on profiles as csv; new plates come as csv and as AnnData.
"""

import numpy as np
import pandas as pd
import pytest

from moa.blending.blend import load_blend
from moa.data.assay_files import load_assay
from moa.data.dataset import load_dataset
from moa.data.stored_tables import read_table
from moa.environment import Folders
from moa.jobs.options import TrainOptions
from moa.jobs.train import train_models
from moa.metrics.ranking import column_areas
from moa.models.registry import recipe
from moa.weights.trained import open_trained
from support.assays import cell_painting, write_h5ad
from support.screens import SMALL

NAMES = list(SMALL)
NEW = 100


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Six plates to train on, and a seventh."""
    folder, screen = tmp_path_factory.mktemp("screen"), cell_painting(wells=600 + NEW, plates=7)
    screen.table.iloc[:600].to_csv(folder / "screen.csv.gz", index=False)
    screen.table.iloc[600:].drop(columns="Metadata_moa").to_csv(folder / "new.csv", index=False)
    new = screen.wells.iloc[600:].drop(columns="Metadata_moa").reset_index(drop=True)
    write_h5ad(folder / "new.h5ad", screen.values.iloc[600:].reset_index(drop=True), new, "csr")
    return folder


@pytest.fixture(scope="module")
def data(files):
    from typer.testing import CliRunner

    from moa.cli import app

    done = CliRunner().invoke(app, ["data", "import", str(files / "screen.csv.gz"), "--out", str(files / "data")])
    assert done.exit_code == 0, done.output
    return files / "data"


@pytest.fixture(scope="module")
def weights(files, data):
    for name in NAMES:
        where = Folders.find("demo", data, weights=files / "weights")
        train_models([recipe(name)], where, TrainOptions(settings=SMALL[name], device="cpu", parts=2))
    return files / "weights"


def test_the_folder_says_what_it_holds(data, moa_here):
    done = moa_here("data", "check", data)
    assert "100 Cells, 100 Cytoplasm, 100 Nuclei" in " ".join(done.stdout.split())
    assert load_assay(data).n_nonscored == 0


@pytest.mark.parametrize("name", NAMES)
def test_every_model_is_trained_on_it_with_whole_compounds_held_out(name, data, weights):
    trained = open_trained(name, weights)
    dataset = load_dataset(data, drugs=True)
    assert trained.schema == dataset.schema and trained.hold_out.label == "compound-2" and trained.blind
    assert [stage.targets for stage in trained.stages.values()] == ["scored"] * len(trained.stages)
    oof = trained.oof()
    treated = dataset.features.index[dataset.treated]
    assert set(treated) <= set(oof.index) and np.isfinite(oof.to_numpy()).all()
    seed = trained.last.seeds[0]
    for fold in range(2):
        rows = trained.store.load_oof(trained.last.name, seed, fold).index.intersection(treated)
        others = treated.difference(rows)
        assert not set(dataset.drugs[rows]) & set(dataset.drugs[others])


def test_the_simple_nn_learns_mechanisms_of_compounds_that_it_has_not_seen(data, weights):
    dataset, oof = load_dataset(data), open_trained("simple-nn-new-cv", weights).oof()
    assert column_areas(dataset.scored.loc[oof.index], oof).iloc[:, 0].mean() > 0.75


@pytest.mark.parametrize("name", NAMES)
def test_a_new_plate_is_predicted_from_the_laboratorys_file(name, files, weights, moa_here):
    out = files / f"out-{name}-csv"
    done = moa_here("predict", "--features", files / "new.csv", name, "--weights", weights, "--out", out)
    assert f"{NEW} samples: wrote" in " ".join(done.stdout.split())
    found = pd.read_csv(out / "probabilities.csv", index_col="sig_id")
    samples = pd.read_csv(out / "samples.csv", index_col="sig_id")
    control = samples["Metadata_broad_sample"].eq("DMSO").to_numpy()
    assert control.sum() == NEW // 10 and (found[control] == 0).all(axis=None) and (found[~control] > 0).all(axis=None)
    ranked = pd.read_csv(out / "ranked.csv", keep_default_na=False)
    first = ranked[ranked["rank"] == 1]
    assert len(first) == NEW - NEW // 10 and first["strongest_features"].str.count("Texture_Feature").eq(5).all()
    assert not ranked.loc[ranked["rank"] > 1, "strongest_features"].any()
    assert not list(out.glob(".*")), "nothing is left of the converted file"


@pytest.mark.parametrize("name", NAMES)
def test_a_new_plate_as_anndata_gives_the_same(name, files, weights, moa_here):
    """The same wells as .h5ad, whose numbers are float32."""
    tables = []
    for kind in ("csv", "h5ad"):
        out = files / f"out-{name}-{kind}"
        if not (out / "samples.csv").exists():  # the csv may have been predicted by the test before
            moa_here("predict", "--features", files / f"new.{kind}", name, "--weights", weights, "--out", out)
        samples = pd.read_csv(out / "samples.csv", index_col="sig_id")
        place = samples["Metadata_plate"].astype(str) + ":" + samples["Metadata_well"].astype(str)
        tables.append(pd.read_csv(out / "probabilities.csv", index_col="sig_id").set_axis(place))
    assert len(tables[0]) == NEW and (tables[1] > 0).any(axis=1).sum() == NEW - NEW // 10
    differences = (tables[0] - tables[1].loc[tables[0].index]).abs().to_numpy()
    assert np.median(differences) < 1e-3 and differences.mean() < 0.01


def test_predictions_blends_and_the_report(files, data, weights, moa_here):
    out, members = files / "predictions", ["simple-nn-new-cv", "two-heads", "deepinsight-resnest-v1"]
    common = ["--data", data, "--weights", weights]
    done = moa_here("predict", *members, *common, "--out", out)
    assert "has no test_features.csv, so only OOF predictions are written" in " ".join(done.stderr.split())
    assert read_table(out / "two-heads" / "oof.parquet").shape[1] == 8
    assert not (out / "two-heads" / "test.parquet").exists()
    search = ["blend", "search", *members[:2], *common, "--predictions", out, "--folds", "2"]
    moa_here(*search, "--out", files / "mine.yaml")
    found = {member.model for member in load_blend(files / "mine.yaml").members}
    assert found and found <= set(members[:2])
    moa_here("report", *common, "--predictions", out, "--out", files)
    page = (files / "report.html").read_text(encoding="utf-8")
    assert "Data of the assay data." in page and "Cells_Texture_Feature" in page
    assert "published (test)" not in page and "The winners printed" not in page


def test_weights_of_the_same_name_are_not_trained_on_with_other_folds(data, weights):
    from moa.errors import StoreError

    options = TrainOptions(settings=SMALL["two-heads"], device="cpu", parts=3)
    with pytest.raises(StoreError, match="made with other hold_out"):
        train_models([recipe("two-heads")], Folders.find("demo", data, weights=weights), options)
