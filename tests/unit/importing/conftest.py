"""Shared by the tests of importers: reading one file, and small files to read."""

from pathlib import Path

import pandas as pd
import pytest

from moa.importing.combine import profiles_of, read_all
from moa.importing.describe import describe
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions


@pytest.fixture
def read():
    """Read one file of any format; returns its profiles."""

    def read(path: Path, notes: Notes | None = None, **options):
        options, notes = ImportOptions(**options), Notes() if notes is None else notes
        found = read_all([path], options, notes)
        return profiles_of(found, describe(found, options, notes), options, notes)

    return read


@pytest.fixture
def small():
    """Values, wells and row fields of four wells and three genes."""
    index = ["P1:A01", "P1:A02", "P1:A03", "P1:A04"]
    rows = pd.DataFrame(
        {"pr_gene_id": ["5720", "55847", "7416"], "pr_gene_symbol": ["PSME1", "CISD1", "VDAC1"]},
        index=["200814_at", "218597_s_at", "217140_s_at"],
    )
    values = pd.DataFrame(
        [[1.5, 2.25, -3.0], [0.5, 1e-5, 4.0], [7.0, 8.0, 9.0], [0.0, -1.0, 2.0]], index=index, columns=rows.index
    )
    wells = pd.DataFrame(
        {
            "det_plate": ["P1"] * 4,
            "det_well": ["A01", "A02", "A03", "A04"],
            "pert_type": ["ctl_vehicle", "trt_cp", "trt_cp", "trt_poscon"],
            "pert_iname": ["DMSO", "one", "two", "three"],
            "pert_dose": ["-666", "10", "3.33", "10"],
        },
        index=index,
    )
    return values, wells, rows
