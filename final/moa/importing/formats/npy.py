"""Read arrays of NumPy (``.npy``), such as embeddings: one row per well, whose names a table beside it has."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pandas as pd

from moa.errors import UserError
from moa.importing.identities import identified
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.profiles import Unnamed
from moa.importing.source import Source

NAME, ORDER = "NumPy's .npy", 12
_MAGIC = b"\x93NUMPY"


def recognises(source: Source) -> bool:
    """Whether the file starts as an array of NumPy does."""
    return source.head.startswith(_MAGIC)


def read(source: Source, options: ImportOptions, notes: Notes) -> Unnamed:
    """Read the array; rows are wells, columns are features.

    Raises:
        UserError: the file is damaged, holds Python objects, or has another number of dimensions than two.
    """
    name, content = source.name, BytesIO(source.content)
    damaged = UserError(f"{name}: the .npy file is damaged or cut short; copy or download it again")
    try:
        version = np.lib.format.read_magic(content)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(content)
    except (ValueError, SyntaxError, TypeError):
        raise damaged from None
    if dtype.kind not in "fiub":
        raise UserError(f"{name}: holds {dtype}; expected numbers, which need no pickle")
    if len(shape) != 2 or not all(shape):
        raise UserError(f"{name}: has the shape {shape}; expected two dimensions, wells by features")
    if shape[0] * shape[1] * dtype.itemsize != len(source.content) - content.tell():
        raise damaged
    values = np.load(BytesIO(source.content), allow_pickle=False)
    values = values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)
    width = len(str(shape[0]))
    wells = pd.DataFrame(index=[f"{name.split('.')[0]}:{number:0{width}d}" for number in range(1, shape[0] + 1)])
    fields = pd.DataFrame(index=pd.Index([f"dim_{number}" for number in range(shape[1])], dtype=object))
    found = identified(values, wells, fields, options, notes)
    return Unnamed(found.values, found.wells, found.features, found.kind)
