"""Mechanisms are joined case- and punctuation-blind, by compound or by compound and dose, and controls have none."""

import numpy as np
import pandas as pd
import pytest

from moa.errors import UserError
from moa.importing.combine import read_mechanisms
from moa.importing.design import Design
from moa.importing.import_plates import import_plates
from moa.importing.mapping import Column, Mapping, Mechanisms, Table
from moa.importing.mechanism_names import is_unknown, separators_of, split_cells
from moa.importing.mechanisms import decide_mechanisms, label_wells
from moa.importing.notes import Notes
from moa.importing.one_hot import REASON
from moa.importing.options import ImportOptions
from moa.importing.roles import described_mechanisms
from moa.importing.text_tables import read_text_table
from support.assays import cell_painting

COMPOUNDS = ["DMSO", "AKT-inhibitor-1-2", "Vemurafenib", "PLX-4720", "nobody", "Vemurafenib"]


def labels(
    table=None,
    tmp_path=None,
    doses=(np.nan, 1, 1, 1, 1, 10),
    wells=None,
    fields=None,
    encoding="utf-8",
    dose_unit="",
    plates="P1",
    **options,
):
    """The labels of six wells, and what was noted; ``table`` is the text of a table of mechanisms."""
    index = [f"w{number}" for number in range(len(COMPOUNDS))]
    frame = pd.DataFrame(
        {"compound": COMPOUNDS, "dose": doses, "cp_type": ["ctl_vehicle", *["trt_cp"] * 5]}, index=index
    ).astype({"compound": object})
    metadata = pd.DataFrame({"pert_iname": COMPOUNDS}, index=index, dtype=object)
    if wells:
        metadata = metadata.assign(**wells)
    if table is not None:
        path = tmp_path / "moa.txt"
        path.write_bytes(table.encode(encoding))
        options["moa"] = path
    fields = {"compound": "pert_iname"} | (fields or {})
    roles = {column: Column(role=field) for field, column in fields.items()}
    roles |= {column: Column(role="identifier") for column in metadata if column not in roles}
    options, notes = ImportOptions(**options), Notes()
    read = None if options.moa is None else read_mechanisms(options.moa, options, notes)[1]
    plate = Design(frame.assign(plate=plates, dose_level=np.nan), fields, dose_unit)
    described = None if read is None else described_mechanisms("moa.txt", read, options.mechanism)
    known = None if described is None else Table(name="moa.txt", columns=described)
    mapping = Mapping(columns=roles, mechanisms_table=known)
    mapping = decide_mechanisms(mapping, metadata, plate, read, options, notes)
    found = label_wells(metadata, plate, mapping, read, options, notes)
    return found, "\n".join(notes.lines(100))


HUB = (
    "!Drug Repurposing Hub\n!version é\n"
    "pert_iname\tclinical_phase\tmoa\ttarget\n"
    "AKT INHIBITOR 1,2\tPreclinical\tAKT inhibitor\tAKT1\n"
    "vemurafenib\tLaunched\tRAF inhibitor\tBRAF\n"
    "PLX4720\tPreclinical\tRAF inhibitor|BRAF-inhibitor\tBRAF\n"
    "vemurafenib\tLaunched\tB-Raf inhibitor\tBRAF\n"
    "plx-4720\tPhase 1\traf inhibitor\t\n"
    "nobody\tPhase 1\t\t\n"
)


def test_the_repurposing_hubs_file_as_it_is(tmp_path):
    found, noted = labels(HUB, tmp_path, encoding="latin-1")
    # Names on several lines have the mechanisms of all; spellings of one mechanism are one target.
    assert list(found.table) == ["B-Raf inhibitor", "RAF inhibitor"]
    assert found.table["RAF inhibitor"].tolist() == [0, 0, 1, 1, 0, 1]
    assert found.table["B-Raf inhibitor"].tolist() == [0, 0, 1, 1, 0, 1]
    assert found.known.tolist() == [True, True, True, True, False, True]
    assert (
        "4 of 4 compounds found" in noted
        and "1 target with fewer than 2 compounds" in noted
        and "AKT inhibitor" in noted
    )
    assert "1 compound without a known mechanism (1 well): nobody" in noted
    assert "differ in case or punctuation alone are one compound: plx4720" in noted


def test_all_targets_on_request(tmp_path):
    found, _ = labels(HUB, tmp_path, least_compounds=1)
    assert found.table["AKT inhibitor"].tolist() == [0, 1, 0, 0, 0, 0]


def test_by_compound_and_dose(tmp_path):
    table = "compound,concentration,moa\nvemurafenib,10.0000001,a\nvemurafenib,3,b\nplx-4720,1,a\nDMSO,0,a\n"
    found, noted = labels(table, tmp_path)
    assert found.table["a"].tolist() == [0, 0, 0, 1, 0, 1]
    assert found.known.tolist() == [True, False, False, True, False, True]
    assert "by compound and dose ('compound', 'concentration')" in noted
    assert "1 compound whose mechanism is known in some wells only: Vemurafenib" in noted


def test_a_column_of_the_files(tmp_path):
    column = {"Metadata_moa": ["DMSO", "x|y", "x", np.nan, "Y ", "x"]}
    found, _ = labels(wells=column, fields={"mechanism": "Metadata_moa"})
    assert found.table.to_dict("list") == {"x": [0, 1, 1, 0, 0, 1], "Y": [0, 1, 0, 0, 1, 0]}
    assert found.known.tolist() == [True, True, True, False, True, True]
    assert "DMSO" not in found.table  # what a control is said to do is no mechanism


def test_other_identifiers_are_tried(tmp_path):
    ids = ["", "BRD-K11111111", "BRD-K22222222", "BRD-K33333333", "BRD-K44444444", "BRD-K22222222"]
    table = "broad_id,moa\nBRD-K22222222-001-01-1,x\nBRD-K33333333-001-05-3,x\n"
    found, noted = labels(table, tmp_path, wells={"pert_id": ids})
    assert found.table["x"].tolist() == [0, 0, 1, 1, 0, 1] and "'broad_id'" in noted


@pytest.mark.parametrize(("yes", "no"), [("1", "0"), ("1.0", "0.0"), ("True", "False")])
def test_a_column_of_0_and_1_for_each_mechanism(yes, no, tmp_path):
    """The same labels as the same mechanisms in one column give."""
    lines = ["AKT inhibitor 1,2;1;0;0", "vemurafenib;0;1;1", "plx-4720;0;1;0", "nobody;0;0;0"]
    text = (
        "\n".join(["drug;AKT inhibitor;RAF inhibitor;kinase", *lines]).replace(";1", f";{yes}").replace(";0", f";{no}")
    )
    hot, noted = labels(text, tmp_path, least_compounds=1)
    lines = ["AKT inhibitor 1,2;AKT inhibitor", "vemurafenib;RAF inhibitor|kinase", "plx-4720;RAF inhibitor", "nobody;"]
    one, _ = labels("\n".join(["drug;moa", *lines]), tmp_path, least_compounds=1)
    pd.testing.assert_frame_equal(hot.table, one.table)
    assert hot.known.tolist() == one.known.tolist() and hot.table["kinase"].tolist() == [0, 0, 1, 0, 0, 1]
    assert "columns of 0 and 1 are mechanisms of the compounds in 'drug': AKT inhibitor, RAF inhibitor, kinase" in noted


def test_a_mapping_names_columns_of_0_and_1_and_applies_to_another_such_table(tmp_path):
    screen, first, second = cell_painting(wells=60, features=9, compounds=6, mechanisms=2, raw=False), *"ab"
    table = screen.table.drop(columns="Metadata_moa")
    table.to_csv(tmp_path / "screen.csv", index=False)
    hot = pd.get_dummies(pd.Series(screen.mechanisms))
    hot.to_csv(tmp_path / f"{first}.csv", index_label="drug")
    hot.assign(third=[True, False] * 3).to_csv(tmp_path / f"{second}.csv", index_label="drug")
    found = import_plates([tmp_path / "screen.csv"], tmp_path / first, ImportOptions(moa=tmp_path / "a.csv"))
    column = found.mapping.mechanisms_table.columns[found.mapping.mechanisms.column]
    assert (column.role, column.reason) == ("mechanism", REASON)
    again = ImportOptions(moa=tmp_path / "b.csv", mapping=tmp_path / first / "mapping.yaml")
    import_plates([tmp_path / "screen.csv"], tmp_path / second, again)
    one, other = (pd.read_csv(tmp_path / name / "train_targets_scored.csv") for name in (first, second))
    assert list(other) == [*one, "third"] and one.equals(other.drop(columns="third"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("drug,a,b,note\nplx-4720,1,0,old\n", "'note' holds 'old' (line 2)"),
        ("drug,a,b,c\nplx-4720,1,0,1\nvemurafenib,1,0,\n", "'c' holds an empty cell (line 3)"),
        ("drug,a,b,c\nplx-4720,1,0,0.5\n", "'c' holds '0.5' (line 2)"),
        ("a,b\n1,0\n", "the first column, 'a', holds 0 and 1 too"),
    ],
)
def test_columns_of_0_and_1_beside_others_are_refused_with_the_shape_that_is_read(text, reason, tmp_path):
    with pytest.raises(UserError, match="moa.txt: no column of mechanisms") as refused:
        labels(text, tmp_path)
    assert reason in str(refused.value) and "with pandas: table.groupby(" in str(refused.value)
    assert "\n" not in str(refused.value) and "name it with --mechanism" not in str(refused.value)


def test_no_mechanisms_at_all():
    found, noted = labels()
    assert (
        found.table.shape == (6, 0)
        and found.known.tolist() == [True, *[False] * 5]
        and "--moa TABLE joins them" in noted
    )


@pytest.mark.parametrize("heading", ["dose_nM", "Concentration (nM)", "Final conc. [nM]", "conc_nM"])
def test_the_table_s_doses_are_quantities(tmp_path, heading):
    lines = "plx4720,1000,a\nvemurafenib,1000,b\nvemurafenib,10000,a\nnobody,1000,b\n"
    found, noted = labels(f"compound,{heading},moa\n{lines}", tmp_path, dose_unit="µM")
    assert found.table["a"].tolist() == [0, 0, 0, 1, 0, 1] and found.table["b"].tolist() == [0, 0, 1, 0, 1, 0]
    assert f"by compound and dose ('compound', '{heading}')" in noted


def test_doses_that_cannot_be_compared_are_refused(tmp_path):
    lines = "plx4720,1 ug/ml,a\nvemurafenib,1 ug/ml,a\n"
    with pytest.raises(UserError, match=r"its doses \('Dose'\) are in µg/mL, those of the wells in µM"):
        labels(f"compound,Dose,moa\n{lines}", tmp_path, dose_unit="µM")
    with pytest.raises(
        UserError, match=r"none of its doses \('Dose', such as 700\) is one of the wells' \(such as 1\)"
    ):
        labels("compound,Dose,moa\nplx4720,700,a\nvemurafenib,900,a\n", tmp_path)
    found, noted = labels(f"compound,Dose,moa\n{lines}", tmp_path)
    assert found.table["a"].sum() == 2 and "the table's are in µg/mL" in noted


@pytest.mark.parametrize("column", ["", ",level", ",dose"])
def test_lines_of_a_compound_that_contradict_each_other_are_refused(tmp_path, column):
    values = {"": ("", "", ""), ",level": (",low", ",high", ",low"), ",dose": (",low", ",high", ",low")}[column]
    lines = f"vemurafenib{values[0]},a\nplx-4720{values[2]},a\nVemurafenib{values[1]},b\n"
    with pytest.raises(UserError, match=r"moa.txt: lines 2 and 4 give 'Vemurafenib' different mechanisms \('a', 'b'\)"):
        labels(f"compound{column},moa\n{lines}", tmp_path)


def test_a_dose_on_two_lines(tmp_path):
    with pytest.raises(
        UserError, match=r"lines 2 and 3 give 'vemurafenib' different mechanisms at dose 1 \('a', 'b'\)"
    ):
        labels("compound,dose,moa\nvemurafenib,1,a\nvemurafenib,1,b\n", tmp_path)
    table = "compound,dose,moa\nvemurafenib,1,a 1\nvemurafenib,1,A-1\nplx4720,1,a 1\n"
    assert list(labels(table, tmp_path)[0].table) == ["a 1"], "spelt in two ways it is the same"


@pytest.mark.parametrize(
    "text",
    [
        "Unknown",
        "not annotated",
        "N/A",
        "?",
        "Unknown MoA",
        "not yet determined",
        "TBD",
        "no known mechanism",
        "-",
        "n.d.",
        "other",
        "none reported",
        "unbekannt",
    ],
)
def test_words_for_unknown_are_no_target(text, tmp_path):
    assert is_unknown(text)
    column = {"moa": ["", text, "x", f"x|{text}", text, "x"]}
    found, noted = labels(wells=column, fields={"mechanism": "moa"})
    assert list(found.table) == ["x"] and found.known.tolist() == [True, False, True, True, False, True]
    if text not in ("N/A", "-"):
        assert f"cells that say that no mechanism is known are no target: {text}" in noted


@pytest.mark.parametrize(
    ("cell", "parts"),
    [
        ("EGFR inhibitor; HER2 inhibitor", ["EGFR inhibitor", "HER2 inhibitor"]),
        ("HDAC inhibitor, SIRT inhibitor", ["HDAC inhibitor", "SIRT inhibitor"]),
        ("HDAC inhibitor / SIRT inhibitor", ["HDAC inhibitor", "SIRT inhibitor"]),
        ("HDAC inhibitor + DNA synthesis", ["HDAC inhibitor", "DNA synthesis"]),
        ("a kinase inhibitor and a phosphatase blocker", ["a kinase inhibitor", "a phosphatase blocker"]),
        ("kinase inhibitor, low dose", ["kinase inhibitor, low dose"]),
        ("indoleamine 2,3-dioxygenase inhibitor", ["indoleamine 2,3-dioxygenase inhibitor"]),
        ("sodium/glucose cotransporter inhibitor", ["sodium/glucose cotransporter inhibitor"]),
        ("PK:YK,EGFR,ERBB2", ["PK:YK,EGFR,ERBB2"]),
        ("serotonin receptor agonist/antagonist", ["serotonin receptor agonist/antagonist"]),
        ("Na+/K+-ATPase inhibitor", ["Na+/K+-ATPase inhibitor"]),
        ("MEK and ERK inhibitor", ["MEK and ERK inhibitor"]),
        ("A inhibitor|B inhibitor; C inhibitor", ["A inhibitor", "B inhibitor", "C inhibitor"]),
    ],
)
def test_what_stands_between_mechanisms(cell, parts):
    notes = Notes()
    cells = [cell, "DNA synthesis", None]
    separators = separators_of(cells, notes)
    assert split_cells(cells, separators, False) == [tuple(parts), ("DNA synthesis",), ()]
    assert any("between mechanisms as well as" in line for line in notes.lines()) == (len(parts) > 1)
    assert any("with a comma in them are one" in line for line in notes.lines()) == (
        cell == "kinase inhibitor, low dose"
    )


def test_a_stated_separator_is_the_only_one():
    column = {"moa": ["", "x, low;y", "x, low", "y", "y", "x"]}
    found, _ = labels(wells=column, fields={"mechanism": "moa"}, moa_separator=",", least_compounds=1)
    assert list(found.table) == ["low", "low;y", "x", "y"]


def test_a_compound_with_another_mechanism_on_another_plate_is_reported():
    column = {"moa": ["", "x", "x", "y", "y", "y"]}
    found, noted = labels(
        wells=column, fields={"mechanism": "moa"}, plates=list("122211"), doses=(np.nan, 1, 1, 1, 1, 1)
    )
    assert found.table["x"].tolist() == [0, 1, 1, 0, 0, 0], "what the file says stays"
    assert "1 compound whose wells at one dose have different mechanisms" in noted
    assert "Vemurafenib (x on plate 2; y on plate 1)" in noted
    _, noted = labels(wells=column, fields={"mechanism": "moa"})
    assert "1 compound whose mechanisms differ by dose: Vemurafenib" in noted


def test_all_names_of_a_compound_have_the_mechanisms_of_any(tmp_path):
    """A table may list a compound by one of its names only."""
    wells = {"pert_iname": ["DMSO", "a", "taxol", "c", "d", "paclitaxel"]}
    index = [f"w{number}" for number in range(6)]
    metadata = pd.DataFrame(wells, index=index, dtype=object)
    named = ["DMSO", "a", "taxol", "c", "d", "taxol"]
    frame = pd.DataFrame({"compound": named, "dose": 1.0, "dose_level": np.nan, "plate": "1"}, index=index)
    frame["cp_type"] = ["ctl_vehicle", *["trt_cp"] * 5]
    (tmp_path / "moa.csv").write_text("name,moa\npaclitaxel,x\na,x\nc,y\nd,y\n")
    options, notes = ImportOptions(moa=tmp_path / "moa.csv"), Notes()
    table, design = read_text_table(options.moa), Design(frame, {"compound": "pert_iname"})
    known = Table(name="moa.csv", columns=described_mechanisms("moa.csv", table))
    mapping = Mapping(columns={"pert_iname": Column(role="compound")}, mechanisms_table=known)
    mapping = decide_mechanisms(mapping, metadata, design, table, options, notes)
    assert label_wells(metadata, design, mapping, table, options, notes).table["x"].tolist() == [0, 1, 1, 0, 0, 1]


def test_mechanisms_of_a_mapping_need_their_columns():
    index = ["w0", "w1"]
    wells = pd.DataFrame({"drug": ["a", "b"], "moa": ["x", "y"]}, index=index)
    frame = pd.DataFrame({"compound": ["a", "b"], "cp_type": "trt_cp"}, index=index)
    table = pd.DataFrame({"name": ["a", "b"], "action": ["x", "y"]}, index=[2, 3])
    design = Design(frame, {"compound": "drug"})
    for rule, read, message in (
        (Mechanisms(column="effect"), None, "column 'effect' of mechanisms is not in the files"),
        (Mechanisms(table="old.csv", column="moa", by=("name",), wells="drug"), table, "'moa' .* is not in old.csv"),
        (Mechanisms(table="old.csv", column="action", by=("id",), wells="drug"), table, "'id' .* is not in old.csv"),
        (
            Mechanisms(table="old.csv", column="action", by=("name",)),
            None,
            "a table such as old.csv; give one with --moa",
        ),
    ):
        with pytest.raises(UserError, match=message):
            label_wells(wells, design, Mapping(mechanisms=rule), read, ImportOptions(), Notes())
