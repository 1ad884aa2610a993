"""A mapping is written beside the data, applied to further plates, and refuses what no longer fits."""

import numpy as np
import pandas as pd
import pytest
import yaml

from moa.errors import UserError
from moa.importing.for_model import read_for_model
from moa.importing.import_plates import import_plates, plan_import
from moa.importing.mapping import Mapping, mapping_of, read_mapping
from moa.importing.options import ImportOptions


def plate(seed, compounds="Drug", **columns):
    """A plate of 24 wells, its columns called as nobody else calls them."""
    random = np.random.default_rng(seed)
    number = np.arange(24)
    table = pd.DataFrame(
        {
            "slot": [f"{'ABC'[n // 8]}{n % 8 + 1:02d}" for n in number],
            compounds: np.where(number < 8, "medium 7", np.char.add("x", (number // 4).astype(str))),
            "amount": np.where(number < 8, 0.0, 10.0 ** (number % 3)),
            "effect": np.where(number < 8, "", np.where(number // 4 % 2, "alpha", "beta")),
            "Area": 0.0,
        }
    ).assign(**columns)
    table[["Area", "Roundness", "Entropy"]] = random.normal(size=(24, 3))
    return table


STATED = {
    "well": "slot",
    "compound": "Drug",
    "dose": "amount",
    "mechanism": "effect",
    "control": "Drug=medium 7",
    "features": ("Area", "Roundness", "Entropy"),
    "level": "normalised",
}


@pytest.fixture
def first(tmp_path):
    """A plate that was imported with an option for each column: its folder."""
    plate(0).to_csv(tmp_path / "first.csv", index=False)
    import_plates([tmp_path / "first.csv"], tmp_path / "first", ImportOptions(**STATED))
    return tmp_path / "first"


def test_a_further_plate_needs_no_option(tmp_path, first):
    plate(1).to_csv(tmp_path / "next.csv", index=False)
    import_plates([tmp_path / "next.csv"], tmp_path / "a", ImportOptions(name="x", **STATED))
    import_plates([tmp_path / "next.csv"], tmp_path / "b", ImportOptions(name="x", mapping=first / "mapping.yaml"))
    for file in ("train_features.csv", "wells.csv", "train_targets_scored.csv", "train_drug.csv", "assay.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


def test_what_is_written_is_what_is_read(first):
    text = (first / "mapping.yaml").read_text()
    mapping = read_mapping(first / "mapping.yaml")
    assert mapping.text() == text and mapping.column("dose") == "amount"
    assert mapping.columns["Drug"].reason == "named by --compound"
    assert mapping.files[0].level == "normalised" and [family.count for family in mapping.features] == [1, 1, 1]
    assert mapping_of(yaml.safe_load(text), "x") == mapping
    assert mapping.settings["most_missing"] == 0.05 and "plate" not in mapping.settings


def test_a_plan_is_what_an_import_writes(tmp_path, first):
    plan = plan_import([tmp_path / "first.csv"], ImportOptions(**STATED))
    assert plan.mapping == read_mapping(first / "mapping.yaml") and plan.notes
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "first.csv"]


def test_settings_of_the_mapping_hold_unless_others_are_typed(tmp_path, first):
    plain = yaml.safe_load((first / "mapping.yaml").read_text())
    plain["settings"]["conditions"] = ["none"]
    (tmp_path / "changed.yaml").write_text(yaml.safe_dump(plain))
    result = import_plates([tmp_path / "first.csv"], tmp_path / "a", ImportOptions(mapping=tmp_path / "changed.yaml"))
    assert result.mapping.settings["conditions"] == ["none"]
    assert "cp_dose" not in (tmp_path / "a" / "train_features.csv").read_text()
    typed = ImportOptions(mapping=tmp_path / "changed.yaml", conditions=("dose",))
    import_plates([tmp_path / "first.csv"], tmp_path / "b", typed)
    assert "cp_dose" in (tmp_path / "b" / "train_features.csv").read_text()
    plain["settings"]["colour"] = "red"
    (tmp_path / "changed.yaml").write_text(yaml.safe_dump(plain))
    with pytest.raises(UserError, match="changed.yaml: 'colour' is unknown; there are plate,"):
        plan_import([tmp_path / "first.csv"], ImportOptions(mapping=tmp_path / "changed.yaml"))


def written(path, text):
    path.write_text(text)
    return path


def test_settings_alone_are_read_as_if_they_were_typed(tmp_path, first):
    """A first import has no mapping yet, and further settings go with that of weights."""
    table = plate(0).assign(QC=np.arange(24) / 7, Zeit=24, Model=["A549", "MCF7"] * 12)
    table.to_csv(tmp_path / "first.csv", index=False)
    stated = {**STATED, "features": "*", "metadata": "QC", "time": "Zeit", "cell_line": "Model", "name": "screen"}
    settings = written(tmp_path / "settings.yaml", yaml.safe_dump({"settings": {**stated, "least_compounds": 1}}))
    one = import_plates([tmp_path / "first.csv"], tmp_path / "one", ImportOptions(**stated, least_compounds=1))
    two = import_plates([tmp_path / "first.csv"], tmp_path / "two", ImportOptions(mapping=settings))
    assert one.mapping == two.mapping and one.mapping.references.within == ("Model",)
    assert [one.mapping.columns[name].role for name in ("QC", "Zeit", "Model")] == ["metadata", "time", "cell_line"]
    for file in ("train_features.csv", "wells.csv", "train_targets_scored.csv", "assay.json", "mapping.yaml"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file
    typed = plan_import([tmp_path / "first.csv"], ImportOptions(mapping=settings, features=("Area",)))
    assert [family.pattern for family in typed.mapping.features] == ["Area"]
    wrong = written(tmp_path / "settings.yaml", "settings: {cell_line: Line, features: Area}\n")
    with pytest.raises(UserError, match="^cell_line Line: no such column; there are"):
        plan_import([tmp_path / "first.csv"], ImportOptions(mapping=wrong))
    wrong = written(tmp_path / "settings.yaml", "format: 1\ncolumns: {Model: {role: cell_line}}\n")
    with pytest.raises(UserError, match="settings.yaml: names no features; give a whole mapping, .* or settings alone"):
        plan_import([tmp_path / "first.csv"], ImportOptions(mapping=wrong))


def test_a_model_is_given_settings_with_the_mapping_of_its_weights(tmp_path, first):
    from moa.data.assay_files import load_assay

    assay, mapping = load_assay(first), read_mapping(first / "mapping.yaml")
    plate(1).rename(columns={"amount": "Menge 2"}).to_csv(tmp_path / "next.csv", index=False)
    settings = written(tmp_path / "settings.yaml", "settings: {dose: Menge 2}\n")
    rows = read_for_model([tmp_path / "next.csv"], assay, None, ImportOptions(mapping=settings), mapping=mapping)
    assert rows.features["cp_dose"].dropna().tolist() == plate(1)["amount"][8:].tolist()


def test_a_mapping_may_be_changed_by_roles_and_by_settings(tmp_path, first):
    table = plate(1).assign(Model=["A549", "MCF7"] * 12, effect=np.where(np.arange(24) % 4 < 2, "alpha & b", "b"))
    table.loc[:7, "effect"] = ""
    table.to_csv(tmp_path / "next.csv", index=False)
    plain = yaml.safe_load((first / "mapping.yaml").read_text())
    for role, setting in (({"Model": {"role": "cell_line"}}, {}), ({}, {"cell_line": "Model"})):
        changed = {**plain, "columns": {**plain["columns"], **role}}
        changed["settings"] = {**plain["settings"], **setting, "moa_separator": "&"}
        options = ImportOptions(mapping=written(tmp_path / "changed.yaml", yaml.safe_dump(changed)))
        found = plan_import([tmp_path / "next.csv"], options).mapping
        assert found.references.within == ("Model",) and found.columns["Model"].role == "cell_line"
        assert found.mechanisms.separators == ("&",) and found.mechanisms.stated
    changed["settings"] = {"metadata": ["Area"]}
    options = ImportOptions(mapping=written(tmp_path / "changed.yaml", yaml.safe_dump(changed)))
    with pytest.raises(UserError, match="has 0 features 'Area', and the mapping 1; .* or correct the mapping"):
        plan_import([tmp_path / "next.csv"], options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda table: table.rename(columns={"Drug": "Agent"}),
            "next.csv: has no column 'Drug', which the mapping reads",
        ),
        (lambda table: table.drop(columns="Area"), "next.csv: has 0 features 'Area', and the mapping 1"),
        (lambda table: table.drop(columns="amount"), "has no column 'amount', which the mapping reads as dose"),
        (lambda table: table.assign(Area="x"), "column 'Area', line 2 holds 'x'; expected a number"),
    ],
)
def test_plates_that_do_not_fit_are_refused(tmp_path, first, change, message):
    change(plate(1)).to_csv(tmp_path / "next.csv", index=False)
    with pytest.raises(UserError, match=message):
        plan_import([tmp_path / "next.csv"], ImportOptions(mapping=first / "mapping.yaml"))


def test_columns_that_the_mapping_does_not_know_are_set_aside(tmp_path, first):
    plate(1).assign(Perimeter=1.5).to_csv(tmp_path / "next.csv", index=False)
    plan = plan_import([tmp_path / "next.csv"], ImportOptions(mapping=first / "mapping.yaml"))
    assert "next.csv: columns that the mapping does not know, as metadata: Perimeter" in "\n".join(plan.notes.lines())


def test_patterns_that_overlap_count_a_feature_once(tmp_path):
    plate(0).to_csv(tmp_path / "first.csv", index=False)
    options = ImportOptions(**STATED | {"features": ("A*", "*ea", "E*")})
    result = import_plates([tmp_path / "first.csv"], tmp_path / "first", options)
    assert [family.count for family in result.mapping.features] == [1, 0, 1]
    plan = plan_import([tmp_path / "first.csv"], ImportOptions(mapping=tmp_path / "first" / "mapping.yaml"))
    assert plan.mapping.features == result.mapping.features


def test_values_of_another_level_are_refused(tmp_path):
    plate(0).to_csv(tmp_path / "first.csv", index=False)
    stated = {name: value for name, value in STATED.items() if name != "level"}
    import_plates([tmp_path / "first.csv"], tmp_path / "first", ImportOptions(**stated))
    table = plate(1)
    table[["Area", "Roundness", "Entropy"]] += 500
    table.to_csv(tmp_path / "next.csv", index=False)
    options = ImportOptions(mapping=tmp_path / "first" / "mapping.yaml")
    with pytest.raises(UserError, match="next.csv looks like raw profiles, and the mapping has normalised profiles"):
        plan_import([tmp_path / "next.csv"], options)


def test_tables_are_joined_as_before(tmp_path):
    table = plate(0).assign(Plate="P1")
    table[["Plate", "slot", "Area", "Roundness", "Entropy"]].to_csv(tmp_path / "values.csv", index=False)
    table[["Plate", "slot", "Drug", "amount", "effect"]].to_csv(tmp_path / "map.csv", index=False)
    maps = {"wells": (tmp_path / "map.csv",)}
    import_plates([tmp_path / "values.csv"], tmp_path / "first", ImportOptions(**STATED, **maps))
    options = ImportOptions(mapping=tmp_path / "first" / "mapping.yaml", **maps)
    again = import_plates([tmp_path / "values.csv"], tmp_path / "again", options)
    assert again.mapping == read_mapping(tmp_path / "first" / "mapping.yaml")
    with pytest.raises(UserError, match=r"the mapping joins 1 table \(map.csv\), and --wells gives 0"):
        plan_import([tmp_path / "values.csv"], ImportOptions(mapping=options.mapping))
    table[["Plate", "slot", "Drug", "amount"]].to_csv(tmp_path / "map.csv", index=False)
    with pytest.raises(UserError, match="map.csv: has no column 'effect', which the mapping reads as mechanism"):
        plan_import([tmp_path / "values.csv"], options)


def test_a_model_takes_plates_of_which_less_is_known(tmp_path, first):
    from moa.data.assay_files import load_assay

    mapping, assay = read_mapping(first / "mapping.yaml"), load_assay(first)
    table = plate(1)
    table.to_csv(tmp_path / "next.csv", index=False)
    rows = read_for_model([tmp_path / "next.csv"], assay, None, mapping=mapping)
    assert (rows.features["cp_type"] == "ctl_vehicle").sum() == 8 and list(rows.features) == list(assay.features)
    np.testing.assert_allclose(rows.features["Area"], table["Area"])
    blind = (
        table.drop(columns=["effect", "amount"]).rename(columns={"Drug": "Compound"}).assign(dose_uM=table["amount"])
    )
    blind.to_csv(tmp_path / "blind.csv", index=False)
    rows = read_for_model([tmp_path / "blind.csv"], assay, None, ImportOptions(control="medium 7"), mapping=mapping)
    noted = "\n".join(rows.notes.lines())
    assert "the files have no column 'Drug' (compound), 'Compound' in its place" in noted
    assert "no column 'amount' (dose), 'dose_uM' in its place" in noted and "'effect' (mechanism), nothing" in noted
    assert rows.features["cp_dose"].dropna().tolist() == table["amount"][8:].tolist()


def test_what_a_model_takes_is_a_feature_whatever_it_is_called(tmp_path):
    """Weights of before mappings were kept: the model's own names say what is a feature."""
    from moa.data.assay import Assay, FeatureGroup

    names = ("Area", "Cells_Location_Center_X", "Cells_Area")
    table = plate(1).assign(Cells_Location_Center_X=range(24), Cells_Area=range(24), Cells_Perimeter=1.0)
    table.rename(columns={"Drug": "Compound", "amount": "Dose", "slot": "Well"}).to_csv(tmp_path / "a.csv", index=False)
    assay = Assay(name="old", groups=(FeatureGroup(name="all", columns=names),))
    rows = read_for_model([tmp_path / "a.csv"], assay, None, ImportOptions(level="normalised", control="medium 7"))
    np.testing.assert_allclose(rows.features[list(names)], table[list(names)])
    assert "3 of the model's 3 features found" in "\n".join(rows.notes.lines())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no mapping of an import"),
        ("- 1\n", "no mapping of an import"),
        ("format: 2\n", "format: Input should be 1"),
        ("format: 1\ncolours: {}\n", "colours: Extra inputs are not permitted"),
        ("format: 1\ncolumns: {a: {role: king}}\n", "columns.a.role: Input should be"),
        ("format: 1\ncolumns: {a: {role: dose}, b: {role: dose}}\n", "columns 'a' and 'b' both have the role dose"),
        ("format: 1\ncolumns:\n  a: {role: dose}\n  a: {role: plate}\n", "line 3: 'a' stands there twice"),
        ("format: [1\n", "not YAML that can be read"),
        ("a: &a [1, 2]\nb: *a\n", "not YAML that can be read .*write the value itself"),
        ("!!python/object/apply:os.system [ls]\n", "not YAML that can be read"),
        ("[" * 1500, "not YAML that can be read"),
    ],
)
def test_files_that_are_no_mapping(tmp_path, text, message):
    (tmp_path / "mapping.yaml").write_text(text)
    with pytest.raises(UserError, match=message) as raised:
        read_mapping(tmp_path / "mapping.yaml")
    assert "\n" not in str(raised.value)


def test_no_mapping_at_all(tmp_path):
    with pytest.raises(UserError, match="mapping.yaml: cannot be read"):
        read_mapping(tmp_path / "mapping.yaml")
    assert Mapping().column("plate") is None and Mapping().unit("dose") == ""
