"""One screen gives one folder, however its columns are called, whatever their units are and however its files lie."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from moa.data.feature_names import competition_features
from moa.errors import UserError
from moa.importing.import_plates import import_plates
from moa.importing.options import ImportOptions
from support.assays import write_gct, write_h5ad

HEADINGS = {
    "plate": [
        "Plate",
        "plate_id",
        "Plate No.",
        "PlateID",
        "Assay Plate Barcode",
        "Metadata_Plate",
        "plateNumber",
        "Plattennummer",
    ],
    "well": [
        "Well",
        "well_id",
        "WellPosition",
        "Metadata_Well",
        "Well Name",
        "WELL",
        "Vertiefung",
        "Puits",
        "Position",
    ],
    "compound": ["Compound", "Drug Name", "compound_name", "Metadata_compound", "Treatment", "Composé", "CompoundName"],
    "mechanism": [
        "MOA",
        "Mechanism of action",
        "mechanism",
        "Metadata_moa",
        "Mode of Action",
        "Wirkmechanismus",
        "Known MoA",
    ],
}
#: Headings of doses, and what a dose in µM is in their unit.
DOSES = {
    "Concentration (µM)": 1,
    "conc_um": 1,
    "Dose [uM]": 1,
    "Final conc. (nM)": 1000,
    "dose_nM": 1000,
    "Compound Concentration (microMolar)": 1,
    "Metadata_dose_pM": 1_000_000,
    "Dose, mM": 0.001,
    "Treatment dose in nM": 1000,
    "Konzentration (µmol/L)": 1,
}
#: Numbers that describe wells and are no features, and what they hold.
OTHERS = {"pH": 7.4, "viability_pct": 98.5, "assay_date": 20240105, "Replicate No": 1, "pubchem_cid": 2244, "MW": 180.2}
CORE = ["plate", "well", "compound", "dose", "treatment", "cp_type"]
ANY_FOLDER = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def screen():
    """Values and metadata of 40 wells on two plates, z-scores that float32 and text hold exactly."""
    random = np.random.default_rng(0)
    values = pd.DataFrame(np.round(random.normal(size=(40, 12)) * 64) / 64, columns=[f"emb_{n:02d}" for n in range(12)])
    number = np.arange(40) % 20
    treated = number >= 8
    known = pd.DataFrame(
        {
            "plate": np.where(np.arange(40) < 20, "P1", "P2"),
            "well": [f"{'AB'[n // 10]}{n % 10 + 1:02d}" for n in number],
            "compound": np.where(treated, np.char.add("compound ", ((number - 8) // 2).astype(str)), "DMSO"),
            "dose": np.where(treated, np.where(number % 2, 10.0, 1.0), 0.0),
            "mechanism": np.where(treated, np.where((number - 8) // 2 % 2, "HDAC inhibitor", "EGFR inhibitor"), None),
        }
    )
    return values, known


def imported(folder, files, **options):
    """The tables of the folder that is made of files, to the last digit, and what is known of the wells.

    The names of wells are left out: AnnData has its own.
    """
    result = import_plates(files, folder, ImportOptions(**options))
    wells = pd.read_csv(folder / "wells.csv")[CORE]
    tables = {"features.csv": (folder / "features.csv").read_text()}
    for name in ("train_features.csv", "train_targets_scored.csv", "train_drug.csv"):
        tables[name] = [line.partition(",")[2] for line in (folder / name).read_text().splitlines()]
    return tables, wells, result


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("layouts")
    values, known = screen()
    table = known.rename(columns={"dose": "dose_um"}).join(values)
    table.to_csv(folder / "plain.csv", index=False)
    return imported(folder / "out", [folder / "plain.csv"])[:2]


def write(folder, values, known, layout):
    """Files of a layout: what is imported, and the options."""
    whole = known.join(values)
    if layout in (",", ";", "\t"):
        whole.to_csv(folder / "a.csv", sep=layout, index=False)
    elif layout == "decimal commas":
        whole.to_csv(folder / "a.csv", sep=";", decimal=",", index=False, encoding="utf-8-sig")
    elif layout == "marked header":
        (folder / "a.csv").write_text("#" + whole.to_csv(index=False))
    elif layout == "numbered rows":
        whole.to_csv(folder / "a.csv")
    elif layout == "parquet":
        whole.to_parquet(folder / "a.csv")
    elif layout == "h5ad":
        numbers = known.select_dtypes("number").columns
        write_h5ad(folder / "a.csv", values, known.astype(dict.fromkeys(numbers, float)))
    elif layout == "object":
        return [SimpleNamespace(X=values.to_numpy(), obs=known, var=pd.DataFrame(index=values.columns))], {}
    elif layout == "plate map":
        known.iloc[:, :2].join(values).to_csv(folder / "a.csv", index=False)
        known.to_csv(folder / "map.csv", index=False)
        return [folder / "a.csv"], {"wells": (folder / "map.csv",)}
    elif layout == "names of rows":
        names = known.iloc[:, 0] + ":" + known.iloc[:, 1]
        values.set_axis(names).to_csv(folder / "a.csv")
        known.set_axis(names).to_csv(folder / "map.csv")
        return [folder / "a.csv"], {"wells": (folder / "map.csv",)}
    elif layout == "array":
        np.save(folder / "a.npy", values.to_numpy())
        known.to_csv(folder / "map.csv", index=False)
        return [folder / "a.npy", folder / "map.csv"], {}
    return [folder / "a.csv"], {}


LAYOUTS = [",", ";", "\t", "marked header", "numbered rows", "parquet", "h5ad", "object", "plate map", "names of rows"]
LAYOUTS += ["decimal commas"]


@given(
    headings=st.fixed_dictionaries({field: st.sampled_from(names) for field, names in HEADINGS.items()}),
    dose=st.sampled_from(list(DOSES)),
    layout=st.sampled_from(LAYOUTS),
    others=st.sets(st.sampled_from(list(OTHERS))),
    order=st.randoms(use_true_random=False),
)
@example({field: names[0] for field, names in HEADINGS.items()}, "Concentration (µM)", "names of rows", {"pH"}, None)
@example(
    {field: names[-2] for field, names in HEADINGS.items()}, "Konzentration (µmol/L)", "decimal commas", set(), None
)
@example({field: names[-1] for field, names in HEADINGS.items()}, "dose_nM", "object", set(OTHERS), None)
@ANY_FOLDER
def test_any_headings_units_and_layout_give_the_same_folder(
    tmp_path_factory, expected, headings, dose, layout, others, order
):
    folder = tmp_path_factory.mktemp("layout")
    values, known = screen()
    known["dose"] *= DOSES[dose]
    known = known.rename(columns={**headings, "dose": dose}).assign(**{name: OTHERS[name] for name in sorted(others)})
    columns = list(known)
    if order is not None and layout not in ("names of rows", "plate map", "h5ad"):
        order.shuffle(columns)
    files, options = write(folder, values, known[columns], layout)
    tables, wells, result = imported(folder / "out", files, **options)
    pd.testing.assert_frame_equal(wells, expected[1])
    assert tables == expected[0]
    roles = dict(result.mapping.all_columns())
    assert {role: column for column, each in roles.items() if (role := each.role) in HEADINGS}.keys() == HEADINGS.keys()
    assert roles[dose].role == "dose" and roles[dose].unit and not set(roles) & set(values)


def test_an_array_beside_a_table_of_its_rows(tmp_path, expected):
    values, known = screen()
    files, options = write(tmp_path, values, known.rename(columns={"dose": "dose_um"}), "array")
    tables, wells, result = imported(tmp_path / "out", files, **options)
    rows = [table["train_features.csv"][1:] for table in (tables, expected[0])]
    assert wells.equals(expected[1]) and rows[0] == rows[1]
    noted = "\n".join(result.notes.lines())
    assert "a.npy: its rows are those of map.csv, in the same order" in noted
    again = imported(tmp_path / "again", files[:1], wells=(tmp_path / "map.csv",))[0]
    assert again == tables
    known.iloc[:39].to_csv(tmp_path / "map.csv", index=False)
    with pytest.raises(UserError, match=r"a.npy: an array of 40 rows without names, and no table has as many rows"):
        import_plates(files, tmp_path / "refused")


@pytest.mark.parametrize("kind", ["csv", "csv without a heading", "gct"])
def test_genes_as_rows_are_turned(tmp_path, kind):
    genes = competition_features().query("group == 'genes'")["symbol"].tolist()[:40]
    random = np.random.default_rng(1)
    names = [f"P1_{'AB'[n // 8]}{n % 8 + 1:02d}" for n in range(16)]
    values = pd.DataFrame(np.round(random.normal(size=(16, 40)), 3), names, genes)
    if kind == "gct":
        known = pd.DataFrame({"pert_iname": ["DMSO"] * 8 + ["x"] * 8}, index=names)
        write_gct(tmp_path / "plate.txt", values.T, pd.DataFrame(index=genes), known)
    else:
        values.T.rename_axis("gene" if kind == "csv" else None).to_csv(tmp_path / "plate.txt")
    result = import_plates([tmp_path / "plate.txt"], tmp_path / "out")
    rows = pd.read_csv(tmp_path / "out" / "test_features.csv", index_col="sig_id")
    assert rows.shape[0] == 16 and list(rows[genes].to_numpy()[3]) == pytest.approx(values.iloc[3].tolist())
    assert "so it is turned" in "\n".join(result.notes.lines())
    wells = pd.read_csv(tmp_path / "out" / "wells.csv")
    assert wells["well"].tolist()[:2] == ["A01", "A02"] and set(wells["plate"]) == {"P1"}


def test_two_files_of_one_name_are_two_plates(tmp_path):
    values, known = screen()
    table = known.join(values).drop(columns="plate")
    for name, part in (("run1", table.iloc[:20]), ("run2", table.iloc[20:])):
        (tmp_path / name).mkdir()
        part.to_csv(tmp_path / name / "profiles.csv", index=False)
    result = import_plates([tmp_path / name / "profiles.csv" for name in ("run1", "run2")], tmp_path / "out")
    assert dict(result.counts)["plates"] == "2"
    wells = pd.read_csv(tmp_path / "out" / "wells.csv")
    assert wells["plate"].unique().tolist() == ["run1/profiles", "run2/profiles"] and wells["sig_id"].is_unique


def test_the_sites_of_a_well_are_averaged_if_asked(tmp_path):
    values, known = screen()
    table = pd.concat([known.assign(site=site).join(values + site) for site in (-1, 1)])
    table.to_csv(tmp_path / "sites.csv", index=False)
    with pytest.raises(UserError, match=r"sites.csv: plate P1, well A01 occurs 2 times .*--sites average"):
        import_plates([tmp_path / "sites.csv"], tmp_path / "out")
    result = import_plates(
        [tmp_path / "sites.csv"], tmp_path / "out", ImportOptions(sites="average", level="normalised")
    )
    rows = pd.read_csv(tmp_path / "out" / "train_features.csv")
    np.testing.assert_allclose(rows[list(values)], values, atol=1e-6)
    assert "80 rows are sites of 40 wells" in "\n".join(result.notes.lines())


def test_plates_that_no_heading_names_are_neither_one_plate_nor_sites(tmp_path):
    values, known = screen()
    known.rename(columns={"plate": "Levy", "well": "Kuoppa"}).join(values).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(UserError, match="well A01 occurs 2 times .*; name the column of plates with --plate, average"):
        import_plates([tmp_path / "a.csv"], tmp_path / "out")
    moved = known["compound"].where(known["plate"] == "P1", known["compound"].to_numpy()[::-1])
    known.assign(compound=moved).drop(columns="plate").join(values).to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(
        UserError, match="differ in 'compound' .compound., so they are no sites of one well; .* --plate"
    ):
        import_plates([tmp_path / "b.csv"], tmp_path / "out", ImportOptions(sites="average"))
    result = import_plates([tmp_path / "a.csv"], tmp_path / "out", ImportOptions(plate="Levy"))
    assert result.mapping.columns["Kuoppa"].role == "well" and dict(result.counts)["plates"] == "2"


def test_a_plate_map_as_a_grid(tmp_path, expected):
    values, known = screen()
    known.loc[known["plate"] == "P2", "compound"] = known.loc[known["plate"] == "P1", "compound"].to_numpy()
    known[["plate", "well"]].join(values).to_csv(tmp_path / "a.csv", index=False)
    one = known[known["plate"] == "P1"]
    for field, corner in (("compound", ""), ("dose", "dose_um"), ("mechanism", "moa")):
        grid = pd.DataFrame(one[field].to_numpy().reshape(2, 10), list("AB"), range(1, 11)).rename_axis(corner)
        grid.to_csv(tmp_path / f"{field}.csv")
    maps = tuple(tmp_path / f"{field}.csv" for field in ("compound", "dose", "mechanism"))
    tables, wells, result = imported(tmp_path / "out", [tmp_path / "a.csv"], wells=maps)
    assert wells.equals(expected[1]) and tables == expected[0]
    assert "a plate map as a grid, of the field 'compound'" in "\n".join(result.notes.lines())
    text = (tmp_path / "dose.csv").read_text()
    (tmp_path / "dose.csv").write_text(text.replace("dose_um", "", 1))
    with pytest.raises(UserError, match="dose.csv: a grid of numbers; write what they are, such as dose, in its first"):
        imported(tmp_path / "no", [tmp_path / "a.csv"], wells=maps)
    with pytest.raises(UserError, match="dose.csv: looks like the grid of a plate"):
        imported(tmp_path / "no", [tmp_path / "dose.csv"])


@pytest.mark.parametrize(
    ("field", "names"),
    [("dose", ("dose_uM", "dose_nM")), ("compound", ("Compound", "compound")), ("plate", ("Plate", "Plate No."))],
)
def test_files_that_call_a_field_differently_are_refused(tmp_path, field, names):
    values, known = screen()
    for place, name in enumerate(names):
        part = known.rename(columns={field: name}).join(values).iloc[20 * place : 20 * place + 20]
        part.to_csv(tmp_path / f"{place}.csv", index=False)
    with pytest.raises(UserError, match=f"1.csv: its {field} is in column '{names[1]}', that of 0.csv in '{names[0]}'"):
        import_plates([tmp_path / "0.csv", tmp_path / "1.csv"], tmp_path / "out")
