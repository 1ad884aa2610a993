"""A laboratory's file becomes rows of a trained model: genes by identity, conditions translated, nothing padded."""

import numpy as np
import pandas as pd
import pytest

from moa.data.assay import COMPETITION, Assay, Condition, Control, FeatureGroup
from moa.data.feature_names import competition_features
from moa.data.parts import is_features_file
from moa.errors import UserError
from moa.importing.for_model import read_for_model
from moa.importing.identities import match_features
from moa.importing.options import ImportOptions
from support.assays import cell_painting, l1000_plate, write_gct

GENES_ALONE = COMPETITION.model_copy(update={"groups": COMPETITION.groups[:1]})


@pytest.fixture(scope="module")
def genes():
    """The genes of the competition and two others as an L1000 file has them, in another order."""
    table = competition_features()
    table = table[table["group"] == "genes"]
    rows = pd.DataFrame(
        {
            "pr_gene_id": table["entrez_id"].to_numpy(),
            "pr_gene_symbol": table["former_symbol"].where(table["former_symbol"] != "", table["symbol"]).to_numpy(),
        },
        index=table["probe_id"].to_numpy(),
    )
    rows.loc["0_at"] = ["999999", "OTHER1"]
    rows.loc["1_at"] = ["999998", "OTHER2"]
    return rows.sample(frac=1, random_state=0)


@pytest.fixture(scope="module")
def plate(genes, tmp_path_factory):
    screen = l1000_plate([{"id": probe} for probe in genes.index])
    return write_gct(tmp_path_factory.mktemp("plate") / "plate.gct", screen.values, screen.wells, genes), screen


def wanted():
    return competition_features().query("group == 'genes'")


@pytest.mark.parametrize(
    ("fields", "index", "how"),
    [
        (["pr_gene_id"], "number", {"Entrez id": 772}),
        (["pr_gene_symbol"], "number", {"symbol": 738, "former symbol": 34}),
        ([], "probe", {"Entrez id": 772}),
        ([], "pr_gene_id", {"Entrez id": 772}),
        ([], "pr_gene_symbol", {"Entrez id": 738, "former symbol": 34}),
        (["pr_gene_id", "pr_gene_symbol"], "probe", {"Entrez id": 772}),
    ],
)
def test_genes_are_found_by_any_of_their_ids(genes, fields, index, how):
    from moa.importing.identities import identify

    names = {"number": [f"row {n}" for n in range(len(genes))], "probe": genes.index}.get(index)
    found = genes[fields].set_axis(genes[index] if names is None else names, axis=0)
    matched = match_features(wanted(), identify(found, ImportOptions())[0])
    assert not matched.missing and len(matched.left_over) == 2
    assert matched.by == how
    # The right gene, not any gene.
    entrez = genes["pr_gene_id"].set_axis(found.index)
    assert [entrez[place] for place in matched.columns.values()] == wanted()["entrez_id"].tolist()


def test_of_two_rows_of_a_gene_the_landmark_is_taken():
    found = pd.DataFrame(
        {"entrez_id": ["16", "16"], "symbol": "", "probe_id": "", "pr_is_lmark": ["0", "1"]}, index=["a", "b"]
    )
    assert match_features(wanted(), found).columns == {"g-0": "b"}


def test_cell_lines_are_found_by_name():
    cells = competition_features().query("group == 'cells'")
    found = pd.DataFrame({"entrez_id": "", "symbol": "", "probe_id": ""}, index=["rko", "HEYA8_OVARY", "other"])
    assert match_features(cells, found).columns == {"c-0": "HEYA8_OVARY", "c-1": "rko"}


def test_rows_of_the_competitions_model(plate):
    path, screen = plate
    rows = read_for_model([path], GENES_ALONE, competition_features())
    assert list(rows.features) == list(GENES_ALONE.features) and len(rows.features) == 48
    assert rows.features["cp_type"].tolist() == ["ctl_vehicle"] * 12 + ["trt_cp"] * 36
    assert set(rows.features["cp_time"]) == {24} and rows.features["cp_time"].dtype == np.int64
    treated = rows.features["cp_type"] == "trt_cp"
    high = rows.wells.loc[treated, "dose"] >= 0.63
    assert ((rows.features.loc[treated, "cp_dose"] == "D1") == high).all()
    values = screen.values
    vehicle = values.iloc[:12]
    centre = vehicle.median()
    z = (values - centre) / (1.4826 * (vehicle - centre).abs().median().clip(lower=0.1))
    gene = rows.matched.columns["g-5"]
    np.testing.assert_allclose(rows.features["g-5"], z[gene].clip(-10, 10), atol=1e-6)
    noted = "\n".join(rows.notes.lines())
    assert "772 of the model's 772 features found, 772 by Entrez id" in noted
    assert "2 features that the model does not take: 1_at, 0_at" in noted or "0_at, 1_at" in noted
    assert "'D1' (high) and 'D2' (low): 18 treated wells from 0.632 µM up are 'D1'" in noted


def test_a_group_that_the_file_lacks_is_named_with_the_way_out(plate):
    with pytest.raises(UserError, match=r"holds nothing of the group 'cells' \(100 features\).*--groups genes$"):
        read_for_model([plate[0]], COMPETITION, competition_features())


def test_nothing_is_padded_unless_the_value_is_stated(plate, genes, tmp_path):
    _, screen = plate
    few = screen.values.drop(columns=list(genes.index[genes["pr_gene_id"].isin(["16", "23"])]))
    path = write_gct(tmp_path / "few.gct", few, screen.wells, genes.loc[few.columns])
    with pytest.raises(UserError, match=r"lacks 2 of the model's 772 features \(g-0, g-1\); .*--fill-missing 0"):
        read_for_model([path], GENES_ALONE, competition_features())
    rows = read_for_model([path], GENES_ALONE, competition_features(), fill_absent=0.0)
    assert (rows.features[["g-0", "g-1"]] == 0).all(axis=None)
    assert "2 features that few.gct lacks set to 0: g-0, g-1" in "\n".join(rows.notes.lines())


def test_a_file_of_another_assay_is_refused(tmp_path):
    screen = cell_painting(wells=24, features=9, compounds=4)
    screen.table.to_csv(tmp_path / "screen.csv", index=False)
    with pytest.raises(UserError, match="holds none of the model's 772 features; is it of another assay"):
        read_for_model([tmp_path / "screen.csv"], GENES_ALONE, competition_features())


def painting(conditions, names):
    return Assay(
        name="painting",
        groups=(FeatureGroup(name="all", columns=tuple(names)),),
        conditions=conditions,
        control=Control(column="cp_type", values=("ctl_vehicle",)),
        value_range=(-1, 1),
    )


def test_rows_of_another_assay(tmp_path):
    screen = cell_painting(wells=60, features=9, compounds=4, plates=1, raw=False)
    table = screen.table.assign(Metadata_time=["6 h", "30 h"] * 30)
    table.sample(frac=1, axis=1, random_state=0).to_csv(tmp_path / "screen.csv", index=False)
    conditions = (
        Condition(name="dose", column="cp_dose", numeric="log10"),
        Condition(name="time", column="cp_time", levels=("24", "48")),
    )
    rows = read_for_model([tmp_path / "screen.csv"], painting(conditions, screen.values), None)
    assert rows.features["cp_dose"].isna().tolist() == [number % 10 == 0 for number in range(60)]
    assert set(rows.features["cp_time"]) == {"24"}
    noted = "\n".join(rows.notes.lines())
    assert "the nearest that it knows: 6 as 24, 30 as 24" in noted and "outside -1 to 1, the range" in noted


def test_wells_without_a_condition_are_dropped_and_named(tmp_path):
    screen = cell_painting(wells=60, features=9, compounds=4, plates=1, raw=False)
    table = screen.table
    table.loc[5, "Metadata_mmoles_per_liter"] = np.nan
    table.to_csv(tmp_path / "screen.csv", index=False)
    assay = painting((Condition(name="dose", column="cp_dose", numeric="log10"),), screen.values)
    rows = read_for_model([tmp_path / "screen.csv"], assay, None)
    assert len(rows.features) == 59
    assert "1 well without a dose, which the model takes: Week1_27481:A06" in "\n".join(rows.notes.lines())


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        (
            (Condition(name="time", column="t", levels=("24", "48")),),
            "time: the model takes one of 24, 48, but the files",
        ),
        ((Condition(name="dose", column="d", levels=("a", "b", "c")),), "one of a, b, c, but the files hold numbers"),
        (
            (Condition(name="cell", column="Metadata_pert_type", levels=("x",)),),
            "the model knows x, but the files hold",
        ),
    ],
)
def test_conditions_that_the_file_cannot_tell(tmp_path, conditions, message):
    screen = cell_painting(wells=60, features=9, compounds=4, plates=1, raw=False)
    screen.table.to_csv(tmp_path / "screen.csv", index=False)
    with pytest.raises(UserError, match=message):
        read_for_model([tmp_path / "screen.csv"], painting(conditions, screen.values), None)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("sig_id,cp_type,g-0", True),
        ("g-0\tsig_id\tc-0", True),  # with another separator: reading it says so
        ("cp_type,cp_time,cp_dose,g-0", True),  # lost its ids: reading it says so
        ('\ufeff"sig_id";"g-0"', True),
        ("Metadata_Plate,Metadata_Well,g-0", False),
        ("#1.3", False),
    ],
)
def test_which_files_are_a_laboratorys(tmp_path, plate, header, expected):
    path = tmp_path / "file"
    path.write_text(f"{header}\n1\n", encoding="utf-8")
    assert is_features_file(path, COMPETITION) == expected
    assert not is_features_file(plate[0], COMPETITION)
    pd.DataFrame({"sig_id": ["a"], "x": [1]}).to_parquet(path)
    assert is_features_file(path, COMPETITION)
    pd.DataFrame({"x": [1]}).to_parquet(path)
    assert not is_features_file(path, COMPETITION)
