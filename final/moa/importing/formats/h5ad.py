"""Read AnnData's ``.h5ad`` by the layout that anndata documents; anndata itself is not needed.

X is an array, or a group with a sparse matrix (CSR or CSC). obs and var are groups with one array per column; columns
of categories are groups of codes and categories, or, in files before anndata 0.8, codes whose attribute refers to
``__categories``. In files before anndata 0.7 obs and var are one array of records each.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from moa.errors import UserError
from moa.importing.fields import refuse_repeated
from moa.importing.hdf5 import is_hdf5, name_of, opened
from moa.importing.identities import identified
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.profiles import Profiles, text_table
from moa.importing.source import Source
from moa.memory import ensure_room
from moa.words import listed, shown

NAME, ORDER = "AnnData (.h5ad)", 11
_SPARSE = {"csr_matrix": "csr", "csc_matrix": "csc", "csr": "csr", "csc": "csc"}
_CELLS = "aggregate single cells to wells first"
#: Bytes that a value of a sparse matrix takes in the file at least: the value and its index.
_SPARSE_BYTES = 8


def recognises(source: Source) -> bool:
    """Whether the file is HDF5 with the groups of AnnData."""
    return is_hdf5(source) and {"obs", "var"} <= set(opened(source).members(""))


def read(source: Source, options: ImportOptions, notes: Notes) -> Profiles:
    """Read X (or a layer) with the metadata of wells (obs) and features (var).

    Raises:
        UserError: the file is damaged or not of the documented layout.
    """
    found = _AnnData(source)
    wells, fields = found.table("obs"), found.table("var")
    values = found.values(found.matrix(options.layer), (len(wells), len(fields)))
    return replace(identified(values, wells, fields, options, notes), layers=tuple(found.layers()))


class _AnnData:
    """An open file; what is wrong with it is a ``UserError`` that names the place."""

    def __init__(self, source: Source):
        self.name, self.file, self.report = source.name, opened(source), source.report

    def layers(self) -> list[str]:
        """Names of other values of the same shape as X."""
        return [name_of(name) for name in self.file.members("layers")]

    def matrix(self, layer: str | None) -> str:
        """The place of X or of a layer."""
        layers = self.layers()
        if layer is None:
            if "X" not in self.file:
                there = f"; choose one with --layer: {listed(layers)}" if layers else ""
                raise UserError(f"{self.name}: has no X{there or '; expected the values of wells in X'}")
            return "X"
        if f"layers/{layer}" not in self.file:
            raise UserError(
                f"{self.name}: --layer {layer}: no such layer; the file has {listed(layers) or 'no layers'}"
            )
        return f"layers/{layer}"

    def values(self, place: str, shape: tuple[int, int]) -> np.ndarray:
        """Values of wells by features, float32 or float64."""
        item = self.file.items[place]
        if item.is_group:
            return self._sparse(place, shape)
        if item.shape != shape:
            raise UserError(f"{self.name}: '{place}' has the shape {item.shape}; expected {shape}, obs by var")
        values = self.file.numbers(place, report=self.report)
        return values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)

    def _sparse(self, place: str, shape: tuple[int, int]) -> np.ndarray:
        from scipy import sparse

        item, parts = self.file.items[place], [f"{place}/{part}" for part in ("data", "indices", "indptr")]
        written = item.attribute("encoding-type") or item.attribute("h5sparse_format")
        if written not in _SPARSE or any(part not in self.file for part in parts):
            raise UserError(
                f"{self.name}: '{place}' is a group of the encoding '{shown(written)}'; expected an array, CSR or CSC"
            )
        stated = item.attributes.get("shape", item.attributes.get("h5sparse_shape"))
        if stated is not None and stated != list(shape):
            raise UserError(f"{self.name}: '{place}' has the shape {stated}; expected {shape}, obs by var")
        there = self.file.items[parts[0]]
        held = (there.shape or (0,))[0] * _SPARSE_BYTES
        ensure_room(f"{self.name}: '{place}'", shape[0] * shape[1] * max(4, there.size), held, _CELLS)
        kind = sparse.csr_matrix if _SPARSE[written] == "csr" else sparse.csc_matrix
        data, indices, pointers = (self.file.numbers(part) for part in parts)
        if any(each.dtype.kind not in "iu" for each in (indices, pointers)):
            raise UserError(f"{self.name}: '{place}' has indices that are no whole numbers; write the file again")
        try:
            matrix = kind((data, indices, pointers), shape=shape)
            matrix.check_format(full_check=True)
        except (ValueError, TypeError, IndexError) as error:
            raise UserError(
                f"{self.name}: '{place}' is no {written} of {shape[0]:,} × {shape[1]:,} ({error}); write the file again"
            ) from None
        return matrix.toarray().astype(np.float64 if matrix.dtype != np.float32 else np.float32, copy=False)

    def table(self, name: str) -> pd.DataFrame:
        """Obs or var as text, indexed by its names."""
        item = self.file.items[name]
        index: str | None
        if item.fields is not None:  # before anndata 0.7: one array of records
            columns = {column: self._record(name, column) for column in item.fields}
            index = next((column for column in ("index", "_index") if column in columns), None)
        else:
            index = item.attribute("_index", "_index")
            members = [column for column in self.file.members(name) if column != "__categories"]
            columns = {column: self._column(f"{name}/{column}") for column in members}
        if index is None or index not in columns:
            raise UserError(f"{self.name}: '{name}' has no index; expected the names of its rows in '{name}/_index'")
        ids = pd.Series(columns.pop(index)).astype(str).str.strip()
        if not len(ids):
            raise UserError(
                f"{self.name}: '{name}' is empty; expected one row per {'well' if name == 'obs' else 'feature'}"
            )
        for column, values in columns.items():
            if len(values) != len(ids):
                raise UserError(
                    f"{self.name}: '{name}/{name_of(column)}' has {len(values):,} values; expected {len(ids):,}"
                )
        refuse_repeated(ids, f"{self.name}: '{name}': the name", "make names unique and write the file again")
        named = {name_of(column): values for column, values in columns.items()}
        return text_table(pd.DataFrame(named, index=range(len(ids)))).set_axis(ids.to_numpy(), axis=0)

    def _column(self, place: str) -> pd.Series:
        """A column of obs or var: categories, or its elements."""
        item = self.file.items[place]
        if item.is_group and {"codes", "categories"} <= set(self.file.members(place)):
            return self._coded(place, self.file.texts(f"{place}/codes"), f"{place}/categories")
        refers = item.attributes.get("categories")
        if isinstance(refers, dict):  # before anndata 0.8
            return self._coded(place, self.file.texts(place), refers["refers"])
        return self._elements(place)

    def _elements(self, place: str) -> pd.Series:
        """An array, or an array with a mask of what is missing."""
        item = self.file.items.get(place)
        if item is None or not item.is_group:
            return pd.Series(self.file.texts(place))
        if not {"values", "mask"} <= set(self.file.members(place)):
            raise UserError(
                f"{self.name}: '{place}' has the encoding '{shown(item.attribute('encoding-type'))}', which is not "
                "read; write the column as text or numbers"
            )
        values, mask = self.file.texts(f"{place}/values"), self.file.texts(f"{place}/mask")
        if not isinstance(mask, np.ndarray) or len(mask) != len(values):
            raise UserError(f"{self.name}: '{place}/mask' does not fit '{place}/values'; write the file again")
        return pd.Series(values).astype(object).mask(pd.Series(mask.astype(bool)))

    def _record(self, name: str, column: str) -> pd.Series:
        """A column of an array of records, which has its categories in uns."""
        values, categories = self.file.texts(name, column), f"uns/{column}_categories"
        return self._coded(f"{name}/{column}", values, categories) if categories in self.file else pd.Series(values)

    def _coded(self, place: str, codes: list[str] | np.ndarray, categories: str) -> pd.Series:
        """Categories by their codes; -1 is missing."""
        if not isinstance(codes, np.ndarray) or codes.dtype.kind not in "iu":
            raise UserError(f"{self.name}: '{place}' has codes that are no whole numbers; write the file again")
        names = np.append(np.asarray(self._elements(categories), dtype=object), np.nan)
        if len(codes) and (codes.max() >= len(names) - 1 or codes.min() < -1):
            worst = int(codes.max() if codes.max() >= len(names) - 1 else codes.min())
            raise UserError(
                f"{self.name}: '{place}': code {worst} of {len(names) - 1} categories; write the file again"
            )
        return pd.Series(names[codes])  # code -1, missing, is the last of names
