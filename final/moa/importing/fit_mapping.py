"""Check that plates fit a mapping that was made of others, and complete it for their files."""

from __future__ import annotations

from typing import cast

import pandas as pd

from moa.errors import UserError
from moa.importing.describe import Read, families_of, feature_columns
from moa.importing.families import MATRIX, fits
from moa.importing.fields import find_column
from moa.importing.levels import levels_of
from moa.importing.mapping import Column, Family, File, Mapping, Role, Table
from moa.importing.notes import Notes
from moa.importing.options import FIELD_OPTIONS, ImportOptions
from moa.importing.profiles import Profiles, WellTable
from moa.importing.roles import FIELDS, best_column, described, described_mechanisms
from moa.importing.row_names import FROM_NAMES
from moa.words import counted, listed

#: Parts of a mapping that are decided again where another column is named.
_DECIDED_BY: dict[str, dict[str, None | tuple[()]]] = {
    **dict.fromkeys(("plate", "well"), {"joins": ()}),
    "compound": {"mechanisms": None},
    "mechanism": {"mechanisms": None},
    "control": {"controls": None},
    **dict.fromkeys(("time", "cell_line", "batch"), {"references": None}),
}


#: Stands for a column that a mapping does not have.
_UNKNOWN = Column(role="unknown")


def fitted(
    given: Mapping, read: Read, options: ImportOptions, notes: Notes, wanted: frozenset[str] | None = None
) -> Mapping:
    """The mapping for these files.

    Args:
        given: of other plates.
        read: what the files hold.
        options: columns that are named replace those of the mapping.
        notes: columns that the mapping does not know are set aside.
        wanted: features of a model that takes the files: fields may then be missing, as of a plate whose compounds
            nobody knows, and the features are the model's. None: all that the mapping has must be there.

    Raises:
        UserError: a column, a feature or a table of the mapping is missing; the message names it.
    """
    if options.features and wanted is None:
        raise UserError(
            "--features: the mapping names the features, and the option would change nothing; change them there, or "
            "give a file of settings alone with --mapping"
        )
    given = _with_named(given, read, options)
    given = _with_tables(given, read, options, whole=wanted is None)
    if wanted is not None:
        given = _for_model(given, read, wanted, notes)
    columns = dict(given.columns)
    for table in read.wells() if options.metadata else ():
        named = [each for each in table if any(fits(each, name) for name in options.metadata)]
        columns |= {each: described(each, list(table), "metadata", "named as metadata") for each in named}
    given = given.with_(columns=columns)
    for name, content in read.files:
        table = content.wells if isinstance(content, Profiles) else content.table
        _check_columns(name, list(table), given.columns)
        features = [] if isinstance(content, Profiles) else feature_columns(list(table), given)
        if wanted is None and not isinstance(content, Profiles):
            _check_families(name, features, given)
        measured = set(features)
        new = [column for column in table if column not in columns and column not in measured]
        notes.aside(f"{name}: columns that the mapping does not know, as metadata", new)
        columns |= {column: described(column, list(table)) for column in new}
    names = [name for name, _ in read.files]
    # A model takes z-scores, whether they come as such or are made here.
    files = levels_of(given, names) if wanted is None else tuple(File(name=name) for name in names)
    return given.with_(files=files, columns=columns)


def _for_model(given: Mapping, read: Read, wanted: frozenset[str], notes: Notes) -> Mapping:
    """The mapping without the fields that the files lack, or with others in their place, and with all features."""
    tables = read.wells()
    filled = {column: bool(table[column].notna().any()) for table in tables for column in table}
    missing = {
        name: column
        for name, column in given.columns.items()
        if column.role in FIELDS and column.reason != FROM_NAMES and not all(name in table for table in tables)
    }
    columns = {name: column for name, column in given.columns.items() if name not in missing}
    others: dict[str, str | None] = {}
    for name, column in missing.items():
        free = {each: has for each, has in filled.items() if each not in columns and each not in wanted}
        other, reason = best_column(free, column.role, notes)
        what = "nothing in its place" if other is None else f"'{other}' in its place"
        notes.guessed(f"the files have no column '{name}' ({column.role.replace('_', ' ')}), {what}")
        others[name] = other
        if other is not None:
            columns[other] = described(other, list(filled), column.role, reason)
    given = _without(given.with_(columns=columns), others)
    names = [column for _, content in read.files if isinstance(content, WellTable) for column in content.table]
    found = [Family(pattern=each, count=1) for each in dict.fromkeys(names) if each in wanted and each not in columns]
    known = [family for family in given.features if family.pattern != MATRIX]
    if names and not (found or known):  # the model was trained on a file that says what is a value
        found = families_of(read)
    return given.with_(features=(*given.features, *found))


def _without(given: Mapping, missing: dict[str, str | None]) -> Mapping:
    """The mapping with rules that do without some columns, or take others in their place; what cannot is undecided."""
    compounds, controls, references = given.compounds, given.controls, given.references
    if compounds is not None and {compounds.column, compounds.ids} & set(missing):
        compounds = compounds.undecided
    if controls is not None and controls.column in missing:
        other = missing[controls.column]
        controls = None if other is None else controls.model_copy(update={"column": other})
    if references is not None and {*references.apart, *references.within} & set(missing):
        references = None
    return given.with_(compounds=compounds, controls=controls, references=references)


def _with_named(given: Mapping, read: Read, options: ImportOptions) -> Mapping:
    """The mapping with the columns that options name in place of its own."""
    for field, name in options.columns.items():
        if field == "mechanism" and read.mechanisms is not None:
            given = _with_mechanism(given, read.mechanisms[1], name)
            continue
        every = [column for table in (*read.wells(), *(table for _, table in read.tables)) for column in table]
        column = find_column(dict.fromkeys(every), name, FIELD_OPTIONS[field])
        if field == "control" and column in given.columns and given.columns[column].role in FIELDS:
            continue  # it may be that of compounds, and Controls name it
        if dict(given.all_columns()).get(column, _UNKNOWN).role == field:
            continue  # the mapping says so too
        given = _with_field(given, read, column, cast(Role, field)).with_(**_DECIDED_BY.get(field, {}))
        if field == "compound" and given.compounds:
            given = given.with_(compounds=given.compounds.undecided)
    return given.with_(controls=None) if options.control else given


def _with_mechanism(given: Mapping, table: pd.DataFrame, name: str) -> Mapping:
    """The mapping with another column of mechanisms in its table; a table that it does not know is described later."""
    known = given.mechanisms_table
    if known is None:
        return given
    column = find_column(list(table), name, FIELD_OPTIONS["mechanism"])
    if known.columns.get(column, _UNKNOWN).role == "mechanism":
        return given
    columns = _with_role(known.columns, column, "mechanism", list(table))
    return given.with_(mechanisms_table=known.model_copy(update={"columns": columns}), mechanisms=None)


def _with_field(given: Mapping, read: Read, name: str, role: Role) -> Mapping:
    """The mapping with the role of a field for a column of the files or of the plate maps, and for no other."""
    columns = list(dict.fromkeys(column for table in read.wells() for column in table))
    tables = []
    for place, table in enumerate(given.tables):
        there = list(read.tables[place][1]) if place < len(read.tables) else []
        tables.append(table.model_copy(update={"columns": _with_role(table.columns, name, role, there)}))
    return given.with_(columns=_with_role(given.columns, name, role, columns), tables=tuple(tables))


def _with_role(columns: dict[str, Column], name: str, role: Role, there: list[str]) -> dict[str, Column]:
    """The columns with the role of a field for the one that an option names, where it is there, and for no other."""
    others = {each: described(each, there) if known.role == role else known for each, known in columns.items()}
    named = {name: described(name, there, role, f"named by {FIELD_OPTIONS[role]}")} if name in there else {}
    return others | named


def _check_columns(name: str, there: list[str], columns: dict[str, Column]) -> None:
    for column, known in columns.items():
        if known.role in FIELDS and known.reason != FROM_NAMES and column not in there:
            raise UserError(
                f"{name}: has no column '{column}', which the mapping reads as {known.role.replace('_', ' ')}; its "
                f"columns are {listed(there, 6)}; name the column in the file so, or correct the mapping"
            )


def _check_families(name: str, features: list[str], given: Mapping) -> None:
    rest = features
    for family in given.features:
        if family.pattern == MATRIX:
            continue
        # What fits several patterns counts for the first of them.
        count, rest = len(rest), [column for column in rest if not fits(column, family.pattern)]
        if count - len(rest) != family.count:
            raise UserError(
                f"{name}: has {counted(count - len(rest), 'feature')} '{family.pattern}', and the mapping "
                f"{family.count:,}; give files of the same features, or correct the mapping"
            )


def _with_tables(given: Mapping, read: Read, options: ImportOptions, whole: bool) -> Mapping:
    """The mapping for the tables at hand; of a model's it needs none."""
    mechanisms = given.mechanisms_table
    if read.mechanisms is None:
        if mechanisms is not None:
            given = given.with_(mechanisms=None, mechanisms_table=None)
    elif mechanisms is None:
        name, found = read.mechanisms
        table = Table(name=name, columns=described_mechanisms(name, found, options.mechanism))
        given = given.with_(mechanisms=None, mechanisms_table=table)
    else:
        name, found = read.mechanisms
        _check_columns(name, list(found), mechanisms.columns)
        rule = given.mechanisms and given.mechanisms.model_copy(update={"table": name})
        given = given.with_(mechanisms=rule, mechanisms_table=mechanisms.model_copy(update={"name": name}))
    if not whole and not read.tables and given.tables:
        lost = {column for table in given.tables for column in table.columns} - set(given.columns)
        return _without(given.with_(tables=(), joins=()), dict.fromkeys(lost))
    if len(read.tables) != len(given.tables) and (whole or given.tables):
        names = listed([table.name for table in given.tables]) or "none"
        raise UserError(
            f"the mapping joins {counted(len(given.tables), 'table')} ({names}), and --wells gives {len(read.tables)}; "
            "give as many, in the same order"
        )
    tables = []
    for place, (name, found) in enumerate(read.tables):
        known = given.tables[place].columns if given.tables else {}
        joined = given.joins[place].on if place < len(given.joins) else ()
        missing = [column for column in joined if column not in found]
        if missing:
            raise UserError(f"{name}: has no column '{missing[0]}', on which the mapping joins it; name it as it was")
        _check_columns(name, list(found), known)
        new = {column: described(column, list(found)) for column in found if column not in known}
        tables.append(Table(name=name, columns={**known, **new}))
    return given.with_(tables=tuple(tables))
