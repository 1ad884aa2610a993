"""What is known about rows: a table of wells first, then the files of the data set."""

import pandas as pd
import pytest

from moa.data.assay import COMPETITION
from moa.data.wells import describe_rows, read_wells
from moa.errors import DataError


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
