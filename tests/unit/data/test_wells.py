"""Names of wells, and what is known about rows: a table of wells first, then the files of the data set."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moa.data.assay import COMPETITION
from moa.data.wells import describe_rows, format_well, parse_well, read_wells, well_name
from moa.errors import DataError


@pytest.mark.parametrize(
    ("name", "place"),
    [("A01", (0, 0)), ("p24", (15, 23)), ("AF48", (31, 47)), ("B_2", (1, 1)), (" H12 ", (7, 11)), ("a-003", (0, 2))]
    + [(name, None) for name in ("7", "A0", "A100", "ABC1", "A1.5", "well", "", "nan", None)],
)
def test_rows_and_columns_of_names(name, place):
    assert parse_well(name) == place


@given(st.integers(0, 701), st.integers(0, 98), st.sampled_from(["{}{}", "{}-{}", "{} 0{}", " {}_{} "]))
def test_a_place_has_one_name_however_it_is_spelt(row, column, spelling):
    name = format_well(row, column)
    assert parse_well(name) == (row, column)
    letters, number = name.rstrip("0123456789"), str(column + 1)
    assert well_name(spelling.format(letters, number)) == well_name(spelling.format(letters.lower(), number)) == name


def test_other_texts_are_no_names_of_wells_and_stay():
    assert [well_name(text) for text in ("AA1", "well 7", " x ", 12)] == ["AA01", "well 7", "x", "12"]


def test_without_a_table_the_competitions_files_say_compound_dose_and_time(dataset):
    known = describe_rows(dataset.features, dataset.schema, dataset.drugs)
    assert list(known) == ["compound", "dose", "time", "treatment"]
    row = dataset.features.index[5]
    dose, drug = dataset.features.loc[row, "cp_dose"], dataset.drugs[row]
    assert known.loc[row].tolist() == [drug, dose, dataset.features.loc[row, "cp_time"], f"{drug} @ {dose}"]
    assert list(describe_rows(dataset.test, COMPETITION)) == ["dose", "time"]  # no compound, no treatment


def test_a_table_of_wells_comes_first(dataset, tmp_path):
    rows = dataset.features.index
    path = tmp_path / "wells.csv"
    table = pd.DataFrame({"sig_id": rows[::-1], "plate": 12, "dose": 0.5, "compound": "x", "batch": "b1"})
    table.loc[3, "compound"] = None
    table.to_csv(path, index=False)
    known = describe_rows(dataset.features, dataset.schema, dataset.drugs, read_wells(path))
    assert known.index.equals(rows) and known["plate"].iloc[0] == "12" and known["treatment"].iloc[0] == "x @ 0.5"
    assert known["treatment"].isna().sum() == 1 and known["time"].notna().all() and (known["batch"] == "b1").all()
    part = describe_rows(dataset.features, dataset.schema, None, read_wells(path).iloc[:10])
    assert part.index.equals(rows) and part["plate"].notna().sum() == 10


def test_a_row_twice_and_a_missing_table_are_refused(tmp_path):
    path = tmp_path / "wells.csv"
    path.write_text("sig_id,plate\na,1\na,2\n")
    with pytest.raises(DataError, match="line 3.*holds 'a'.*each once"):
        read_wells(path)
    with pytest.raises(DataError, match="missing"):
        read_wells(tmp_path / "none.csv")
