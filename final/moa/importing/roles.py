"""Choose the column of each field of a well, such as its dose, by the headings of columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import pandas as pd

from moa.errors import UserError
from moa.importing.columns import names_rows
from moa.importing.fields import (
    KNOWN,
    MARKED,
    fields_of,
    find_column,
    is_identifier,
    is_known,
    names_metadata,
    plain_name,
)
from moa.importing.headings import heading
from moa.importing.mapping import Column, Role
from moa.importing.notes import Notes
from moa.importing.one_hot import ONE_HOT, REASON, how_to_write
from moa.importing.options import FIELD_OPTIONS
from moa.words import listed

#: Fields that are looked for, in this order.
FIELDS: tuple[Role, ...] = (
    "plate",
    "well",
    "compound",
    "dose",
    "dose_unit",
    "time",
    "time_unit",
    "control",
    "mechanism",
    "cell_line",
    "batch",
)
#: Words of headings of columns that say where a row belongs, and their roles.
_PLACES: dict[str, Role] = {
    **dict.fromkeys(("row",), "row"),
    **dict.fromkeys(("col", "column"), "column"),
    **dict.fromkeys(("site", "fov"), "site"),
}
_COUNTS = {"count", "counts", "cellcount", "ncells"}
_BY_NAME, _BY_WORDS = "its name is known", "the words of its name"
#: Whether two columns hold the same values.
Same = Callable[[str, str], bool]


def described(column: str, columns: Sequence[str], role: Role | None = None, reason: str = "") -> Column:
    """A column of a table that has the columns ``columns``; without a role, what its heading says of it.

    ``reason`` is that of the role, or of metadata of which the heading says nothing.
    """
    if role is None and names_rows(columns, column):
        role, reason = "name", "names or numbers of rows"
    elif role is None:
        role = _role_of_words(column)
        reason = reason if role == "metadata" else _BY_WORDS
    return Column(role=role, reason=reason or _why_metadata(column), unit=heading(column).unit)


def _why_metadata(column: str) -> str:
    if MARKED.match(column):
        return "marked as metadata"
    return _BY_WORDS if is_known(column) or names_metadata(column) else "what a table of wells says"


def _role_of_words(column: str) -> Role:
    """The role of a column that is no field."""
    words = heading(column).words
    if is_identifier(column):
        return "identifier"
    if _COUNTS.intersection(words):
        return "count"
    if plain_name(column) in ("sig_id", "cid", "sample_id"):
        return "name"
    return _PLACES[words[0]] if len(words) == 1 and words[0] in _PLACES else "metadata"


def choose_roles(
    own: Mapping[str, bool], joined: Mapping[str, bool], stated: Mapping[str, str], same: Same, notes: Notes
) -> dict[str, tuple[Role, str]]:
    """The column of each field that is found, with its role and the reason.

    Args:
        own: columns of the files, and whether each holds any value.
        joined: those of the plate maps.
        stated: columns that the user named, by field.
        same: compares columns.
        notes: what was guessed.

    Raises:
        UserError: a stated column does not exist.
    """
    every = {**own, **joined}
    found: dict[str, tuple[Role, str]] = {}
    chosen: dict[str, str] = {}
    for role in FIELDS:
        column: str | None = None
        if role in stated:
            column, reason = find_column(every, stated[role], FIELD_OPTIONS[role]), f"named by {FIELD_OPTIONS[role]}"
        else:
            # A plate map names plates and wells too, in columns that the join leaves out.
            for pool in (own, joined) if role in ("plate", "well") else (every,):
                if column is None:
                    free = {each: has for each, has in pool.items() if each not in found}
                    column, reason = best_column(free, role, notes, same)
        if column is not None and column not in found:  # --control may name the column of compounds
            found[column], chosen[role] = (role, reason), column
    for unit, owner in (("dose_unit", "dose"), ("time_unit", "time")):
        # "10.0 um" of pert_idose needs no unit: CMap's columns of units belong to pert_dose and pert_time.
        if (
            unit in chosen
            and unit not in stated
            and (owner in stated or plain_name(chosen.get(owner, "")).startswith("pert_i"))
        ):
            found.pop(chosen.pop(unit))
    taken = [f"{role} = {column}" for role, column in chosen.items() if role not in stated]
    if taken:
        notes.guessed(f"fields by the names of their columns: {', '.join(taken)}")
    return found


def best_column(
    columns: Mapping[str, bool], role: Role, notes: Notes, same: Same = lambda one, other: False
) -> tuple[str | None, str]:
    """The column whose name fits a field best, and why; only columns that hold a value (True). None for none."""
    names: dict[str, list[str]] = {}
    for column in (column for column, has in columns.items() if has):
        names.setdefault(plain_name(column), []).append(column)
    for known in KNOWN.get(role, ()):
        if known in names:
            first, *others = names[known]
            others = [each for each in others if not same(first, each)]
            notes.guessed(f"{role} is in column '{first}', not in the others of that name", others)
            return first, _BY_NAME
    fitting = sorted(_fitting(columns, role))
    if not fitting:
        return None, ""
    (least, _, first), *rest = fitting
    others = [each for few, _, each in rest if few == least and not same(first, each)]
    notes.guessed(f"{role} is in column '{first}', not in others like it", others)
    unit = heading(first).unit
    return first, f"{_BY_WORDS}, and its unit {unit}" if unit else _BY_WORDS


def _fitting(columns: Mapping[str, bool], role: Role) -> Iterator[tuple[int, int, str]]:
    """Columns whose words are those of a field: how many they have besides, their place, and their name."""
    for place, (column, has) in enumerate(columns.items()):
        if has:
            yield from ((few, place, column) for field, few in fields_of(heading(column)) if field == role)


def described_mechanisms(name: str, table: pd.DataFrame, stated: str | None = None) -> dict[str, Column]:
    """The columns of a table of mechanisms: mechanisms, doses, units; those of compounds show when it is joined.

    ``stated`` is the column of mechanisms, where the user names it.

    Raises:
        UserError: it has no column of mechanisms.
    """
    columns = {column: described(column, list(table)) for column in table}
    filled = {column: bool(table[column].notna().any()) for column in table}
    roles: tuple[Role, ...] = ("mechanism", "dose", "dose_unit")
    for role in roles:
        if role == "mechanism" and stated:
            column: str | None = find_column(list(table), stated, "--mechanism")
            reason = "named by --mechanism"
        elif role == "mechanism" and ONE_HOT in table:
            column, reason = ONE_HOT, REASON
        else:
            column, reason = best_column(filled, role, Notes())
        if column is not None:
            columns[column] = described(column, list(table), role, reason)
            filled.pop(column)
        elif role == "mechanism":
            fix = how_to_write(table) or f"its columns are {listed(table.columns, 6)}; name it with --mechanism"
            raise UserError(f"{name}: no column of mechanisms (moa, mechanism_of_action); {fix}")
    return columns
