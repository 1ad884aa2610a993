"""Small plates as the steps of an import take them: metadata of wells, and what is decided of them."""

import numpy as np
import pandas as pd

from moa.importing.describe import Read, describe
from moa.importing.design import FILE, decide_wells, design
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.profiles import Profiles


def plate(**columns):
    """Profiles of wells with one feature; ``columns`` are their metadata, None where missing."""
    wells = pd.DataFrame(columns, dtype=object).replace({None: np.nan})
    wells.index = [f"w{number}" for number in range(len(wells))]
    if FILE not in wells:
        wells.insert(0, FILE, "plate.csv")
    values = pd.DataFrame(np.arange(len(wells), dtype=float)[:, None], index=wells.index, columns=["f"])
    return Profiles(values, wells, pd.DataFrame({"group": ["features"]}, index=["f"]), "profiles")


def mapped(profiles, notes=None, **options):
    """The mapping of some profiles, with the rules for compounds, controls and reference groups."""
    options, notes = ImportOptions(**options), Notes() if notes is None else notes
    described = describe(Read([("plate.csv", profiles)], []), options, notes)
    return decide_wells(described, profiles, options, notes)


def designed(profiles, notes=None, **options):
    """The profiles that are left and what was done to their wells."""
    notes = Notes() if notes is None else notes
    return design(profiles, mapped(profiles, notes, **options), notes)
