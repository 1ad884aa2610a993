"""Vehicles are recognised by what is evident, and what is not treated leaves, also where controls are named."""

import pytest

from moa.errors import UserError
from moa.importing.design import design
from moa.importing.mapping import Controls
from moa.importing.notes import Notes
from moa.importing.vehicles import kind_of_compound, kind_of_type
from support.plates_in_memory import designed, mapped, plate


@pytest.mark.parametrize(
    "name",
    [
        "DMSO", "dmso ", "DMSO 0.1%", "0.1% DMSO", "DMSO_0.5", "DMSO (vehicle)", "dmso-control", "Dimethyl sulfoxide",
        "dimethylsulphoxide 0.5 % (v/v)", "Vehicle control", "Veh. ctrl 2", "H2O", "0.1% EtOH in PBS", "DMSO only",
        "Me2SO", "NegCon", "negative control", "control", "JCP2022_033924", "JCP2022_915131", "CS(C)=O",
        "IAZDPXIOMUYVGZ-UHFFFAOYSA-N", "DMSO final 0.1 vol%",
    ],
)  # fmt: skip
def test_names_of_vehicles(name):
    assert kind_of_compound(name) == "vehicle"


@pytest.mark.parametrize(
    "name",
    ["DMSO-d6", "taxol in DMSO", "waterglass", "control peptide", "PBS-1", "negamycin", "NC", "mocktail", "vehiculin"],
)
def test_names_of_compounds(name):
    assert kind_of_compound(name) == ("vehicle" if name == "PBS-1" else "treated")


def test_wells_that_are_no_vehicles():
    assert kind_of_compound("JCP2022_999999") == kind_of_compound("untreated") == "untreated"
    assert kind_of_compound("JCP2022_UNKNOWN") == kind_of_compound("Empty") == "empty"
    assert kind_of_compound("Unknown") == kind_of_compound("not available") == "empty"
    assert [kind_of_type(word) for word in ("NC", "poscon", "trt", "neg. ctrl")] == [
        "vehicle",
        "positive",
        "treated",
        "vehicle",
    ]


def test_all_spellings_of_a_vehicle_on_one_plate():
    names = ["DMSO 0.1%", "0.1% DMSO", "Dimethyl sulfoxide", "taxol", "vorinostat"]
    notes = Notes()
    _, found = designed(plate(compound=names), notes)
    assert found.table["cp_type"].tolist() == ["ctl_vehicle"] * 3 + ["trt_cp"] * 2
    assert "vehicle controls; --control COLUMN=VALUE says otherwise: 0.1% DMSO, DMSO 0.1%, Dim" in "\n".join(
        notes.lines()
    )
    assert mapped(plate(compound=names)).controls.names == ("0.1% DMSO", "DMSO 0.1%", "Dimethyl sulfoxide")


def test_the_structure_of_a_vehicle_says_what_it_is():
    keys = ["IAZDPXIOMUYVGZ-UHFFFAOYSA-N", "RCINICONZNJXQF-MZXODVADSA-N", "WAEXFXRVDQXREF-UHFFFAOYSA-N"]
    _, found = designed(plate(compound=["solvent 7", "taxol", "vorinostat"], InChIKey=keys))
    assert found.controls.tolist() == [True, False, False]


def test_many_wells_of_each_plate_without_a_dose_are_the_vehicle():
    wells = {"plate": ["1"] * 10 + ["2"] * 10, "compound": (["X-17"] * 7 + ["a", "b", "c"]) * 2}
    notes = Notes()
    _, found = designed(plate(**wells, dose=(["0"] * 7 + ["1", "2", "3"]) * 2), notes)
    assert found.controls.sum() == 14 and "'X-17' is the vehicle" in "\n".join(notes.lines())
    # With a dose of its own in one well it is a compound like others, and is only pointed at.
    notes = Notes()
    _, found = designed(plate(**wells, dose=(["0"] * 6 + ["5", "1", "2", "3"]) * 2), notes)
    assert not found.controls.any() and "'X-17' stands in 14 wells" in "\n".join(notes.lines())


@pytest.mark.parametrize("name", ["Positive control", "Empty", "no cells", "blank", "Leer", "Vorinostat-ctrl"])
def test_what_is_no_vehicle_by_its_name_is_none_without_a_dose_either(name):
    wells = {"plate": ["1"] * 10, "compound": [name] * 7 + ["vorinostat", "b", "c"]}
    _, found = designed(plate(**wells, dose=["0"] * 7 + ["1", "2", "3"]))
    assert not found.controls.any()


def test_wells_with_a_dose_and_no_compound_are_named():
    """As in tables that were saved from a spreadsheet with merged cells."""
    notes = Notes()
    names = ["DMSO", "vorinostat", None, None, "taxol"]
    _, found = designed(plate(compound=names, dose=["0", "1", "10", "0", "1"]), notes)
    assert found.table["compound"].tolist() == ["DMSO", "vorinostat", "taxol"]
    said = next(line for line in notes.lines() if "have a dose;" in line)
    assert "as merged cells do" in said and said.endswith(": w2")


def test_treated_is_no_compound():
    wells = plate(Treatment=["DMSO", "treated", "treated"], CID=["", "2244", "3672"])
    with pytest.raises(UserError, match="'Treatment' says which wells are treated .*--compound, such as 'CID'"):
        mapped(wells)


def test_a_column_of_types_is_known_by_its_values():
    names, notes = ["x-17", "x-17", "a", "b"], Notes()
    profiles = plate(compound=names, Category=["NegCon", "NegCon", "trt", "POSCON"], level=["1", "0", "1", "1"])
    _, found = designed(profiles, notes)
    assert found.table["cp_type"].tolist() == ["ctl_vehicle", "ctl_vehicle", "trt_cp", "trt_poscon"]
    assert "column 'Category' says which wells are controls, by its values" in "\n".join(notes.lines())
    assert mapped(profiles).columns["Category"].role == "control"
    assert mapped(plate(compound=names, found=["yes", "no", "no", "no"])).column("control") is None


def test_named_controls_leave_nothing_untreated_behind():
    names = ["DMSO 0.1%", "empty", "untreated", None, "taxol", "water"]
    notes = Notes()
    profiles, found = designed(plate(compound=names), notes, control="dmso 0.1 %")
    assert list(profiles.values.index) == ["w0", "w4"]
    assert found.table["cp_type"].tolist() == ["ctl_vehicle", "trt_cp"]
    lines = "\n".join(notes.lines())
    assert "1 empty well" in lines and "1 untreated well" in lines and "1 well without a compound: w3" in lines
    assert "wells that look like vehicles, but that --control does not name: water" in lines


def test_a_named_control_that_is_not_there():
    with pytest.raises(UserError, match="--control: no well has 'b' in role"):
        mapped(plate(compound=["a", "c"], role=["x", "y"]), control="role=b")


def test_controls_of_a_mapping_are_found_on_other_plates():
    profiles = plate(compound=["vehicle X", "Vehicle-X", "a", "b"])
    mapping = mapped(profiles, control="vehicle X")
    assert mapping.controls == Controls(names=("vehicle X",), stated=True, reason="named by --control")
    assert design(profiles, mapping, Notes())[1].controls.tolist() == [True, True, False, False]
