"""Real plates of the field go in with one command each; the values are checked against files that hold the answer."""

import json
import os
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from moa.data.assay import COMPETITION
from moa.data.assay_files import load_assay
from moa.data.feature_names import competition_features
from moa.data.schema import SIG_ID, TEST_FEATURES, TRAIN_DRUG, TRAIN_FEATURES, TRAIN_SCORED, WELLS
from moa.importing.folder import RECORD, SUMMARY
from moa.importing.for_model import read_for_model
from moa.importing.import_plates import import_plates, plan_import
from moa.importing.options import ImportOptions

pytestmark = pytest.mark.skipif("MOA_FIELD_DATA" not in os.environ, reason="needs real plates of the field")
FIELD = Path(os.environ.get("MOA_FIELD_DATA", "."))
GCT, GCTX = (FIELD / f"LJP005_A375_24H_X1_B19_level3.{kind}" for kind in ("gct.gz", "gctx"))


def table(folder, name):
    return pd.read_csv(folder / name, index_col=SIG_ID, dtype={SIG_ID: str})


@pytest.fixture(scope="module")
def l1000(tmp_path_factory):
    """The plate from its GCT file and from its GCTX file, with mechanisms."""
    folders = {}
    for path in (GCT, GCTX):
        folders[path] = tmp_path_factory.mktemp("l1000") / "plate"
        import_plates([path], folders[path], ImportOptions(moa=FIELD / "ljp005_moa.tsv"))
    return folders[GCT], folders[GCTX]


def test_gct_and_gctx_give_the_same_wells(l1000):
    text, binary = l1000
    assert load_assay(text).model_copy(update={"name": "x"}) == load_assay(binary).model_copy(update={"name": "x"})
    for name in (TRAIN_SCORED, TRAIN_DRUG, "features.csv"):
        assert (text / name).read_bytes() == (binary / name).read_bytes()
    wells = [table(folder, WELLS).drop(columns="Metadata_file") for folder in l1000]
    # The constant of the GCTX file was added to its quality fields too, and its z-scoring noted in its provenance.
    others = {"Metadata_qc_slope", "Metadata_qc_iqr", "Metadata_provenance_code"}
    shared = [column for column in wells[0] if column in wells[1] and column not in others]
    assert len(shared) == 39
    pd.testing.assert_frame_equal(wells[0][shared], wells[1][shared])
    for name in (TRAIN_FEATURES, TEST_FEATURES):
        features = [table(folder, name) for folder in l1000]
        assert list(features[0].index) == list(features[1].index) and list(features[0]) == list(features[1])
        pd.testing.assert_frame_equal(features[0].iloc[:, :2], features[1].iloc[:, :2])


def test_plate_z_scores_equal_those_of_the_gctx_up_to_its_constant(tmp_path):
    import_plates([GCT], tmp_path / "plate", ImportOptions(against="plate", clip=None, unannotated="test"))
    ours = table(tmp_path / "plate", TEST_FEATURES)
    genes = load_assay(tmp_path / "plate").values
    with h5py.File(GCTX) as file:
        theirs = pd.DataFrame(
            file["0/DATA/0/matrix"][:],
            index=[each.decode() for each in file["0/META/COL/id"][:]],
            columns=[each.decode() for each in file["0/META/ROW/id"][:]],
        )
    difference = theirs.loc[ours.index, list(genes)].to_numpy(np.float64) - ours[list(genes)].to_numpy()
    assert difference.shape == (377, 978)
    constant = np.median(difference)
    assert constant == pytest.approx(0.8596, abs=1e-3) and np.abs(difference - constant).max() < 1e-3


def test_what_the_plate_holds(l1000):
    folder, _ = l1000
    assay, train, test = load_assay(folder), table(folder, TRAIN_FEATURES), table(folder, TEST_FEATURES)
    labels, drugs, wells = table(folder, TRAIN_SCORED), table(folder, TRAIN_DRUG)["drug_id"], table(folder, WELLS)
    # 26 DMSO wells, 249 wells of the 42 annotated compounds (positive controls among them), 102 of the others.
    assert train["cp_type"].value_counts().to_dict() == {"trt_cp": 238, "ctl_vehicle": 26, "trt_poscon": 11}
    assert len(test) == 102 and set(test["cp_type"]) == {"trt_cp", "trt_poscon"}
    treated = train["cp_type"] != "ctl_vehicle"
    assert drugs[treated].nunique() == 42 and labels.shape == (275, 14) == (len(drugs), len(assay.targets))
    assert not labels[~treated].to_numpy().any() and labels[treated].to_numpy().mean() == pytest.approx(0.069, abs=5e-4)
    assert all(drugs[labels[target] == 1].nunique() >= 2 for target in labels)
    assert [condition.numeric for condition in assay.conditions] == ["log10"]  # one time: no condition
    assert sorted(train["cp_dose"].dropna().unique()) == [0.04, 0.12, 0.37, 1.11, 3.33, 10]
    assert train["cp_dose"].isna().equals(~treated)
    assert wells.loc["LJP005_A375_24H_X1_B19:A07", ["compound", "treatment", "plate"]].tolist() == [
        "CP-724714",
        "CP-724714 @ 10 µM",
        "LJP005_A375_24H_X1_B19",
    ]
    features = pd.read_csv(folder / "features.csv", dtype=str).set_index("feature")
    assert features.loc["200814_at", ["group", "entrez_id", "symbol"]].tolist() == ["genes", "5720", "PSME1"]
    assert np.abs(train[list(assay.values)].to_numpy()).max() == 10 and assay.value_range == (-10, 10)
    notes = json.loads((folder / RECORD).read_text())["notes"]
    assert any(len(note["items"]) == 17 and "without a known mechanism" in note["text"] for note in notes)
    assert "23 positive controls count as treated wells" in (folder / SUMMARY).read_text()


@pytest.mark.parametrize("path", [GCT, GCTX, FIELD / "LJP005_A375_24H_X1_B19_level3.gct.gz"])
def test_all_genes_of_the_competition_are_found_by_entrez_id(path):
    assay = COMPETITION.model_copy(update={"groups": COMPETITION.groups[:1]})
    rows = read_for_model([path], assay, competition_features())
    assert rows.matched.by == {"Entrez id": 772} and rows.features.shape == (377, 775)
    assert len(rows.matched.left_over) == 206


@pytest.fixture(scope="module")
def bbbc021(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bbbc021") / "screen"
    tables = ImportOptions(wells=(FIELD / "bbbc021_wells.csv",), moa=FIELD / "bbbc021_moa.csv")
    result = import_plates([FIELD / "bbbc021_profiles.csv.gz"], folder, tables)
    return folder, result


def test_bbbc021_from_three_tables(bbbc021):
    folder, result = bbbc021
    train, labels, wells = (table(folder, name) for name in (TRAIN_FEATURES, TRAIN_SCORED, WELLS))
    assert not (folder / TEST_FEATURES).exists()
    assert train["cp_type"].value_counts().to_dict() == {"ctl_vehicle": 330, "trt_cp": 302}
    treated = wells[wells["cp_type"] == "trt_cp"]
    assert treated["treatment"].nunique() == 103 and treated["compound"].nunique() == 38
    assert labels.shape[1] == 12 and (labels.loc[treated.index].sum(axis=1) == 1).all()
    assert not labels.loc[wells["cp_type"] == "ctl_vehicle"].to_numpy().any() and "DMSO" not in labels
    weeks = wells["week"].groupby(wells["plate"]).nunique()
    assert (weeks == 1).all() and wells["week"].nunique() == 10
    noted = "\n".join(result.notes.lines())
    assert "by compound and dose ('compound', 'concentration'): 38 of 38 compounds found" in noted
    assert "2,668 rows of it are of no well of the files" in noted and "week: Week10" in noted
    assay = load_assay(folder)
    assert [group.name for group in assay.groups] == ["Cells", "Cytoplasm", "Nuclei"]


def test_bbbc021_is_standardised_on_each_plates_controls(bbbc021):
    folder, _ = bbbc021
    raw = pd.read_csv(FIELD / "bbbc021_profiles.csv.gz")
    raw.index = raw["Image_Metadata_Plate"] + ":" + raw["Image_Metadata_Well"]
    wells, train = table(folder, WELLS), table(folder, TRAIN_FEATURES)
    feature = "Nuclei_AreaShape_Area"
    for plate, part in list(wells.groupby("plate"))[:5]:
        controls = raw.loc[part.index[part["cp_type"] == "ctl_vehicle"], feature]
        expected = (raw.loc[part.index, feature] - controls.mean()) / controls.std(ddof=0)
        np.testing.assert_allclose(train.loc[part.index, feature], expected, rtol=1e-4, err_msg=str(plate))


def test_one_nearest_neighbour_on_bbbc021_is_what_was_measured_on_it(bbbc021):
    """Cosine 1-nearest-neighbour, all wells of the compound left out: 76.7 % of 103 treatments."""
    folder, _ = bbbc021
    train, labels, wells = (table(folder, name) for name in (TRAIN_FEATURES, TRAIN_SCORED, WELLS))
    treated = wells.index[wells["cp_type"] == "trt_cp"]
    values = train.loc[treated, list(load_assay(folder).values)]
    groups = wells.loc[treated]
    profiles = values.groupby(groups["treatment"]).median()
    first = groups.drop_duplicates("treatment").set_index("treatment").loc[profiles.index]
    mechanism = labels.loc[treated].idxmax(axis=1).groupby(groups["treatment"]).first().loc[profiles.index]
    unit = profiles.to_numpy() / np.linalg.norm(profiles.to_numpy(), axis=1, keepdims=True)
    similarity = unit @ unit.T
    same = first["compound"].to_numpy()[:, None] == first["compound"].to_numpy()[None, :]
    nearest = np.where(same, -2, similarity).argmax(axis=1)
    right = (mechanism.to_numpy()[nearest] == mechanism.to_numpy()).mean()
    assert right == pytest.approx(0.767, abs=0.015)


def test_bbbc021_as_gct(tmp_path):
    result = import_plates([FIELD / "bbbc021_selected.gct.gz"], tmp_path / "screen")
    labels, wells = table(tmp_path / "screen", TRAIN_SCORED), table(tmp_path / "screen", WELLS)
    assert labels.shape == (632, 12) and wells["week"].nunique() == 10
    assert wells.loc[wells["cp_type"] == "trt_cp", "treatment"].nunique() == 103
    noted = "\n".join(result.notes.lines())
    # Of 189 features five say where cells lie and which nucleus is theirs.
    assert "normalised already" in noted and len(load_assay(tmp_path / "screen").values) == 184
    compartments = ("Cells_*", "Cytoplasm_*", "Nuclei_*")
    named = plan_import([FIELD / "bbbc021_selected.gct.gz"], ImportOptions(features=compartments))
    assert named.mapping.features[0].count == 189 and not named.mapping.columns_of("bookkeeping")


def test_the_cell_painting_plate_needs_no_option(tmp_path):
    result = import_plates([FIELD / "cellpainting_SQ00015054.csv.gz"], tmp_path / "plate")
    folder, assay = tmp_path / "plate", load_assay(tmp_path / "plate")
    raw = pd.read_csv(FIELD / "cellpainting_SQ00015054.csv.gz")
    train, test, wells = (table(folder, name) for name in (TRAIN_FEATURES, TEST_FEATURES, WELLS))
    assert {group.name: len(group.columns) for group in assay.groups} == {"Cells": 152, "Cytoplasm": 135, "Nuclei": 162}
    assert (train["cp_type"] == "ctl_vehicle").sum() == 24 and len(test) == 18 and len(train) + len(test) == 384
    # Already normalised, so left as they are.
    both = pd.concat([train, test])
    raw.index = raw["Metadata_Plate"] + ":" + raw["Metadata_Well"]
    np.testing.assert_allclose(both[list(assay.values)], raw.loc[both.index, list(assay.values)], rtol=1e-6)
    assert wells["compound"].nunique() == 59 and len(assay.targets) == 8
    # Both columns that differ in case alone are kept.
    assert {"Metadata_plate_map_name", "Metadata_Plate_Map_Name"} <= set(wells)
    noted = "\n".join(result.notes.lines(100))
    assert "normalised already" in noted
    assert "48 targets with fewer than 2 compounds" in noted
    assert len(sorted(train["cp_dose"].dropna().unique())) == 13


def test_three_files_of_one_screen(tmp_path):
    """84 plates of a Cell Painting screen whose metadata has no mark, in columns as ISA-Tab names them."""
    files = sorted((FIELD / "injury").glob("fs_*.csv.gz"))
    options = ImportOptions(mechanism="injury_type", level="normalised")
    result = import_plates(files, tmp_path / "screen", options)
    mapping, wells = result.mapping, table(tmp_path / "screen", WELLS)
    assert wells["plate"].nunique() == 84 and len(wells) == 3198  # one well holds no compound
    assert sum(family.count for family in mapping.features) == 348 and len(mapping.columns_of("bookkeeping")) == 4
    assert mapping.unit("dose") == "micromolar" and wells["dose"].nunique() == 9
    assert mapping.column("time") == "Experimental Condition [Treatment time (h)]"
    assert mapping.column("cell_line") == "Characteristics [Cell Line]"
    assert (wells["cp_type"] == "ctl_vehicle").sum() == 1447 and load_assay(tmp_path / "screen").targets is not None
    unknown = [name for name, column in mapping.columns.items() if column.role in ("unknown", "count")]
    assert {"Mahalanobis distance", "Relative well cellcount"} <= set(unknown)


def test_compounds_as_rows_and_cell_lines_as_columns(tmp_path):
    activity, compounds = (
        FIELD / "nci60" / name for name in ("drug_activity_zscore_for_1075drugs.csv", "drug_1075_public_v2_4_2.csv")
    )
    result = import_plates([activity], tmp_path / "screen", ImportOptions(moa=compounds, most_missing=0.5))
    assert [(family.pattern, family.count) for family in result.mapping.features] == [("*:*", 60)]
    labels, drugs = table(tmp_path / "screen", TRAIN_SCORED), table(tmp_path / "screen", TRAIN_DRUG)["drug_id"]
    assert result.mapping.column("compound") == "nsc" and drugs.is_unique
    known = pd.read_csv(compounds, dtype=str).set_index("nsc")["mechanism"]
    assert len(labels) == known[known.notna()].index.isin(pd.read_csv(activity, dtype=str)["nsc"]).sum()
    target = labels.columns[labels.sum().argmax()]
    assert known[drugs[labels[target] == 1].astype(str)].str.contains(target, regex=False).all()


def test_embeddings_beside_the_table_of_their_rows(tmp_path):
    files = [FIELD / "jump_dino" / name for name in ("compound_embeddings.npy", "compounds.parquet")]
    options = ImportOptions(mechanism="dominant_moa", level="normalised", name="screen")
    import_plates(files, tmp_path / "a", options)
    import_plates(files[:1], tmp_path / "b", options.model_copy(update={"wells": (files[1],)}))
    for name in (TRAIN_FEATURES, TRAIN_SCORED, TRAIN_DRUG):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    features, wells = table(tmp_path / "a", TRAIN_FEATURES), table(tmp_path / "a", WELLS)
    np.testing.assert_allclose(features.to_numpy(), np.load(files[0]), rtol=1e-6)
    assert wells["compound"].tolist()[:2] == ["gabapentin-enacarbil", "amlodipine"]
