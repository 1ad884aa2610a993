"""Read GCTX 1.0, L1000 plates as HDF5. The matrix is stored as (columns, rows): wells by features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from moa.errors import UserError
from moa.importing.fields import refuse_repeated
from moa.importing.hdf5 import groups, opened, texts
from moa.importing.identities import identified, landmarks
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.profiles import Profiles, text_table
from moa.importing.source import Source

if TYPE_CHECKING:
    import h5py

NAME, ORDER = "GCTX", 10
_MATRIX, _ROWS, _COLUMNS = "0/DATA/0/matrix", "0/META/ROW", "0/META/COL"
#: Wells read at once, of all genes of the file.
_AT_ONCE = 2048


def recognises(source: Source) -> bool:
    """Whether the file is HDF5 with the group of a GCTX file, or with neither that nor the groups of AnnData."""
    names = groups(source)
    return names is not None and ("0" in names or not {"obs", "var"} <= names)


def read(source: Source, options: ImportOptions, notes: Notes) -> Profiles:
    """Read a GCTX file; of an L1000 file with inferred genes only the landmark genes, unless all are asked for.

    Raises:
        UserError: the file is damaged or no GCTX file.
    """
    with opened(source) as file:
        for path in (_MATRIX, f"{_ROWS}/id", f"{_COLUMNS}/id"):
            if path not in file:
                raise UserError(
                    f"{source.name}: HDF5 without '{path}'; expected a GCTX file, or AnnData with X, obs and var"
                )
        matrix = file[_MATRIX]
        rows, columns = _fields(source, file[_ROWS], "row"), _fields(source, file[_COLUMNS], "column")
        if matrix.shape != (len(columns), len(rows)):
            turned = " (it is transposed)" if matrix.shape == (len(rows), len(columns)) else ""
            raise UserError(
                f"{source.name}: '{_MATRIX}' has the shape {matrix.shape}{turned}; expected ({len(columns):,}, "
                f"{len(rows):,}), columns by rows"
            )
        if matrix.dtype.kind not in "fiu":
            raise UserError(f"{source.name}: '{_MATRIX}' holds {matrix.dtype}; expected numbers")
        keep = landmarks(rows, options, notes)
        chosen = np.arange(len(rows)) if keep is None else np.flatnonzero(keep)
        dtype = matrix.dtype if matrix.dtype == np.float32 else np.float64
        values = np.empty((len(columns), len(chosen)), dtype)
        for first in range(0, len(columns), _AT_ONCE):
            values[first : first + _AT_ONCE] = matrix[first : first + _AT_ONCE][:, chosen]
            source.report(min(1.0, (first + _AT_ONCE) / len(columns)))
    return identified(values, columns, rows.iloc[chosen], options, notes)


def _fields(source: Source, group: h5py.Group, what: str) -> pd.DataFrame:
    """The metadata of rows or columns, as text, indexed by their ids."""
    size = len(group["id"])
    table = {}
    for name, values in group.items():
        if values.shape != (size,):
            raise UserError(
                f"{source.name}: '{values.name}' has the shape {values.shape}; expected ({size:,},), one value per id"
            )
        table[name] = pd.Series(texts(values[:]))
    ids = pd.Series(table.pop("id")).astype(str).str.strip()
    if not size:
        raise UserError(f"{source.name}: '{group.name}/id' is empty; expected at least one {what}")
    refuse_repeated(ids, f"{source.name}: '{group.name}/id': {what} id")
    return text_table(pd.DataFrame(table, index=range(size))).set_axis(ids.to_numpy(), axis=0)
