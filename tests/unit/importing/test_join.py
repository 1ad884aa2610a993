"""Tables of plates and wells are joined by what their columns hold."""

import pandas as pd
import pytest

from moa.errors import UserError
from moa.importing.join import decide_join, join_wells
from moa.importing.mapping import Column, Join, Mapping, Table
from moa.importing.notes import Notes
from moa.importing.text_tables import read_text_table

WELLS = pd.DataFrame(
    {
        "Image_Metadata_Plate": ["Week1_1", "Week1_1", "Week1_2", "Week1_2"],
        "Image_Metadata_Well": ["A01", "B12", "A01", "C03"],
        "Metadata_Plate_Map_Name": ["M1", "M1", "M2", "M2"],
    },
    index=["a", "b", "c", "d"],
    dtype=object,
)
MAPPING = Mapping(columns={"Image_Metadata_Plate": Column(role="plate"), "Image_Metadata_Well": Column(role="well")})


def joined(tmp_path, text, wells=WELLS, earlier=()):
    (tmp_path / "map.csv").write_text(text)
    table, notes = read_text_table(tmp_path / "map.csv"), Notes()
    join = decide_join(MAPPING, wells, table, "map.csv", notes)
    return join_wells(wells, table, join, MAPPING, notes, earlier), "\n".join(notes.lines())


def test_plate_and_well_whatever_they_are_called(tmp_path):
    text = "Replicate,Barcode_X,Position_Y,Drug\n1,week1_1,a1,x\n1,Week1_1,B12,y\n2,Week1_2,A01,z\n2,Week1_9,A01,w\n"
    table, noted = joined(tmp_path, text)
    assert table["Drug"].fillna("").tolist() == ["x", "y", "z", ""]
    assert "'Barcode_X' = 'Image_Metadata_Plate' and 'Position_Y' = 'Image_Metadata_Well': 3 wells found" in noted
    assert "1 well of the files are not in it: d" in noted and "1 row of it are of no well" in noted


def test_a_map_of_places_holds_for_every_plate(tmp_path):
    table, noted = joined(tmp_path, "well;Drug\nA01;x\nB12;y\nC03;z\n")
    assert table["Drug"].tolist() == ["x", "y", "x", "z"] and "holds for each of the 2 plates" in noted


def test_a_table_of_plates(tmp_path):
    table, _ = joined(tmp_path, "assay_plate\tcell\nWeek1_1\tA549\nWeek1_2\tU2OS\n")
    assert table["cell"].tolist() == ["A549", "A549", "U2OS", "U2OS"]


def test_the_name_of_the_plate_map(tmp_path):
    table, noted = joined(tmp_path, "plate_map_name,well_position,Drug\nM1,A01,x\nM1,B12,y\nM2,A01,z\nM2,C03,w\n")
    assert table["Drug"].tolist() == ["x", "y", "z", "w"] and "'plate_map_name' = 'Metadata_Plate_Map_Name'" in noted


@pytest.mark.parametrize(("ours", "theirs"), [("7", "7.0"), ("007", "7"), ("7", "007"), ("0007", "07"), ("007", "7.0")])
def test_numbers_of_plates_are_compared_as_numbers(tmp_path, ours, theirs):
    wells = WELLS.assign(Image_Metadata_Plate=[ours, ours, "8", "8"])
    text = f"plate,well,Drug\n{theirs},A01,x\n{theirs},B12,y\n8.0,A01,z\n8.0,C03,w\n"
    assert joined(tmp_path, text, wells)[0]["Drug"].tolist() == ["x", "y", "z", "w"]


def test_zeros_in_front_count_where_a_column_uses_them_to_tell_plates_apart(tmp_path):
    wells = WELLS.assign(Image_Metadata_Plate=["7", "7", "007", "007"])
    table, _ = joined(tmp_path, "plate,well,Drug\n7,A01,x\n7,B12,y\n007,A01,z\n007,C03,w\n", wells)
    assert table["Drug"].tolist() == ["x", "y", "z", "w"]


def test_the_names_of_the_wells(tmp_path):
    """Tables of instances beside LINCS files have them; other columns need not match."""
    text = "inst_id\tdet_plate\tpert_iname\nb\tX\ty\na\tX\tx\nc\tX\tz\nq\tX\tw\n"
    wells = WELLS.drop(columns=["Image_Metadata_Plate", "Image_Metadata_Well"])
    table, noted = joined(tmp_path, text, wells)
    assert table["pert_iname"].fillna("").tolist() == ["x", "y", "z", ""] and table["det_plate"].iloc[0] == "X"
    assert "'inst_id' = the names of the wells: 3 wells found" in noted


def test_equal_rows_do_no_harm_and_replaced_columns_are_reported(tmp_path):
    text = "plate,well,Metadata_Plate_Map_Name,note\nWeek1_1,A01,N,\nWeek1_1,A01,N,\n"
    table, noted = joined(tmp_path, text)
    assert table["Metadata_Plate_Map_Name"].fillna("").tolist() == ["N", "", "", ""]
    assert "its columns replace those of the files: Metadata_Plate_Map_Name" in noted


def test_a_join_of_a_mapping_needs_its_columns():
    table = pd.DataFrame({"plate": ["Week1_1"], "Drug": ["x"]})
    for join, place in (
        (Join(table="new.csv", wells=("Batch",), on=("plate",)), "'Batch', which is not in the files"),
        (Join(table="new.csv", wells=("Image_Metadata_Plate",), on=("barcode",)), "'barcode', which is not in new.csv"),
    ):
        with pytest.raises(UserError, match=f"joins new.csv on column {place}"):
            join_wells(WELLS, table, join, MAPPING, Notes())


def test_a_map_of_each_plate(tmp_path):
    first, _ = joined(tmp_path, "plate,well,Drug\nWeek1_1,A01,x\nWeek1_1,B12,y\n")
    both, noted = joined(tmp_path, "plate,well,Drug\nWeek1_2,A01,z\nWeek1_2,C03,w\n", first, {"Drug"})
    assert both["Drug"].tolist() == ["x", "y", "z", "w"] and "replace" not in noted


def test_two_maps_without_plates_are_refused(tmp_path):
    (tmp_path / "map.csv").write_text("well,Drug\nA01,x\nB12,y\nC03,z\n")
    table = read_text_table(tmp_path / "map.csv")
    known = Table(name="first.csv", columns={column: Column(role="metadata") for column in table})
    join = Join(table="first.csv", wells=("Image_Metadata_Well",), on=("well",))
    with pytest.raises(UserError, match="first.csv and map.csv name no plates, so each would hold for all"):
        decide_join(MAPPING.with_(tables=(known,), joins=(join,)), WELLS, table, "map.csv", Notes())


def test_rows_and_columns_of_a_map(tmp_path):
    text = "plate,Row,Column,Drug\nWeek1_1,A,1,x\nWeek1_1,2,12,y\nWeek1_2,A,01,z\nWeek1_2,C,3,w\n"
    assert joined(tmp_path, text)[0]["Drug"].tolist() == ["x", "y", "z", "w"]


def test_numbered_wells_are_no_places(tmp_path):
    text = "plate,Well,Drug\nWeek1_1,1,x\nWeek1_1,24,y\nWeek1_2,1,z\n"
    with pytest.raises(UserError, match="no column holds places .*such as 'A01' .its column 'Well' holds '1'.; write"):
        joined(tmp_path, text)
