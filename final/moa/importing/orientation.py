"""Turn files that lie the wrong way: with one row per gene and one column per well where wells are expected in rows."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from moa.data.feature_names import CELL_LINE, ENTREZ_ID, GROUP, PROBE_ID, SYMBOL
from moa.errors import UserError
from moa.importing.columns import holds_numbers
from moa.importing.families import compartment, kind_of_names
from moa.importing.fields import plain_name, refuse_repeated, split_words
from moa.importing.identities import identified
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.profiles import Profiles, WellTable, text_table

_IDENTITY = [ENTREZ_ID, SYMBOL, PROBE_ID, CELL_LINE, GROUP]
#: Names of wells: a place, alone or after the name of a plate.
_WELL = re.compile(r"(?:.*[:_ .-])?[A-Za-z]{1,2}\d{2}")
#: Headings of a first column that holds genes or other features.
_HEADINGS = frozenset(
    split_words("""
    gene genes gene_symbol symbol gene_id entrez_id entrez ensembl_id probe probe_id feature features id id_ref name
    rid
    """)
)


def turned(name: str, content: Profiles | WellTable, options: ImportOptions, notes: Notes) -> Profiles | WellTable:
    """What a file holds, with one row per well; a note says that it was turned.

    Raises:
        UserError: a table is the grid of a plate.
    """
    if isinstance(content, WellTable):
        _refuse_grid(name, content.table)
        return _turned_table(name, content, options, notes)
    if _are_features(list(content.values.index)) and not _are_features(list(content.values.columns)):
        notes.guessed(f"{name}: its rows are wells and its columns genes, so it is turned")
        wells = content.features.drop(columns=_IDENTITY, errors="ignore")
        return identified(content.values.to_numpy().T, wells, content.wells, options, notes)
    return content


def _are_features(names: list[str]) -> bool:
    return bool(kind_of_names(names)) or sum(bool(compartment(name)) for name in names) > len(names) / 2


def _turned_table(name: str, content: WellTable, options: ImportOptions, notes: Notes) -> Profiles | WellTable:
    table = content.table
    first = str(table.columns[0])
    heading = plain_name(first)
    texts = [column for column in table if column == first or not holds_numbers(table[column])]
    wells = [column for column in table if column not in texts]
    if len(wells) < 2 or _are_features(wells):
        return content
    ids = table[first].astype(str).str.strip()
    if not (_are_features(ids.tolist()) and ids.is_unique):
        return content
    if heading and heading not in _HEADINGS and not all(map(_WELL.fullmatch, wells)):
        return content
    numbers = table[wells].apply(pd.to_numeric, errors="coerce")
    refuse_repeated(ids, f"{name}: column '{first}':")
    notes.guessed(f"{name}: its rows are genes and its columns wells, so it is turned")
    fields = text_table(table[texts].drop(columns=first)).set_axis(ids.to_numpy(), axis=0)
    # The names of genes are their ids; an identity such as "symbol" has them as a column too.
    if heading:
        fields.insert(0, first, ids.to_numpy())
    index = pd.Index(wells, dtype=object)
    return identified(numbers.to_numpy(np.float64).T, pd.DataFrame(index=index), fields, options, notes)


def _refuse_grid(name: str, table: pd.DataFrame) -> None:
    if is_grid(table):
        raise UserError(
            f"{name}: looks like the grid of a plate (rows A, B, C ..., columns 1, 2, 3 ...); give one row per well, "
            "or a plate map as a grid with --wells"
        )


def is_grid(table: pd.DataFrame) -> bool:
    """Whether a table is the grid of a plate: columns 1, 2, 3 ... and rows A, B, C ... in the first column."""
    columns = [str(column).strip().removesuffix(".0") for column in table.columns[1:]]
    if len(columns) < 2 or columns != [str(number) for number in range(1, len(columns) + 1)]:
        return False
    rows = [str(row).strip().upper() for row in table.iloc[:, 0]]
    letters = [chr(65 + place) if place < 26 else f"A{chr(65 + place - 26)}" for place in range(52)]
    return rows == letters[: len(rows)]
