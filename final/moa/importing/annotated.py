"""Read AnnData objects in memory: anything with ``X``, ``obs`` and ``var``; anndata itself is not needed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol, TypeGuard, runtime_checkable

import numpy as np
import pandas as pd

from moa.errors import UserError
from moa.importing.fields import refuse_repeated
from moa.importing.identities import identified
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.profiles import Profiles, text_table
from moa.words import listed


@runtime_checkable
class AnnData(Protocol):
    """Values of wells, shape (obs, var), with tables of both."""

    X: Any
    obs: pd.DataFrame
    var: pd.DataFrame


def is_annotated(item: object) -> TypeGuard[AnnData]:
    """Whether an object has what an AnnData object has."""
    return all(hasattr(item, name) for name in ("X", "obs", "var"))


def read_annotated(item: AnnData, name: str, options: ImportOptions, notes: Notes) -> Profiles:
    """The values of X, or of a layer, with the metadata of wells (obs) and features (var).

    Raises:
        UserError: there is no such layer, or the tables do not fit the values.
    """
    layers = dict(getattr(item, "layers", None) or {})
    if options.layer is not None and options.layer not in layers:
        raise UserError(f"{name}: --layer {options.layer}: no such layer; there are {listed(layers) or 'no layers'}")
    matrix = item.X if options.layer is None else layers[options.layer]
    if matrix is None:
        raise UserError(f"{name}: has no X; choose a layer: {listed(layers) or 'there is none'}")
    values = np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix)
    if values.dtype.kind not in "fiub":
        raise UserError(f"{name}: X holds {values.dtype}; expected numbers")
    wells, fields = (_text(name, what, getattr(item, what)) for what in ("obs", "var"))
    if values.shape != (len(wells), len(fields)):
        raise UserError(f"{name}: X has the shape {values.shape}; expected {(len(wells), len(fields))}, obs by var")
    values = values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)
    return replace(identified(values, wells, fields, options, notes), layers=tuple(map(str, layers)))


def _text(name: str, what: str, table: pd.DataFrame) -> pd.DataFrame:
    ids = table.index.astype(str).str.strip()
    refuse_repeated(ids, f"{name}: '{what}': the name", f"make names unique: {what}_names_make_unique()")
    return text_table(table.reset_index(drop=True).rename(columns=str)).set_axis(ids, axis=0)
