"""Values are compared with controls of the same plate and of the same cell line, batch and time."""

import numpy as np
import pandas as pd
import pytest

from moa.errors import UserError
from moa.importing.design import design
from moa.importing.normalise import normalise
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.profiles import Profiles
from support.plates_in_memory import designed, mapped, plate

#: A plate of 8 vehicles and 4 compounds.
COMPOUNDS = ["DMSO"] * 8 + list("abcd")
PLACES = [f"A{number:02d}" for number in range(1, 13)]


def twice(**columns):
    """Two groups of the same wells; ``columns`` have a value for each group."""
    wide = {name: [value for value in values for _ in COMPOUNDS] for name, values in columns.items()}
    return plate(compound=COMPOUNDS * 2, **wide)


def test_cell_lines_on_a_plate_are_compared_with_their_own_vehicles():
    notes = Notes()
    profiles = twice(plate=["P1", "P1"], cell_line=["A549", "MCF-7"])
    profiles.wells.iloc[-1, profiles.wells.columns.get_loc("cell_line")] = "mcf7"
    random = np.random.default_rng(0)
    raw = random.normal(100, 5, (24, 3)) + np.repeat([0, 60], 12)[:, None]
    features = pd.DataFrame({"group": "features"}, index=list("xyz"))
    profiles = Profiles(pd.DataFrame(raw, profiles.wells.index, list("xyz")), profiles.wells, features, "profiles")
    profiles, found = designed(profiles, notes)
    assert found.table["group"].unique().tolist() == ["P1 (A549)", "P1 (MCF-7)"] and set(found.table["plate"]) == {"P1"}
    pytest.importorskip("pycytominer")
    done, _ = normalise(profiles, found, "raw", ImportOptions(), notes)
    for line in ("P1 (A549)", "P1 (MCF-7)"):
        vehicles = done.values[(found.table["group"] == line) & found.controls]
        assert vehicles.mean().abs().max() < 1e-9, "both lines' vehicles lie at 0"
    assert "of 2 groups against the group's vehicle wells" in "\n".join(notes.lines())


def test_what_may_be_cell_lines_is_named():
    notes = Notes()
    mapped(twice(plate=["P1", "P1"], Model=["A549", "MCF-7"], run_by=["x", "x"]), notes)
    line = next(line for line in notes.lines() if "cell_line" in line)
    assert "differ within each plate, among its vehicle wells too" in line and line.endswith(
        "`settings: {cell_line: COLUMN}` in a file for --mapping: Model"
    )


def test_plates_of_one_name_in_two_batches_are_two_plates():
    for columns in ({"well": None}, {}):
        profiles = twice(plate=["1", "1"], Batch=["2024-01", "2024-02"])
        if columns:
            profiles.wells["well"] = PLACES * 2
        notes = Notes()
        _, found = designed(profiles, notes)
        assert found.table["plate"].unique().tolist() == ["1 (2024-01)", "1 (2024-02)"]
        assert "plates of one name that differ in 'Batch' are several plates: 1" in "\n".join(notes.lines())


def test_the_batch_of_a_compound_makes_no_plates():
    lots = {"Batch": [f"lot {number}" for number in range(12)]}
    for compounds in (COMPOUNDS, [f"c{number}" for number in range(12)]):
        found = designed(plate(compound=compounds, plate=["1"] * 12, **lots))[1]
        assert set(found.table["plate"]) == set(found.table["group"]) == {"1"}


def test_the_same_wells_again_are_other_plates_by_replicates_or_files():
    profiles = twice(plate=["1", "1"], Replicate=["1", "2"])
    profiles.wells["well"] = PLACES * 2
    assert designed(profiles)[1].table["plate"].nunique() == 2
    profiles = twice(plate=["1", "1"], Metadata_file=["one.csv", "two.csv"])
    profiles.wells["well"] = PLACES * 2
    assert mapped(profiles).references.apart == ("Metadata_file",)
    profiles.values.iloc[12:] = profiles.values.iloc[:12].to_numpy()
    with pytest.raises(UserError, match=r"one.csv and two.csv: plate 1, well A01 has the same values in both"):
        mapped(profiles)


def test_files_without_wells_are_plates_of_their_own_if_each_has_vehicles():
    assert designed(twice(plate=["1", "1"], Metadata_file=["one.csv", "two.csv"]))[1].table["plate"].nunique() == 2
    profiles = twice(plate=["1", "1"], Metadata_file=["one.csv", "two.csv"])
    profiles.wells.loc[profiles.wells.index[12:], "compound"] = list("abcdefghijkl")
    assert designed(profiles)[1].table["plate"].nunique() == 1
    # Wells that are known and differ are parts of one plate.
    profiles = twice(plate=["1", "1"], Metadata_file=["one.csv", "two.csv"])
    profiles.wells["well"] = [*PLACES, *(place.replace("A", "B") for place in PLACES)]
    assert designed(profiles)[1].table["plate"].nunique() == 1


def test_times_are_groups_if_they_have_vehicles_of_their_own():
    profiles = twice(plate=["1", "1"], time=["6 h", "24 h"])
    assert designed(profiles)[1].table["group"].unique().tolist() == ["1 (6 h)", "1 (24 h)"]
    profiles.wells["time"] = ["24 h"] * 8 + ["6 h", "6", "24", "24 h"] + ["24"] * 12
    notes = Notes()
    _, found = designed(profiles, notes)
    assert found.table["group"].unique().tolist() == ["1"]
    assert "'time' differs on plates, but not each of its values has 2 vehicle wells" in "\n".join(notes.lines())


def test_a_group_with_few_vehicles_is_named():
    profiles = twice(plate=["1", "1"], cell_line=["A549", "MCF7"])
    profiles.wells.loc[profiles.wells.index[12:17], "compound"] = "e"
    notes = Notes()
    profiles, found = designed(profiles, notes)
    pytest.importorskip("pycytominer")
    normalise(profiles, found, "raw", ImportOptions(), notes)
    assert "of 1 group against all wells of the group (fewer than 6 vehicle wells): 1 (MCF7)" in "\n".join(
        notes.lines()
    )


def test_a_group_that_is_too_small_says_how_to_compare_with_the_plate():
    profiles, found = designed(plate(compound=["DMSO", "a", "b", "c"], cell_line=["x", "x", "x", "y"]))
    with pytest.raises(UserError, match=r"group plate \(y\) has 1 well: too few .* from references in a mapping"):
        normalise(profiles, found, "3", ImportOptions(against="plate"), Notes())


def test_reference_groups_of_a_mapping_need_their_columns():
    profiles = twice(plate=["1", "1"], cell_line=["A549", "MCF7"])
    mapping = mapped(profiles)
    del profiles.wells["cell_line"]
    with pytest.raises(UserError, match="column 'cell_line' of reference groups is not in the files"):
        design(profiles, mapping, Notes())
