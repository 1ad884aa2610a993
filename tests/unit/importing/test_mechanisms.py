"""Mechanisms are joined case- and punctuation-blind, by compound or by compound and dose, and controls have none."""

import numpy as np
import pandas as pd
import pytest

from moa.importing.design import Design
from moa.importing.mechanisms import label_wells, name_key
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions

COMPOUNDS = ["DMSO", "AKT-inhibitor-1-2", "Vemurafenib", "PLX-4720", "nobody", "Vemurafenib"]


def labels(
    table=None, tmp_path=None, doses=(np.nan, 1, 1, 1, 1, 10), wells=None, fields=None, encoding="utf-8", **options
):
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
    notes = Notes()
    found = label_wells(
        metadata, Design(frame, {"compound": "pert_iname"} | (fields or {})), ImportOptions(**options), notes
    )
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


def test_no_mechanisms_at_all():
    found, noted = labels()
    assert (
        found.table.shape == (6, 0)
        and found.known.tolist() == [True, *[False] * 5]
        and "--moa TABLE joins them" in noted
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("AKT inhibitor-1,2", "akt-Inhibitor 1-2"),
        ("TNF-α", "tnf alpha"),
        ("Ménière", "meniere"),
        ("β-arrestin", "Beta arrestin"),
    ],
)
def test_names_that_are_one(one, other):
    assert name_key(one) == name_key(other)
    assert name_key("AKT1") != name_key("AKT2")
