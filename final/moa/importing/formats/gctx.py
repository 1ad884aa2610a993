"""Read GCTX 1.0, L1000 plates as HDF5. The matrix is stored as (columns, rows): wells by features."""

from __future__ import annotations

import numpy as np
import pandas as pd

from moa.errors import UserError
from moa.importing.fields import refuse_repeated
from moa.importing.hdf5 import Hdf5File, is_hdf5, name_of, opened
from moa.importing.identities import identified, landmarks
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.profiles import Profiles, text_table
from moa.importing.source import Source

NAME, ORDER = "GCTX", 10
_MATRIX, _ROWS, _COLUMNS = "0/DATA/0/matrix", "0/META/ROW", "0/META/COL"


def recognises(source: Source) -> bool:
    """Whether the file is HDF5 with the group of a GCTX file, or with neither that nor the groups of AnnData."""
    return is_hdf5(source) and ("0" in opened(source) or not {"obs", "var"} <= set(opened(source).members("")))


def read(source: Source, options: ImportOptions, notes: Notes) -> Profiles:
    """Read a GCTX file; of an L1000 file with inferred genes only the landmark genes, unless all are asked for.

    Raises:
        UserError: the file is damaged or no GCTX file.
    """
    file = opened(source)
    for path in (_MATRIX, f"{_ROWS}/id", f"{_COLUMNS}/id"):
        if path not in file:
            raise UserError(
                f"{source.name}: HDF5 without '{path}'; expected a GCTX file, or AnnData with X, obs and var"
            )
    rows, columns = _fields(source, file, _ROWS, "row"), _fields(source, file, _COLUMNS, "column")
    shape = file.items[_MATRIX].shape
    if shape != (len(columns), len(rows)):
        turned = " (it is transposed)" if shape == (len(rows), len(columns)) else ""
        raise UserError(
            f"{source.name}: '{_MATRIX}' has the shape {shape}{turned}; expected ({len(columns):,}, {len(rows):,}), "
            "columns by rows"
        )
    keep = landmarks(rows, options, notes)
    chosen = np.arange(len(rows)) if keep is None else np.flatnonzero(keep)
    values = file.numbers(_MATRIX, None if keep is None else chosen, source.report)
    if values.dtype != np.float32:
        values = values.astype(np.float64, copy=False)
    return identified(values, columns, rows.iloc[chosen], options, notes)


def _fields(source: Source, file: Hdf5File, group: str, what: str) -> pd.DataFrame:
    """The metadata of rows or columns, as text, indexed by their ids."""
    shape = file.items[f"{group}/id"].shape
    table = {}
    for name in file.members(group):
        found = file.items[f"{group}/{name}"].shape
        if found != shape or len(found or ()) != 1:
            raise UserError(
                f"{source.name}: '{group}/{name_of(name)}' has the shape {found}; expected {shape}, one value per id"
            )
        table[name_of(name)] = pd.Series(file.texts(f"{group}/{name}"))
    ids = pd.Series(table.pop("id")).astype(str).str.strip()
    if not len(ids):
        raise UserError(f"{source.name}: '{group}/id' is empty; expected at least one {what}")
    refuse_repeated(ids, f"{source.name}: '{group}/id': {what} id")
    return text_table(pd.DataFrame(table, index=range(len(ids)))).set_axis(ids.to_numpy(), axis=0)
