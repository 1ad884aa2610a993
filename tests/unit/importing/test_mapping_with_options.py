"""Options beside a whole mapping: each is applied or refused, and none is ignored without a word."""

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml

from moa.errors import UserError
from moa.importing.for_model import read_for_model
from moa.importing.import_plates import import_plates, plan_import
from moa.importing.options import ImportOptions
from support.assays import write_h5ad


def screen(seed=0, **columns):
    """A plate of 36 wells: 12 of DMSO, and 8 compounds in three wells each, with a column of effects."""
    number, random = np.arange(36), np.random.default_rng(seed)
    names = np.array(["Imatinib", "Imatinib mesylate", "Gefitinib", "Paclitaxel", "drug5", "drug6", "drug7", "drug8"])
    treated = number >= 12
    table = pd.DataFrame(
        {
            "plate": "P1",
            "well": [f"{'ABC'[n // 12]}{n % 12 + 1:02d}" for n in number],
            "compound": np.where(treated, names[(number - 12) % 8], "DMSO"),
            "dose_uM": np.where(treated, 10.0, 0.0),
            "other": np.where(treated, names[(number - 11) % 8], "DMSO"),
            "effect": np.where(treated, np.where(number % 2, "odd", "even"), ""),
            "family": np.where(treated, np.where(number % 4 < 2, "one", "two"), ""),
        }
    ).assign(**columns)
    return table.join(pd.DataFrame(random.normal(5, 2, (36, 6)), columns=[f"emb_{n}" for n in range(6)]))


@pytest.fixture
def at(tmp_path):
    """Write a screen and import it; returns the folder with ``screen.csv``, ``moa.csv`` and the import in ``first``."""
    screen().to_csv(tmp_path / "screen.csv", index=False)
    names = screen()["compound"].drop_duplicates().iloc[1:]
    effects = pd.DataFrame({"name": names, "moa": ["x", "x", "y", "y"] * 2, "target": ["u", "u", "u", "v"] * 2})
    effects.to_csv(tmp_path / "moa.csv", index=False)
    return tmp_path


def changed(folder, file="changed.yaml", **parts):
    """A file of the mapping of an import, with other settings or rules."""
    plain = yaml.safe_load((folder / "mapping.yaml").read_text())
    for name, values in parts.items():
        plain[name] = plain[name] | values
    path = folder.parent / file
    path.write_text(yaml.safe_dump(plain))
    return path


def targets(folder):
    return list(pd.read_csv(folder / "train_targets_scored.csv", index_col="sig_id").columns)


def test_an_option_with_its_default_goes_before_the_setting(at):
    import_plates([at / "screen.csv"], at / "first", ImportOptions(mechanism="effect"))
    mapping = changed(at / "first", settings={"sites": "average", "level": "normalised"})
    pd.concat([screen(), screen(1)]).to_csv(at / "sites.csv", index=False)
    plan_import([at / "sites.csv"], ImportOptions(mapping=mapping))
    with pytest.raises(UserError, match="--sites average"):
        plan_import([at / "sites.csv"], ImportOptions(mapping=mapping, sites="refuse"))
    assert plan_import([at / "screen.csv"], ImportOptions(mapping=mapping)).mapping.files[0].level == "normalised"
    plan = plan_import([at / "screen.csv"], ImportOptions(mapping=mapping, level="auto"))
    assert plan.mapping.files[0].level == "raw" and "profiles are raw" in "\n".join(plan.notes.lines())


def test_another_column_of_mechanisms(at):
    """In the files and in a table; the mapping says which file the table was."""
    import_plates([at / "screen.csv"], at / "first", ImportOptions(mechanism="effect"))
    options = ImportOptions(mapping=at / "first" / "mapping.yaml", mechanism="family")
    import_plates([at / "screen.csv"], at / "own", options)
    assert (targets(at / "first"), targets(at / "own")) == (["even", "odd"], ["one", "two"])
    import_plates([at / "screen.csv"], at / "table", ImportOptions(moa=at / "moa.csv"))
    assert targets(at / "table") == ["x", "y"]
    (at / "moa.csv").rename(at / "newer.csv")
    given = {"mapping": at / "table" / "mapping.yaml", "moa": at / "newer.csv"}
    found = import_plates([at / "screen.csv"], at / "other", ImportOptions(**given, mechanism="target"))
    assert targets(at / "other") == ["u", "v"] and found.mapping.mechanisms.table == "newer.csv"
    found = import_plates([at / "screen.csv"], at / "same", ImportOptions(**given, mechanism="moa"))
    assert targets(at / "same") == ["x", "y"] and found.mapping.mechanisms_table.name == "newer.csv"
    assert "newer.csv: mechanisms in 'moa'" in "\n".join(found.notes.lines())
    with pytest.raises(UserError, match="^--mechanism Ziel: no such column; there are name, moa, target"):
        plan_import([at / "screen.csv"], ImportOptions(**given, mechanism="Ziel"))
    first = {"mapping": at / "first" / "mapping.yaml", "moa": at / "newer.csv"}
    found = import_plates([at / "screen.csv"], at / "first_table", ImportOptions(**first, mechanism="target"))
    assert targets(at / "first_table") == ["u", "v"]


def test_features_and_layers_that_would_change_nothing_are_refused(at):
    import_plates([at / "screen.csv"], at / "first", ImportOptions(mechanism="effect"))
    mapping = at / "first" / "mapping.yaml"
    with pytest.raises(UserError, match="^--features: the mapping names the features"):
        plan_import([at / "screen.csv"], ImportOptions(mapping=mapping, features=("emb_1",)))
    with pytest.raises(UserError, match="^--layer raw: screen.csv has no layers"):
        plan_import([at / "screen.csv"], ImportOptions(layer="raw"))


def test_a_model_says_that_a_layer_of_its_plates_is_not_there(at):
    from moa.data.assay_files import load_assay
    from moa.importing.mapping import read_mapping

    import_plates([at / "screen.csv"], at / "first", ImportOptions(mechanism="effect"))
    mapping, assay = read_mapping(changed(at / "first", settings={"layer": "raw"})), load_assay(at / "first")
    rows = read_for_model([at / "screen.csv"], assay, None, mapping=mapping)
    assert "layer raw is not used, since files have none: screen.csv" in "\n".join(rows.notes.lines())
    values = screen().filter(like="emb_").set_axis([f"w{n}" for n in range(36)])
    wells = screen().drop(columns=values.columns).set_axis(values.index).astype(str)
    with h5py.File(write_h5ad(at / "screen.h5ad", values, wells), "a") as file:
        file["layers/raw"] = values.to_numpy() + 1
    rows = read_for_model([at / "screen.h5ad"], assay, None, mapping=mapping)
    assert "layer raw" not in "\n".join(rows.notes.lines())


def test_another_column_of_compounds_in_the_files_and_in_a_plate_map(at):
    import_plates([at / "screen.csv"], at / "first", ImportOptions(moa=at / "moa.csv"))
    mapping = changed(at / "first", compounds={"same": [["Imatinib", "Imatinib mesylate"]]})
    given = {"moa": at / "moa.csv", "mapping": mapping}
    stated = import_plates([at / "screen.csv"], at / "stated", ImportOptions(**given, compound="compound"))
    assert stated.mapping.compounds.same == (("Imatinib", "Imatinib mesylate"),)
    other = import_plates([at / "screen.csv"], at / "other", ImportOptions(**given, compound="other"))
    assert other.mapping.compounds.column == "other" and other.mapping.compounds.same == stated.mapping.compounds.same
    drugs = pd.read_csv(at / "other" / "wells.csv")["compound"]
    assert drugs.iloc[12] == "Imatinib" and "Imatinib mesylate" not in set(drugs)
    plate_map = screen()[["plate", "well", "compound", "other"]]
    plate_map.to_csv(at / "map.csv", index=False)
    screen().drop(columns=["compound", "other"]).to_csv(at / "bare.csv", index=False)
    import_plates([at / "bare.csv"], at / "joined", ImportOptions(wells=[at / "map.csv"]))
    options = ImportOptions(wells=[at / "map.csv"], mapping=at / "joined" / "mapping.yaml", compound="other")
    found = import_plates([at / "bare.csv"], at / "again", options)
    assert found.mapping.column("compound") == "other" and found.mapping.compounds.column == "other"
    assert pd.read_csv(at / "again" / "wells.csv")["compound"].iloc[12] == "Imatinib mesylate"


@pytest.mark.parametrize("known", ["Imatinib", "Imatinib mesylate"])
def test_salts_that_are_united_have_the_mechanism_of_either_name(at, known):
    table = pd.read_csv(at / "moa.csv")
    table[(table["name"] == known) | ~table["name"].str.startswith("Imatinib")].to_csv(at / "one.csv", index=False)
    import_plates([at / "screen.csv"], at / "first", ImportOptions(moa=at / "one.csv"))
    mapping = changed(at / "first", compounds={"same": [["Imatinib", "imatinib MESYLATE", "Imatinib salt"]]})
    found = import_plates([at / "screen.csv"], at / "united", ImportOptions(moa=at / "one.csv", mapping=mapping))
    labels = pd.read_csv(at / "united" / "train_targets_scored.csv", index_col="sig_id")
    drugs = pd.read_csv(at / "united" / "train_drug.csv", index_col="sig_id")["drug_id"]
    assert labels["x"][drugs == "Imatinib"].tolist() == [1] * 6 and drugs.nunique() == 8
    noted = "\n".join(found.notes.lines())
    assert "names that `same` unites, but no well has: Imatinib salt" in noted and "7 of 7 compounds found" in noted


def test_salts_that_are_united_and_contradict_each_other_are_refused(at):
    table = pd.read_csv(at / "moa.csv")
    table.loc[table["name"] == "Imatinib mesylate", "moa"] = "y"
    table.to_csv(at / "moa.csv", index=False)
    import_plates([at / "screen.csv"], at / "first", ImportOptions(moa=at / "moa.csv"))
    mapping = changed(at / "first", compounds={"same": [["Imatinib", "Imatinib mesylate"]]})
    with pytest.raises(UserError, match="lines 2 and 3 give 'Imatinib' and 'Imatinib mesylate' different mechanisms"):
        import_plates([at / "screen.csv"], at / "out", ImportOptions(moa=at / "moa.csv", mapping=mapping))
