"""What importing decides of compounds, controls, plates and mechanisms, from the files to the data folder."""

import pandas as pd
import pytest

from moa.data.mapping_file import MAPPING
from moa.errors import UserError
from moa.importing.import_plates import import_plates
from moa.importing.mapping import read_mapping
from moa.importing.options import ImportOptions

MECHANISMS = ("EGFR inhibitor", "HDAC inhibitor")


def screen(plates=("P1",), shift=0.0, **columns):
    """Plates of 8 DMSO wells and 6 compounds at 1 and 10; ``columns`` are as for ``DataFrame.assign``."""
    rows = []
    for plate in plates:
        rows += [(plate, f"A{well:02d}", "DMSO", 0, None) for well in range(1, 9)]
        for number, dose in enumerate((1, 10)):
            for compound in range(6):
                place = f"{'BC'[number]}{compound + 1:02d}"
                rows.append((plate, place, f"cmpd-{compound}", dose, MECHANISMS[compound % 2]))
    table = pd.DataFrame(rows, columns=["Plate", "Well", "Compound", "Dose", "MOA"])
    for feature in range(4):
        table[f"emb_{feature}"] = [100 + shift + (7 * row * (feature + 2)) % 11 for row in range(len(table))]
    return table.assign(**columns)


@pytest.fixture
def imported(tmp_path):
    """Import tables; returns the counts, the notes and the written tables."""

    def imported(*tables, moa=None, **options):
        files = [tmp_path / f"plates{number}.csv" for number in range(len(tables))]
        for file, table in zip(files, tables, strict=True):
            table.to_csv(file, index=False)
        if moa is not None:
            (tmp_path / "moa.csv").write_text(moa)
            options["moa"] = tmp_path / "moa.csv"
        found = import_plates(files, tmp_path / "data", ImportOptions(**options))
        written = {path.stem: pd.read_csv(path) for path in (tmp_path / "data").glob("*.csv")}
        return dict(found.counts), "\n".join(found.notes.lines(10)), written

    return imported


def vehicles_of(written, **group):
    """The mean of the vehicles of some wells, largest over the features."""
    wells = written["wells"].set_index("sig_id")
    chosen = wells["cp_type"] == "ctl_vehicle"
    for name, value in group.items():
        chosen &= wells[name] == value
    values = written["train_features"].set_index("sig_id").filter(like="emb_")
    return values.loc[chosen[chosen].index].mean().abs().max()


def test_two_cell_lines_on_a_plate(imported):
    pytest.importorskip("pycytominer")
    lines = screen()["Well"].str[1:].astype(int) % 2
    counts, noted, written = imported(
        screen(("P1", "P2"), cell_line=[*lines.map({0: "A549", 1: "MCF7"})] * 2).assign(
            emb_0=lambda table: table["emb_0"] + 60 * (table["cell_line"] == "MCF7")
        ),
        against="vehicle",
    )
    assert "of 4 groups against the group's vehicle wells" in noted and counts["plates"] == "2"
    for line in ("A549", "MCF7"):
        assert vehicles_of(written, Metadata_cell_line=line) < 1e-5, "one line lay below 0, the other above"


def test_plates_of_one_name_in_two_batches(imported):
    pytest.importorskip("pycytominer")
    counts, _, written = imported(screen(("1", "2")).assign(Batch="a"), screen(("1", "2"), 300).assign(Batch="b"))
    assert counts["plates"] == "4" and set(written["wells"]["plate"]) == {"1 (a)", "1 (b)", "2 (a)", "2 (b)"}
    assert all(vehicles_of(written, plate=plate) < 1e-5 for plate in set(written["wells"]["plate"]))


def test_files_without_batches_and_places(imported):
    pytest.importorskip("pycytominer")
    counts, noted, _ = imported(*(screen(("1", "2"), shift).drop(columns="Well") for shift in (0, 300)))
    assert counts["plates"] == "4" and "plates of one name that differ in their file are several plates: 1, 2" in noted


def test_the_mapping_holds_the_decisions_and_gives_the_same_folder_again(imported, tmp_path):
    pytest.importorskip("pycytominer")
    spelt = screen(("1", "2")).assign(
        Compound=lambda table: table["Compound"].where(table["Plate"] == "2", table["Compound"].str.upper()),
        Batch="a",
    )
    tables = (spelt, screen(("1", "2"), 300).assign(Batch="b"))
    moa = "Drug,dose (nM),MOA\n" + "".join(
        f"cmpd {number},{dose},{MECHANISMS[number % 2]}; {MECHANISMS[1 - number % 2]}\n"
        for number in range(6)
        for dose in (1000, 10000)
    )
    tables = [table.drop(columns="MOA").rename(columns={"Dose": "Dose (µM)"}) for table in tables]
    counts, _, first = imported(*tables, moa=moa)
    assert counts["compounds"] == "6, for training 6" and counts["targets"].startswith("2")
    mapping = read_mapping(tmp_path / "data" / MAPPING)
    assert mapping.compounds.column == "Compound" and mapping.controls.names == ("DMSO",)
    assert mapping.references.apart == ("Batch",)
    assert mapping.mechanisms.by == ("Drug", "dose (nM)") and mapping.mechanisms.separators == ("|", ";")
    kept = tmp_path / "kept.yaml"
    kept.write_text((tmp_path / "data" / MAPPING).read_text())
    _, _, again = imported(*tables, moa=moa, mapping=kept)
    assert all(again[name].equals(first[name]) for name in first)


def test_doses_of_the_wells_and_of_the_table_in_other_kinds_of_units(imported):
    table = screen().drop(columns="MOA").rename(columns={"Dose": "Dose (µM)"})
    with pytest.raises(UserError, match=r"moa.csv: its doses \('Dose'\) are in µg/mL, those of the wells in µM"):
        imported(table, moa="Compound,Dose,MOA\ncmpd-0,1 ug/ml,x\ncmpd-1,1 ug/ml,x\n")


def test_named_controls_leave_no_nameless_well_behind(imported, tmp_path):
    pytest.importorskip("pycytominer")
    table = screen(Compound=lambda table: table["Compound"].mask(table["Well"] == "B01"))
    counts, noted, written = imported(table, control="DMSO")
    assert "1 well without a compound: P1:B01" in noted and counts["training wells"] == "19, treated 11"
    assert not written["train_drug"]["drug_id"].isna().any()
