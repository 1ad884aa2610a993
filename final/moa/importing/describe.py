"""Describe the columns of all files and tables of an import, once: the first part of its mapping."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from moa.data.wells import parse_well
from moa.errors import UserError
from moa.importing.columns import Separated, holds_numbers, refuse_no_features, separate, stated_columns
from moa.importing.families import MATRIX, compartment, fitting, is_bookkeeping
from moa.importing.fields import names_dose, names_metadata
from moa.importing.mapping import Column, Family, File, Mapping, Table
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.profiles import Profiles, WellTable
from moa.importing.quantities import is_logarithm
from moa.importing.roles import FIELDS, best_column, choose_roles, described, described_mechanisms
from moa.words import counted, listed

_REPLICATE = re.compile(r"(?<![a-z])(?:rep|repl|replicate)[\s_.-]*\d+(?!\d)", re.IGNORECASE)
#: So many different places on a plate are no names of compounds.
_LEAST_PLACES = 6
_BOOKKEEPING = (
    "CellProfiler's bookkeeping (places, numbers and counts of objects), no features unless --features names it"
)


@dataclass(frozen=True)
class Read:
    """What was read: nothing of it is decided yet."""

    files: list[tuple[str, Profiles | WellTable]]  # names of the files, and what they hold
    tables: list[tuple[str, pd.DataFrame]]  # plate maps, all text
    mechanisms: tuple[str, pd.DataFrame] | None = None  # all text

    def wells(self) -> list[pd.DataFrame]:
        """What each file says of its wells; of a table with one row per well, all of it."""
        return [content.wells if isinstance(content, Profiles) else content.table for _, content in self.files]

    def same(self, one: str, other: str) -> bool:
        """Whether two columns hold the same in every file and table that has both."""
        tables = [*self.wells(), *(table for _, table in self.tables)]
        return all(table[one].equals(table[other]) for table in tables if one in table and other in table)


def describe(read: Read, options: ImportOptions, notes: Notes, wanted: frozenset[str] = frozenset()) -> Mapping:
    """Give each column of what was read a role and a reason.

    Args:
        read: files and tables.
        options: columns that are named.
        notes: what was guessed.
        wanted: names of features of a model, which are features here too, whatever their names look like.

    Raises:
        UserError: a column that an option names does not exist, or no column is a feature.
    """
    columns: dict[str, Column] = {}
    families, filled = _features(read, options, columns, wanted, notes)
    tables = [Table(name=name, columns=_others(table)) for name, table in read.tables]
    own = {name: name in filled for name, column in columns.items() if column.role != "bookkeeping"}
    joined: dict[str, bool] = {}
    for _, table in read.tables:
        joined |= {column: bool(table[column].notna().any()) for column in table}
    stated = dict(options.columns)
    mechanisms = None
    if read.mechanisms is not None:
        name, found = read.mechanisms
        mechanisms = Table(name=name, columns=described_mechanisms(name, found, stated.pop("mechanism", None)))
    for column, (role, reason) in choose_roles(own, joined, stated, read.same, notes).items():
        for group in (columns, *(table.columns for table in tables)):
            if column in group:
                group[column] = described(column, list(group), role, reason)
    _wells_by_values(read, columns, notes)
    _note_logarithms(columns, tables, notes)
    return Mapping(
        files=tuple(File(name=name) for name, _ in read.files),
        features=tuple(families),
        columns=columns,
        tables=tuple(tables),
        mechanisms_table=mechanisms,
        settings=options.settings,
    )


def _wells_by_values(read: Read, columns: dict[str, Column], notes: Notes) -> None:
    """Give the role of the well to the one column of text that holds places on a plate, where no heading says it."""
    if {"well", "row", "column"} & {column.role for column in columns.values()}:
        return
    found = [name for name, column in columns.items() if column.role == "metadata" and _hold_places(read, name)]
    if len(found) == 1:
        columns[found[0]] = described(found[0], list(columns), "well", "its values are places on a plate")
        notes.guessed(f"well = {found[0]}, by its values")


def _hold_places(read: Read, column: str) -> bool:
    held = [table[column].dropna().unique() for table in read.wells() if column in table]
    values = {str(value) for each in held for value in each}
    return len(values) >= _LEAST_PLACES and all(map(parse_well, values))


def _note_logarithms(columns: dict[str, Column], tables: list[Table], notes: Notes) -> None:
    """Note logarithms of doses, where no other column holds doses: the wells have none then."""
    every = {**columns, **{name: column for table in tables for name, column in table.columns.items()}}
    if "dose" not in {column.role for column in every.values()}:
        found = [name for name in every if is_logarithm(name) and names_dose(name)]
        notes.noted("logarithms of doses are not read; give the doses themselves in a column, in place of", found)


def refuse_other_headings(read: Read, mapping: Mapping) -> None:
    """Refuse files that have a field in a column of another name than the other files: it would be missing there.

    Raises:
        UserError: names both columns and files.
    """
    joined = {column for table in mapping.tables for column in table.columns}
    roles = {name: column.role for name, column in mapping.columns.items() if column.role in FIELDS}
    tables = list(zip((name for name, _ in read.files), read.wells(), strict=True))
    for column, role in roles.items():
        first = next((name for name, table in tables if column in table), None)
        for name, table in tables if first and column not in joined else ():
            free = [each for each in table if each in mapping.columns and each not in roles]
            filled = {each: bool(table[each].notna().any()) for each in free}
            other = None if column in table else best_column(filled, role, Notes())[0]
            if other is not None:
                raise UserError(
                    f"{name}: its {role.replace('_', ' ')} is in column '{other}', that of {first} in '{column}'; give "
                    "the columns one name, with one unit"
                )


def _features(
    read: Read, options: ImportOptions, columns: dict[str, Column], wanted: frozenset[str], notes: Notes
) -> tuple[list[Family], set[str]]:
    """The families of features; other columns are added to ``columns``. Also returns which columns hold any value."""
    holds: dict[str, bool] = {}
    filled: set[str] = set()
    families: list[Family] = []
    names: list[str] = []
    for name, content in read.files:
        if isinstance(content, Profiles):
            table = content.wells
            noted = _bookkeeping_of_matrix(name, content, options, wanted, notes)
            count = len(content.features) - len(noted)
            families = families or [Family(pattern=MATRIX, count=count, reason="the file says so")]
            columns |= {column: each for column, each in (_others(table) | noted).items() if column not in columns}
        else:
            names.append(name)
            table = content.table
            for column in table:
                holds[column] = holds.get(column, True) and holds_numbers(table[column])
        filled |= {column for column in table if table[column].notna().any()}
    if not holds:
        return families, filled
    found = separate(holds, options, wanted)
    if not found.names:
        raise refuse_no_features(names[0], found)
    where = names[0] if len(names) == 1 else counted(len(names), "table")
    notes.aside(f"{where}: columns of text, as metadata", found.words)
    notes.aside(f"{where}: {_BOOKKEEPING}", found.bookkeeping)
    notes.aside(
        f"{where}: numbers that share no naming pattern with the features, as metadata (--features takes them)",
        found.unknown,
    )
    if not options.features:
        _note_replicates(found.names, notes)
    features, stated = set(found.names), stated_columns(holds, options)
    for column in holds:
        if column not in features:
            columns[column] = _described(column, found, stated, list(holds))
    return [*families, *found.features], filled


def _note_replicates(features: list[str], notes: Notes) -> None:
    """Note features that differ in the number of a replicate alone: they are wells side by side."""
    stems: dict[str, list[str]] = {}
    for feature in features:
        stem, count = _REPLICATE.subn("", feature)
        if count:
            stems.setdefault(stem, []).append(feature)
    several = [names for names in stems.values() if len(names) > 1]
    if sum(map(len, several)) > len(features) / 2:
        notes.noted(
            f"replicates side by side, such as {listed(map(repr, several[0]))}, are read as different features of one "
            "well; give each replicate a row of its own"
        )


def _bookkeeping_of_matrix(
    name: str, content: Profiles, options: ImportOptions, wanted: frozenset[str], notes: Notes
) -> dict[str, Column]:
    """Columns of a file's matrix that are no features, or not those that ``--features`` names."""
    names = list(content.features.index)
    if options.features:
        chosen = set(fitting(names, options.features))
        if not chosen:
            raise UserError(f"{name}: --features {listed(options.features)}: fits none of {listed(names, 6)}")
        others = [each for each in names if each not in chosen]
        notes.aside(f"{name}: values that --features does not name", others)
        return {each: Column(role="bookkeeping", reason="not named by --features") for each in others}
    noted = [each for each in names if compartment(each) and is_bookkeeping(each) and each not in wanted]
    notes.aside(f"{name}: {_BOOKKEEPING}", noted)
    return {each: Column(role="bookkeeping", reason="CellProfiler's bookkeeping") for each in noted}


def _described(column: str, found: Separated, stated: set[str], columns: list[str]) -> Column:
    if column in stated:
        return described(column, columns, "metadata", "named as metadata")
    if column in found.bookkeeping:
        return described(column, columns, "bookkeeping", "CellProfiler's bookkeeping")
    if column in found.unknown and not names_metadata(column):
        return described(column, columns, "unknown", "a number of no family")
    return described(column, columns, reason="text" if column in found.words else "")


def _others(table: pd.DataFrame) -> dict[str, Column]:
    """The columns of a table that has no features."""
    return {column: described(column, list(table)) for column in table}


def families_of(read: Read) -> list[Family]:
    """The families of the tables' columns of numbers, whatever the columns are called otherwise."""
    holds: dict[str, bool] = {}
    for table in read.wells():
        holds |= {column: holds_numbers(table[column]) for column in table}
    return separate(holds, ImportOptions()).features


def feature_columns(columns: Sequence[str], mapping: Mapping) -> list[str]:
    """The columns of a table that are features by a mapping: those of its families that it does not list otherwise."""
    patterns = [family.pattern for family in mapping.features if family.pattern != MATRIX]
    return [column for column in fitting(columns, patterns) if column not in mapping.columns]
