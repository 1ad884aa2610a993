"""Tell the columns of tables with one row per well apart by their names and what they hold: features and metadata."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from moa.errors import UserError
from moa.importing.families import (
    compartment,
    fits,
    is_bookkeeping,
    kind_of_names,
    may_be_features,
    of_kind,
    shared_patterns,
)
from moa.importing.fields import MARKED, find_column, is_known, names_metadata, plain_name
from moa.importing.mapping import Family
from moa.importing.options import ImportOptions
from moa.importing.profiles import is_missing
from moa.words import listed

#: Columns of row names and row numbers, as pandas, R and pyarrow write them.
_ROWS = re.compile(
    r"^(?:|index|unnamed: \d+(?:\.\d+)?|unnamed_\d+|__index_level_\d+__|v1|rownames|row_names|row\.names|\.\.\.1)$",
    re.IGNORECASE,
)

#: Numbers with commas, whatever they mean.
_COMMAS = r"[+-]?\d+(?:,\d+)+(?:\.\d+)?(?:[eE][+-]?\d+)?"


def names_rows(columns: Sequence[str], column: str) -> bool:
    """Whether a column's heading is that of row names or numbers: an empty one, or what programs write in its place."""
    if not _ROWS.match(column):
        return False
    # R calls the columns of a matrix V1, V2 ...: only where there is no second is the first one of names.
    return column.lower() != "v1" or not any(re.fullmatch(r"v2", other, re.IGNORECASE) for other in columns)


def is_metadata_name(column: str) -> bool:
    """Whether a column's name alone says that it is no feature: it is marked, or that of a field."""
    return bool(MARKED.match(column)) or is_known(column)


def stated_columns(columns: Iterable[str], options: ImportOptions) -> set[str]:
    """Columns that options name as metadata or as fields."""
    columns = list(columns)
    found: set[str] = set()
    for name in options.metadata:
        matching = [column for column in columns if fits(column, name)]
        found.update(matching or [find_column(columns, name, "metadata")])
    for name in options.columns.values():
        found.update(column for column in columns if column == name or plain_name(column) == plain_name(name))
    return found


def text_columns(columns: Sequence[str], options: ImportOptions) -> list[str]:
    """Columns that stay text when a table is read, since they can be no features: plates with leading zeros stay so."""
    stated = {
        column for column in columns for name in options.columns.values() if plain_name(column) == plain_name(name)
    }
    possible = may_be_features(columns, names_metadata, options.features)
    return [
        column
        for column in columns
        if column not in possible
        or column in stated
        or (is_metadata_name(column) and column not in options.features)
        or names_rows(columns, column)
    ]


@dataclass(frozen=True)
class Separated:
    """Columns of tables: features and others.

    Attributes:
        features: the families, with the number of their columns.
        names: the columns that are features.
        words: columns of text.
        bookkeeping: columns of CellProfiler's bookkeeping.
        unknown: numbers that belong to no family.
    """

    features: list[Family]
    names: list[str]
    words: list[str]
    bookkeeping: list[str]
    unknown: list[str]


def separate(holds: Mapping[str, bool], options: ImportOptions, wanted: frozenset[str] = frozenset()) -> Separated:
    """Tell features from metadata.

    Args:
        holds: whether each column holds numbers alone; a column with a few words among numbers counts as numbers.
        options: ``features`` and ``metadata`` are used, and the columns that are named as fields.
        wanted: names of columns that are features whatever they look like.
    """
    stated = stated_columns(holds, options)
    rest = [column for column in _open(holds) if column not in stated]
    noted = {column for column in rest if is_bookkeeping(column) and column not in wanted}
    if options.features:
        families, names = _as_stated(holds, options.features, stated)
    else:
        numbers = [column for column in rest if holds[column] and column not in noted]
        families, names = _by_evidence(numbers, wanted)
    rest = [column for column in rest if column not in names]
    return Separated(
        features=families,
        names=[column for column in holds if column in names],
        words=[column for column in rest if not holds[column]],
        bookkeeping=[column for column in rest if holds[column] and column in noted],
        unknown=[column for column in rest if holds[column] and column not in noted],
    )


def _open(columns: Iterable[str]) -> list[str]:
    """Columns of which the name alone says neither that they are metadata nor that they name rows."""
    columns = list(columns)
    return [column for column in columns if not is_metadata_name(column) and not names_rows(columns, column)]


def _by_evidence(numbers: list[str], wanted: frozenset[str]) -> tuple[list[Family], set[str]]:
    """The families of columns of numbers, and the columns that belong to them or are wanted."""
    families: list[Family] = []
    names: set[str] = set()
    for family in _families(numbers):
        members = [column for column in numbers if _belongs(column, family.pattern)]
        families.append(family.model_copy(update={"count": len(members)}))
        names.update(members)
    others = [column for column in numbers if column in wanted and column not in names]
    families += [Family(pattern=column, count=1, reason="a feature of the model") for column in others]
    return [family for family in families if family.count], names | set(others)


def _belongs(column: str, pattern: str) -> bool:
    return of_kind(column, pattern, names_metadata) if pattern.startswith("<") else fits(column, pattern)


def _families(numbers: list[str]) -> list[Family]:
    """The families of columns of numbers, none of them with the name of a field."""
    compartments = list(dict.fromkeys(filter(None, map(compartment, numbers))))
    if compartments:
        return [Family(pattern=each, count=0, reason="a compartment of CellProfiler") for each in compartments]
    if kind := kind_of_names(numbers):
        return [Family(pattern=kind, count=0, reason="names that are known, and others of their form")]
    candidates = [column for column in numbers if not names_metadata(column)]
    found = shared_patterns(candidates, names_metadata)
    return [Family(pattern=each, count=0, reason="most columns of numbers have such names") for each in found]


def _as_stated(holds: Mapping[str, bool], patterns: Sequence[str], stated: set[str]) -> tuple[list[Family], set[str]]:
    """The columns that the user names as features; by a pattern a field is none, by its full name it is."""
    families: list[Family] = []
    names: set[str] = set()
    anything = set(_open(holds))
    for pattern in patterns:
        matching = [column for column in holds if column == pattern or (column in anything and fits(column, pattern))]
        if not matching:
            find_column(holds, pattern, "--features")
        if pattern in matching and not holds[pattern]:
            raise UserError(f"--features {pattern}: column '{pattern}' holds no numbers; name columns of numbers")
        new = {column for column in matching if holds[column] and column not in stated} - names
        families.append(Family(pattern=pattern, count=len(new), reason="named by --features"))
        names |= new
    return families, names


def refuse_no_features(name: str, separated: Separated) -> UserError:
    """What to say of tables without a feature."""
    found = separated.unknown or separated.bookkeeping
    if not found:
        return UserError(f"{name}: no column of numbers; give a plate map with --wells and mechanisms with --moa")
    return UserError(
        f"{name}: no naming pattern is shared by most of {len(found):,} columns of numbers ({listed(found, 6)}); name "
        "the features, such as --features '*' for all of them or --features 'A*' for some"
    )


def holds_numbers(values: pd.Series) -> bool:
    """Whether a column holds numbers, with separators of thousands, decimal commas or a few mistakes among them."""
    if pd.api.types.is_bool_dtype(values):
        return False
    if pd.api.types.is_numeric_dtype(values):
        return True
    text = values[~values.map(is_missing)].astype(str)
    numbers = pd.to_numeric(text, errors="coerce").notna() | text.str.strip().str.fullmatch(_COMMAS)
    return bool(len(text)) and float(numbers.mean()) >= 0.5


def counts_rows(values: pd.Series) -> bool:
    """Whether values count the rows, from 0 or 1."""
    numbers = pd.to_numeric(values, errors="coerce")
    return any((numbers == np.arange(first, first + len(numbers))).all() for first in (0, 1))
