"""Read AnnData's ``.h5ad`` with h5py by the layout that anndata documents; anndata itself is not needed.

X is an array, or a group with a sparse matrix (CSR or CSC). obs and var are groups with one array per column; columns
of categories are groups of codes and categories, or, in files before anndata 0.8, codes whose attribute refers to
``__categories``. In files before anndata 0.7 obs and var are one array of records each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from moa.errors import UserError
from moa.importing.fields import refuse_repeated
from moa.importing.hdf5 import attribute, groups, opened, texts
from moa.importing.identities import identified
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.profiles import Profiles, text_table
from moa.importing.source import Source
from moa.words import listed

if TYPE_CHECKING:
    import h5py

NAME, ORDER = "AnnData (.h5ad)", 11
_SPARSE = {"csr_matrix": "csr", "csc_matrix": "csc", "csr": "csr", "csc": "csc"}
#: More values than this, in GB of float32, are refused: a file of single cells, not of wells.
_MOST_GB = 16


def recognises(source: Source) -> bool:
    """Whether the file is HDF5 with the groups of AnnData."""
    return {"obs", "var"} <= (groups(source) or set())


def read(source: Source, options: ImportOptions, notes: Notes) -> Profiles:
    """Read X (or a layer) with the metadata of wells (obs) and features (var).

    Raises:
        UserError: the file is damaged or not of the documented layout.
    """
    with opened(source) as file:
        wells, fields = _table(source, file, "obs"), _table(source, file, "var")
        item, place = _matrix(source, file, options.layer)
        values = _values(source, item, place, (len(wells), len(fields)))
    return identified(values, wells, fields, options, notes)


def _matrix(source: Source, file: h5py.File, layer: str | None) -> tuple[Any, str]:
    if layer is None:
        if "X" not in file:
            layers = list(file["layers"]) if "layers" in file else []
            there = f"; choose one with --layer: {listed(layers)}" if layers else ""
            raise UserError(f"{source.name}: has no X{there or '; expected the values of wells in X'}")
        return file["X"], "X"
    layers = file.get("layers", {})
    if layer not in layers:
        there = listed(layers) or "no layers"
        raise UserError(f"{source.name}: --layer {layer}: no such layer; the file has {there}")
    return layers[layer], f"layers/{layer}"


def _values(source: Source, item: Any, place: str, shape: tuple[int, int]) -> np.ndarray:
    if shape[0] * shape[1] * 4 > _MOST_GB * 1e9:
        raise UserError(
            f"{source.name}: {shape[0]:,} × {shape[1]:,} values need more than {_MOST_GB} GB; "
            "aggregate single cells to wells first"
        )
    if hasattr(item, "shape"):
        if item.shape != shape:
            raise UserError(f"{source.name}: '{place}' has the shape {item.shape}; expected {shape}, obs by var")
        if item.dtype.kind not in "fiub":
            raise UserError(f"{source.name}: '{place}' holds {item.dtype}; expected numbers")
        values = item[:]
        return values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)
    return _sparse(source, item, place, shape)


def _sparse(source: Source, item: h5py.Group, place: str, shape: tuple[int, int]) -> np.ndarray:
    from scipy import sparse

    written = attribute(item, "encoding-type") or attribute(item, "h5sparse_format")
    if written not in _SPARSE or any(part not in item for part in ("data", "indices", "indptr")):
        raise UserError(
            f"{source.name}: '{place}' is a group of the encoding '{written}'; expected an array, CSR or CSC"
        )
    stated = item.attrs.get("shape", item.attrs.get("h5sparse_shape"))
    if stated is not None and tuple(stated) != shape:
        raise UserError(
            f"{source.name}: '{place}' has the shape {tuple(map(int, stated))}; expected {shape}, obs by var"
        )
    kind = sparse.csr_matrix if _SPARSE[written] == "csr" else sparse.csc_matrix
    try:
        matrix = kind((item["data"][:], item["indices"][:], item["indptr"][:]), shape=shape)
        matrix.check_format(full_check=True)
    except (ValueError, TypeError) as error:
        raise UserError(
            f"{source.name}: '{place}' is no {written} of {shape[0]:,} × {shape[1]:,} ({error}); write the file again"
        ) from None
    return matrix.toarray().astype(np.float64 if matrix.dtype != np.float32 else np.float32, copy=False)


def _table(source: Source, file: h5py.File, name: str) -> pd.DataFrame:
    """Obs or var as text, indexed by its names."""
    item = file[name]
    if hasattr(item, "dtype"):  # before anndata 0.7: one array of records
        records = item[:]
        columns = {column: _record(source, item, column, records[column]) for column in records.dtype.names or ()}
        index = next((column for column in ("index", "_index") if column in columns), None)
    else:
        index = attribute(item, "_index", "_index")
        names = [column for column in item if column != "__categories"]
        columns = {column: _column(source, item, column) for column in names}
    if index is None or index not in columns:
        raise UserError(f"{source.name}: '{name}' has no index; expected the names of its rows in '{name}/_index'")
    ids = pd.Series(columns.pop(index)).astype(str).str.strip()
    if not len(ids):
        raise UserError(
            f"{source.name}: '{name}' is empty; expected one row per {'well' if name == 'obs' else 'feature'}"
        )
    for column, values in columns.items():
        if len(values) != len(ids):
            raise UserError(f"{source.name}: '{name}/{column}' has {len(values):,} values; expected {len(ids):,}")
    refuse_repeated(ids, f"{source.name}: '{name}': the name", "make names unique and write the file again")
    return text_table(pd.DataFrame(columns, index=range(len(ids)))).set_axis(ids.to_numpy(), axis=0)


def _column(source: Source, group: Any, column: str) -> pd.Series:
    """A column of obs or var: an array, an array with a mask, or categories."""
    place, item = f"{group.name.strip('/')}/{column}", group[column]
    if not hasattr(item, "dtype"):
        parts = set(item)
        if {"codes", "categories"} <= parts:
            return _categories(source, place, item["codes"][:], item["categories"][:])
        if {"values", "mask"} <= parts:
            return pd.Series(texts(item["values"][:])).astype(object).mask(pd.Series(item["mask"][:].astype(bool)))
        raise UserError(
            f"{source.name}: '{place}' has the encoding '{attribute(item, 'encoding-type')}', which is not read; "
            "write the column as text or numbers"
        )
    if "categories" in item.attrs:  # before anndata 0.8
        return _categories(source, place, item[()], item.file[item.attrs["categories"]][:])
    return _plain(source, place, item[()])


def _record(source: Source, item: Any, column: str, values: np.ndarray) -> pd.Series:
    """A column of an array of records, which has its categories in uns."""
    place, categories = f"{item.name.strip('/')}/{column}", item.file.get(f"uns/{column}_categories")
    if categories is None:
        return _plain(source, place, values)
    return _categories(source, place, values, categories[:])


def _plain(source: Source, place: str, values: Any) -> pd.Series:
    if np.ndim(values) != 1:
        raise UserError(f"{source.name}: '{place}' has the shape {np.shape(values)}; expected one value per row")
    return pd.Series(texts(values))


def _categories(source: Source, place: str, codes: np.ndarray, categories: np.ndarray) -> pd.Series:
    names = np.append(np.asarray(texts(categories), dtype=object), np.nan)
    if len(codes) and (codes.max() >= len(names) - 1 or codes.min() < -1):
        raise UserError(
            f"{source.name}: '{place}': code {int(codes.max())} of {len(names) - 1} categories; write the file again"
        )
    return pd.Series(names[codes])  # code -1, missing, is the last of names
