"""Compounds are one by ids where a column holds some, and by names however spelt; the rule is in the mapping."""

import pandas as pd
import pytest
import yaml

from moa.data.compounds import compound_key
from moa.data.dataset import load_dataset
from moa.data.holdout import HoldOut
from moa.data.schema import TRAIN_DRUG
from moa.errors import UserError
from moa.importing.compounds import note_names
from moa.importing.design import design
from moa.importing.import_plates import import_plates
from moa.importing.notes import Notes
from moa.jobs.fitting import refuse_row_folds
from support.assays import cell_painting
from support.invoking import invoke
from support.plates_in_memory import designed, mapped, plate

KEYS = ["RCINICONZNJXQF-MZXODVADSA-N", "WAEXFXRVDQXREF-UHFFFAOYSA-N", "AOJJSUZBOXZQNB-TZSSRYMLSA-N"]


def test_structures_are_preferred_and_names_complete_them():
    notes = Notes()
    names = ["DMSO", "taxol", "Paclitaxel", "paclitaxel", "vorinostat"]
    profiles = plate(drug=names, structure=[None, KEYS[0], KEYS[0], None, KEYS[1]], other=["x"] * 5)
    _, found = designed(profiles, notes)
    assert found.table["compound"].tolist() == ["DMSO", "Paclitaxel", "Paclitaxel", "Paclitaxel", "vorinostat"]
    assert mapped(profiles).compounds.ids == "structure"
    lines = "\n".join(notes.lines())
    assert "compounds are one if their InChIKey ('structure') or their name ('drug') is the same" in lines
    assert "names with the same 'structure' are one compound; if not, correct it there: Paclitaxel = " in lines


def test_salts_are_named_and_united_only_where_the_mapping_says_so():
    names = ["drug A", "Drug-A hydrochloride", "B", "B", "DMSO", "DMSO"]
    profiles, notes = plate(compound=names), Notes()
    mapping = mapped(profiles, notes)
    assert mapping.compounds.perhaps_same == (("Drug-A hydrochloride", "drug A"),)
    _, found = design(profiles, mapping, notes)
    assert found.table["compound"].nunique() == 4
    assert "salt" not in "\n".join(notes.lines()), "plates to predict are not imported again"
    note_names(mapping.compounds, profiles.wells, notes)
    assert "in a salt or hydrate alone" in notes.lines()[-1]
    assert notes.lines()[-1].endswith("--mapping DIR/mapping.yaml): Drug-A hydrochloride / drug A")
    same = mapping.with_(compounds=mapping.compounds.model_copy(update={"same": (("drug-a", "drug A HYDROCHLORIDE"),)}))
    notes = Notes()
    _, found = design(profiles, same, notes)
    assert found.table["compound"].tolist()[:2] == ["drug-a", "drug-a"]


def test_what_is_printed_of_salts_unites_them(tmp_path):
    """The note is followed to the letter: groups are moved in the folder's mapping, the same command is run with it."""
    screen = cell_painting(wells=120, features=9, compounds=8, mechanisms=2, raw=False)
    first, second, third, fourth, *_ = screen.mechanisms
    names = {first: "imatinib", third: "imatinib mesylate", second: "doxorubicin HCl", fourth: "doxorubicin"}
    (tmp_path / "settings.yaml").write_text("settings: {least_compounds: 1}")
    table = screen.table.replace({"Metadata_broad_sample": names})
    table.drop(columns=["Metadata_moa", "Metadata_broad_sample"]).to_csv(tmp_path / "plates.csv", index=False)
    wells = table[["Metadata_Plate", "Metadata_Well", "Metadata_broad_sample"]]
    wells.set_axis(["plate", "well", "drug"], axis=1).to_csv(tmp_path / "map.csv", index=False)
    moa = pd.Series({names.get(name, name): moa for name, moa in screen.mechanisms.items()}, name="moa")
    moa.to_csv(tmp_path / "moa.csv", index_label="name")
    out, mapping = tmp_path / "data", tmp_path / "data" / "mapping.yaml"
    tables = ["--wells", tmp_path / "map.csv", "--moa", tmp_path / "moa.csv"]
    options = ["--compound", "drug", "--control", "DMSO", "--out", out]
    command = ["data", "import", tmp_path / "plates.csv", *tables, *options, "--mapping"]
    said = invoke(*command, tmp_path / "settings.yaml")
    assert "--mapping DIR/mapping.yaml): doxorubicin / doxorubicin HCl, imatinib / imatinib mesylate" in said
    plain = yaml.safe_load(mapping.read_text())
    one, other = plain["compounds"].pop("perhaps_same")
    plain["compounds"] |= {"same": [other], "perhaps_same": [one]}
    mapping.write_text(yaml.safe_dump(plain))
    said = invoke(*command, mapping)
    assert "--mapping DIR/mapping.yaml): doxorubicin / doxorubicin HCl\n" in said, "the other is still open"
    assert set(names.values()) - set(pd.read_csv(out / TRAIN_DRUG)["drug_id"]) == {"imatinib mesylate"}
    mapping.write_text(mapping.read_text().replace("  perhaps_same:\n", ""))  # the lists stand below one another
    assert "salt or hydrate" not in " ".join(invoke(*command, mapping).split())
    assert "no problems" in " ".join(invoke("data", "check", out).split()), "wherever its lines are wrapped"
    assert set(pd.read_csv(out / TRAIN_DRUG)["drug_id"]) & set(names.values()) == {"imatinib", "doxorubicin"}


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("canonical_smiles", ["CCO", "CCO", "c1ccccc1"]),
        ("cas", ["50-00-0", "50-00-0", "64-17-5"]),
        ("target_chembl", ["CHEMBL25", "CHEMBL25", "CHEMBL1"]),
        ("PubChem CID", ["2244", "2244.0", "702"]),
    ],
)
def test_other_ids(column, values):
    _, found = designed(plate(drug=["a", "b", "c"], **{column: values}))
    assert found.table["compound"].nunique() == 2, mapped(plate(drug=["a", "b", "c"], **{column: values})).compounds


def test_the_first_part_of_an_inchikey_and_numbers_of_wells_are_no_ids():
    wells = {"InChIKey14": [key[:14] for key in (KEYS[0], KEYS[0], KEYS[1])], "count": ["1", "1", "2"]}
    _, found = designed(plate(drug=["(+)-JQ1", "(-)-JQ1", "c"], **wells))
    assert found.table["compound"].nunique() == 3, "mirror images have the same first part"


@pytest.mark.parametrize(
    "names",
    [
        ["taxol 1 uM", "taxol 10 uM"],
        ["taxol_1uM", "Taxol_0.1uM"],
        ["taxol (1 µM)", "taxol (3 µM)"],
        ["a @ 5 nM", "A-10 nM"],
        [f"{name}_{dose}" for name in ("taxol", "TSA", "MG132 acid") for dose in ("0.1", "1")],
    ],
)
def test_names_with_doses_are_refused(names):
    with pytest.raises(
        UserError, match="column 'drug' holds doses with the names .* give compounds and doses in a column each"
    ):
        mapped(plate(drug=["DMSO", *names]))


def test_names_that_only_look_as_if_they_held_doses():
    names = ["DMSO 0.1 mM", "DMSO 0.5 mM", "MS-275", "MS-276", "AZ-1 M", "BRD-4", "taxol 1 uM", "PX-12"]
    assert mapped(plate(drug=names)).compounds.column == "drug"
    names = [f"{name} {number}" for name in ("Torin", "Nutlin", "PI") for number in (1, 2)] + ["x 0.1", "x 1"]
    assert mapped(plate(drug=names)).compounds.column == "drug"


def test_a_rule_needs_its_columns():
    profiles = plate(drug=["a", "b"], InChIKey=KEYS[:2])
    mapping = mapped(profiles)
    del profiles.wells["InChIKey"]
    with pytest.raises(UserError, match="column 'InChIKey' of compounds is not in the files"):
        design(profiles, mapping, Notes())


@pytest.fixture(scope="module")
def spelt(tmp_path_factory):
    """A folder of 12 compounds on two plates, each compound spelt in another way on the second one."""
    folder = tmp_path_factory.mktemp("spelt")
    rows = []
    for number in range(2):
        rows += [(f"P{number}", f"A{well:02d}", "DMSO", "", well, -well, well % 3) for well in range(1, 9)]
        for compound in range(12):
            name = f"{('Drug-', 'drug ')[number]}{compound}"
            target = ("x", "y")[compound % 2]
            rows.append((f"P{number}", f"B{compound + 1:02d}", name, target, compound, 3 * number, compound * number))
    columns = ["Plate", "Well", "Compound", "MOA", "emb_0", "emb_1", "emb_2"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "plate.csv", index=False)
    return folder, import_plates([folder / "plate.csv"], folder / "data")


def test_a_compound_spelt_in_two_ways_does_not_cross_the_folds(spelt):
    """On both sides of the folds it gave logistic regression a ROC AUC of 0.87 on random labels; 0.49 on one side."""
    folder, imported = spelt
    assert dict(imported.counts)["compounds"] == "12, for training 12"
    data = load_dataset(folder / "data", drugs=True, nonscored=False)
    held = HoldOut.of(("compound",), 4, data).assign(data, data.features.index[data.treated])
    spelling = pd.read_csv(folder / "data/wells.csv").set_index("sig_id")["Metadata_Compound"]
    fold = pd.Series(held.fold, spelling[data.features.index[data.treated]].map(compound_key).to_numpy())
    assert spelling.nunique() == 25 and fold.groupby(level=0).nunique().eq(1).all() and fold.nunique() == 4


def test_spellings_in_the_data_folder_itself_are_united(spelt, capsys):
    """A folder written by hand, or by an earlier version, may have them."""
    folder, _ = spelt
    table = pd.read_csv(folder / "data" / TRAIN_DRUG)
    table["drug_id"] = [name.lower() if row < 20 else name for row, name in enumerate(table["drug_id"])]
    table.to_csv(folder / "data" / TRAIN_DRUG, index=False)
    wells = pd.read_csv(folder / "data/wells.csv")
    wells["compound"] = wells["Metadata_Compound"]
    wells.to_csv(folder / "data/wells.csv", index=False)
    data = load_dataset(folder / "data", drugs=True, nonscored=False)
    assert data.drugs[data.treated].nunique() == 12
    assert data.facts(["compound"], data.treated)["compound"].nunique() == 12
    assert (
        "spellings of one compound are one compound: DMSO = dmso, Drug-0 = drug-0"
        in capsys.readouterr().err.replace("\n", "")
    )


def test_without_a_column_of_compounds_row_folds_must_be_asked_for(tmp_path):
    table = pd.DataFrame({"Plate": "P1", "MOA": ["x", "y"] * 6, "emb_0": range(12), "emb_1": range(12, 0, -1)})
    table["emb_2"] = table["emb_0"] % 5
    table.to_csv(tmp_path / "plate.csv", index=False)
    imported = import_plates([tmp_path / "plate.csv"], tmp_path / "data")
    assert "no column of compounds was found" in "\n".join(imported.notes.lines())
    schema = load_dataset(tmp_path / "data", drugs=False, nonscored=False).schema
    with pytest.raises(UserError, match=r"the data name no compounds .* import with --compound COLUMN"):
        refuse_row_folds(None, schema)
    refuse_row_folds("rows", schema)
    refuse_row_folds("plate", schema)
