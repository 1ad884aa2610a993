"""What was done to each well: controls, positive controls, doses, times and plates, with the names files use."""

import numpy as np
import pandas as pd
import pytest

from moa.errors import UserError
from moa.importing.fields import find_column, plain_name
from moa.importing.notes import Notes
from moa.importing.profiles import as_text
from moa.importing.roles import choose_roles
from support.plates_in_memory import designed, plate


def types(notes=None, control=None, **columns):
    profiles, found = designed(plate(**columns), notes, control=control)
    assert list(profiles.values.index) == list(found.table.index)
    return found.table["cp_type"].tolist()


def test_cmap():
    found = types(
        pert_type=["ctl_vehicle", "trt_cp", "trt_poscon", "ctl_untrt"], pert_iname=["DMSO", "a", "b", "UnTrt"]
    )
    assert found == ["ctl_vehicle", "trt_cp", "trt_poscon"]  # an untreated well is neither


def test_pycytominer_and_jump():
    assert types(
        Metadata_pert_type=["control", "trt", "control", None],
        Metadata_broad_sample=["DMSO", "BRD-1", "BRD-2", "BRD-3"],
    ) == ["ctl_vehicle", "trt_cp", "trt_poscon", "trt_cp"]
    assert types(
        Metadata_control_type=["negcon", None, "poscon_cp"],
        Metadata_pert_type=["control", "trt", "control"],
        Metadata_pert_iname=["DMSO", "a", "b"],
    ) == ["ctl_vehicle", "trt_cp", "trt_poscon"]


def test_without_a_column_of_types_the_solvent_is_the_control():
    notes = Notes()
    assert types(notes, compound=["dmso", "taxol", "EMPTY", None]) == ["ctl_vehicle", "trt_cp"]
    noted = "\n".join(notes.lines())
    assert "vehicle controls" in noted and "1 empty well" in noted and "1 well without a compound" in noted


def test_untreated_wells_are_controls_where_there_are_no_others():
    assert types(compound=["untreated", "taxol"]) == ["ctl_vehicle", "trt_cp"]


def test_stated_controls():
    columns = {"compound": ["blank medium", "a"], "role": ["k", "p"]}
    assert types(control="Blank medium", **columns) == ["ctl_vehicle", "trt_cp"]
    assert types(control="role=k", **columns) == ["ctl_vehicle", "trt_cp"]


def test_the_dose_of_controls_is_left_out_and_doses_of_words_are_levels():
    profiles = plate(
        pert_type=["ctl_vehicle", "trt_cp", "trt_cp"],
        pert_idose=["DMSO", "10.0 um", "0.37 um"],
        pert_itime=["24 h"] * 3,
    )
    _, found = designed(profiles)
    assert np.isnan(found.table["dose"].iloc[0]) and found.table["dose"].tolist()[1:] == [10, 0.37]
    assert found.table["time"].tolist() == [24, 24, 24] and (found.dose_unit, found.time_unit) == ("µM", "h")
    words = plate(cp_type=["ctl_vehicle", "trt_cp"], cp_dose=["D1", "D2"])
    _, found = designed(words)
    assert found.table["dose_level"].tolist()[1] == "D2" and found.table["dose"].isna().all()


def found_design(notes=None, **columns):
    """The design of wells of which the first is DMSO."""
    count = len(next(iter(columns.values())))
    columns = {"pert_type": ["ctl_vehicle", *["trt_cp"] * (count - 1)], **columns}
    return designed(plate(**columns), notes)[1]


def test_a_treated_well_with_dose_0_has_no_dose():
    """Models take the logarithm of a dose, and a compound at dose 0 is not its vehicle."""
    for zero in ("0", "0.0", "0 uM", "-0", "0e0"):
        found = found_design(pert_dose=["0", zero, "10", "10"])
        assert found.table["dose"].isna().tolist() == [True, True, False, False], zero
        assert found.table["cp_type"].tolist() == ["ctl_vehicle", "trt_cp", "trt_cp", "trt_cp"]
        assert found.quantity("dose").dropna().tolist() == [10, 10]


@pytest.mark.parametrize("dose", ["0", "-666", "DMSO", "-5", "1e9 furlongs", None, "10"])
def test_the_dose_of_a_control_is_not_read(dose):
    found = found_design(pert_dose=[dose, "3", "10 uM"])
    assert found.table["dose"].fillna(0).tolist() == [0, 3, 10] and found.dose_unit == "µM"


def test_negative_doses_are_refused_and_named():
    for low in ("-1", "-0.5 uM", "-1e-9"):
        with pytest.raises(UserError, match=r"column 'pert_dose' holds -\S+ \(well w2\); expected doses above 0"):
            found_design(pert_dose=["0", "10", low])


def test_a_missing_dose_is_missing_and_the_others_stay():
    found = found_design(pert_dose=["0", None, "0.04", "20"])
    assert found.table["dose"].fillna(-1).tolist() == [-1, -1, 0.04, 20] and found.dose_unit == ""


def test_doses_in_words_are_levels_and_a_number_among_them_is_refused():
    found = found_design(pert_dose=[None, "low", "high", "low"])
    assert found.quantity("dose").tolist()[1:] == ["low", "high", "low"] and found.table["dose"].isna().all()
    with pytest.raises(UserError, match="column 'pert_dose': 'low' among numbers"):
        found_design(pert_dose=[None, "low", "10"])


def test_wells_with_several_times_leave_where_others_have_one():
    notes = Notes()
    found = found_design(
        notes, pert_time=["24 h", "24 h", "6 h & 4 h", "48 h"], pert_dose=["0", "1", "1", "1 uM + 3 uM"]
    )
    assert list(found.table.index) == ["w0", "w1"]
    noted = "\n".join(notes.lines())
    assert "dropped: 1 well with several times in 'pert_time' ('6 h & 4 h'): w2" in noted
    assert "dropped: 1 well with several doses in 'pert_dose' ('1 uM + 3 uM'): w3" in noted
    found = found_design(pert_time=["24 h", "6 h & 4 h", "6 h & 4 h"])
    assert len(found.table) == 3 and found.table["time"].isna().tolist() == [False, True, True]


def test_time_0_is_a_time_and_controls_have_times_too():
    """Wells may be measured at the start; models take times as levels, not as logarithms."""
    found = found_design(pert_time=["0", "0", "24", None])
    assert found.table["time"].fillna(-1).tolist() == [0, 0, 24, -1] and found.time_unit == "h"


def test_units_beside_belong_to_pert_dose_and_not_to_pert_idose():
    columns = {"pert_dose": ["10"], "pert_dose_unit": ["nm"], "pert_type": ["trt_cp"]}
    assert designed(plate(**columns))[1].table["dose"].tolist() == [0.01]
    columns["pert_idose"] = ["10 um"]
    assert designed(plate(**columns))[1].table["dose"].tolist() == [10]


def test_batches_of_a_compound_are_one_compound():
    notes = Notes()
    profiles = plate(Metadata_broad_sample=["BRD-K76908866-001-06-8", "BRD-K76908866-003-01-1", "DMSO"])
    _, found = designed(profiles, notes)
    assert found.table["compound"].tolist() == ["BRD-K76908866", "BRD-K76908866", "DMSO"]
    assert "without the batch" in "\n".join(notes.lines())


def test_each_file_is_a_plate_where_no_column_names_plates():
    notes = Notes()
    profiles = plate(compound=["a", "b"])
    assert designed(profiles, notes)[1].table["plate"].tolist() == ["plate", "plate"]
    assert "--plate" in "\n".join(notes.lines())


def test_places():
    profiles = plate(well=["A3", "b03", "A-04", " p24", "AA1", "well 7"], compound=list("abcdef"))
    found = designed(profiles)[1].table["well"].tolist()
    assert found == ["A03", "B03", "A04", "P24", "AA01", "well 7"]
    profiles = plate(Metadata_Row=["1", "B", "28"], Metadata_Col=["3", "12", "48"], compound=list("abc"))
    assert designed(profiles)[1].table["well"].tolist() == ["A03", "B12", "AB48"]


def test_single_cells_are_not_wells():
    profiles = plate(plate=["1"] * 10, well=["A01"] * 5 + ["A02"] * 5)
    with pytest.raises(UserError, match="aggregate single cells or sites to wells first"):
        designed(profiles)


def test_columns_that_differ_in_case_alone():
    notes = Notes()
    columns = dict.fromkeys(["Metadata_plate", "Metadata_Plate", "Metadata_PLATE"], True)
    found = choose_roles(columns, {}, {}, lambda one, other: other == "Metadata_PLATE", notes)
    assert found == {"Metadata_plate": ("plate", "its name is known")}
    assert (
        notes.lines()[0]
        == "guessed: plate is in column 'Metadata_plate', not in the others of that name: Metadata_Plate"
    )
    with pytest.raises(UserError, match="fits the columns Metadata_plate, Metadata_Plate, Metadata_PLATE"):
        find_column(columns, "plate", "--plate")
    assert find_column(columns, "Metadata_Plate", "--plate") == "Metadata_Plate"


def test_fields_by_name():
    columns = {"Image_Metadata_Plate_DAPI": True, "pert_iname": False, "pert_id": True, "DOSE": True}
    assert plain_name("Image_Metadata_Plate_DAPI") == "plate_dapi"

    def roles(**stated):
        found = choose_roles(columns, {}, stated, lambda one, other: False, Notes())
        return {role: column for column, (role, _) in found.items()}

    assert roles() == {"plate": "Image_Metadata_Plate_DAPI", "compound": "pert_id", "dose": "DOSE"}
    assert roles(compound="dose") == {"plate": "Image_Metadata_Plate_DAPI", "compound": "DOSE"}


def test_metadata_as_text():
    assert as_text(pd.Series([24.0, np.nan, 3.0])).tolist()[0] == "24"
    assert as_text(pd.Series([3.33, -666], dtype=np.float32)).fillna("").tolist() == ["3.33", ""]
    assert as_text(pd.Series([b"a ", " b", "NaN", "-666", None])).fillna("").tolist() == ["a", "b", "", "", ""]
    assert as_text(pd.Series([b"10 \xb5M", "10 µM".encode()])).tolist() == ["10 µM", "10 µM"]
    assert as_text(pd.Series([True, False])).tolist() == ["True", "False"]
