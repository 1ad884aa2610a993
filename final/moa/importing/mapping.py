"""What an import decided, as one value: the role of each column, and the rules for compounds, controls and joins.

Every step of an import takes the mapping and looks for no column itself. It is written beside the data as
``mapping.yaml`` and applied to further plates with ``--mapping``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from moa.data.mapping_file import read_plain
from moa.errors import UserError, in_words
from moa.importing.options import ImportOptions
from moa.words import listed

#: Of the file; increase it when keys change their meaning.
FORMAT: Literal[1] = 1
_HEAD = (
    "# What `moa data import` decided. Change it, and apply it with: moa data import FILES --mapping FILE --out DIR\n"
)
_SETTINGS = (
    "# --mapping also takes a file that holds some of these settings alone; there and here they may name columns too:\n"
    "# time, cell_line, batch, dose_unit, time_unit, and metadata (columns that are no features).\n"
    "settings:"
)

#: What is known of a well, each in one column at most.
FieldRole = Literal[
    "plate", "well", "compound", "dose", "dose_unit", "time", "time_unit", "control", "mechanism", "cell_line", "batch"
]
FIELDS: tuple[FieldRole, ...] = get_args(FieldRole)
#: A column's role. Columns of the last line are no field: "identifier" names compounds in another way, "name" the rows
#: of a table, "unknown" is a number that nothing is known of.
Role = Literal[FieldRole, "row", "column", "site", "name", "identifier", "count", "bookkeeping", "metadata", "unknown"]
Level = Literal["3", "4", "5", "raw", "normalised"]


class Part(BaseModel):
    """A part of a mapping; it cannot be changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(Part):
    """A column that is no feature."""

    role: Role
    reason: str = ""
    unit: str = ""  # that its heading states, as ``moa.importing.headings`` writes units


class Table(Part):
    """A table that is joined to the wells: a plate map, or mechanisms."""

    name: str
    columns: dict[str, Column]


class Family(Part):
    """Columns of numbers that are features."""

    pattern: str  # of their names, such as "emb_#"; "matrix" for those of GCT, GCTX and AnnData
    count: int
    reason: str = ""


class File(Part):
    """How a file of profiles is read."""

    name: str
    rows: Literal["wells", "features"] = "wells"
    level: Level | None = None
    reason: str = ""


class Compounds(Part):
    """What makes two wells wells of the same compound."""

    column: str | None = None  # of names
    ids: str | None = None  # column of structures or ids; those that are equal are one compound, whatever its name
    same: tuple[tuple[str, ...], ...] = ()  # names that are one compound, whatever the columns say
    perhaps_same: tuple[tuple[str, ...], ...] = ()  # salts; they are several compounds, unless ``same`` has them
    rule: str = ""
    reason: str = ""

    @property
    def decided(self) -> bool:
        """Whether the column is decided, or that there is none."""
        return self.column is not None or bool(self.reason)

    @property
    def undecided(self) -> Compounds:
        """What holds for another column too."""
        return Compounds(same=self.same)


class Controls(Part):
    """How vehicle controls are recognised: by values of a column, and by names of compounds."""

    column: str | None = None
    values: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    stated: bool = False  # whether the user named them; if not, other evident vehicles are vehicles too
    reason: str = ""


class References(Part):
    """What makes a group of wells that is compared with its own controls: the plate, and columns that differ on it."""

    apart: tuple[str, ...] = ()  # columns by which plates of one name are several plates
    within: tuple[str, ...] = ()  # columns whose values on a plate are compared each with their own controls
    reason: str = ""


class Join(Part):
    """The columns of the wells and of a table that hold the same; an empty one of the wells means their names."""

    table: str
    wells: tuple[str, ...]
    on: tuple[str, ...]
    reason: str = ""


class Mechanisms(Part):
    """Where the wells' mechanisms are read: in a column of the files, or of a table."""

    table: str | None = None
    column: str | None = None
    separators: tuple[str, ...] = ("|",)
    stated: bool = False  # whether the user named the separator; if not, a comma may also be a part of a name
    wells: str = ""  # column of the wells that names compounds as the table does
    by: tuple[str, ...] = ()  # columns of the table: that of compounds, and that of doses
    reason: str = ""


class Mapping(Part):
    """All that an import decided; parts that are None or empty are not decided yet."""

    format: Literal[1] = FORMAT
    files: tuple[File, ...] = ()
    features: tuple[Family, ...] = ()
    columns: dict[str, Column] = Field(default_factory=dict)
    tables: tuple[Table, ...] = ()  # plate maps, in the order in which they are joined
    mechanisms_table: Table | None = None
    joins: tuple[Join, ...] = ()
    compounds: Compounds | None = None
    controls: Controls | None = None
    references: References | None = None
    mechanisms: Mechanisms | None = None
    settings: dict[str, Any] = Field(default_factory=dict)  # ``ImportOptions`` by name, those that name no column

    @field_validator("settings", mode="before")
    @classmethod
    def _settings(cls, value: Any) -> Any:
        return {} if value is None else value  # a line `settings:` with nothing below

    @property
    def is_settings(self) -> bool:
        """Whether it holds settings alone, and columns are still to be described."""
        return self == Mapping(settings=self.settings)

    def with_(self, **parts: Any) -> Mapping:
        """The mapping with other parts."""
        return self.model_copy(update=parts)

    def with_role(self, name: str, role: Role, reason: str) -> Mapping:
        """The mapping with another role of a column of the wells, in the files and in the joined tables."""

        def changed(columns: dict[str, Column]) -> dict[str, Column]:
            new = {"role": role, "reason": reason}
            return {each: column.model_copy(update=new) if each == name else column for each, column in columns.items()}

        tables = tuple(table.model_copy(update={"columns": changed(table.columns)}) for table in self.tables)
        return self.with_(columns=changed(self.columns), tables=tables)

    def all_columns(self) -> Iterator[tuple[str, Column]]:
        """The columns of the wells: those of the files, then those of the joined tables, which replace equal names."""
        columns = dict(self.columns)
        for table in self.tables:
            columns |= table.columns
        yield from columns.items()

    def column(self, role: Role) -> str | None:
        """The wells' column of a role; None if there is none."""
        return next((name for name, column in self.all_columns() if column.role == role), None)

    def columns_of(self, role: Role) -> list[str]:
        """All columns of the wells with a role, such as "identifier"."""
        return [name for name, column in self.all_columns() if column.role == role]

    def unit(self, role: Role) -> str:
        """The unit in the heading of the column of a role; empty if it states none."""
        return next((column.unit for _, column in self.all_columns() if column.role == role), "")

    def text(self) -> str:
        """The mapping as YAML."""
        plain = self.model_dump(mode="json", exclude_defaults=True) | {"format": FORMAT}
        order = [name for name in type(self).model_fields if name in plain]
        values = {name: plain[name] for name in order if name != "settings"}
        return _HEAD + _yaml(values) + _settings_text(self.settings)


def _yaml(values: Any, **style: Any) -> str:
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**6, **style)


def _settings_text(settings: dict[str, Any]) -> str:
    """The settings as YAML, each in one line, with what it does behind it."""
    if not settings:
        return ""
    lines = [_SETTINGS]
    for name, value in settings.items():
        one_line = "".join(map(str, value if isinstance(value, list) else [value])).isprintable()
        written = _yaml(value, default_flow_style=True, default_style=None if one_line else '"').removesuffix("...\n")
        field = ImportOptions.model_fields.get(name)
        what = f"  # {field.description}" if field else ""
        lines.append(f"  {name}: {written.strip()}{what}")
    return "\n".join([*lines, ""])


class _Dumper(yaml.SafeDumper):
    """Writes what holds texts alone, such as a column's role and reason, in one line."""

    def ignore_aliases(self, data: Any) -> bool:
        """Whether a value that occurs twice is written twice."""
        return True

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        """The node of a dict."""
        plain = 0 < len(mapping) <= 3 and all(isinstance(value, str) for value in mapping.values())
        return super().represent_mapping(tag, mapping, "role" in mapping and plain)


def read_mapping(path: Path) -> Mapping:
    """Read a ``mapping.yaml``.

    Raises:
        UserError: it cannot be read, or is no mapping; the message names the place.
    """
    mapping = mapping_of(read_plain(path), str(path))
    if not mapping.features and not mapping.is_settings:
        raise UserError(f"{path}: names no features; give a whole mapping, as --dry-run prints it, or settings alone")
    return mapping


def mapping_of(plain: dict[str, Any], name: str) -> Mapping:
    """The mapping that plain values hold.

    Raises:
        UserError: it is no mapping; the message starts with ``name``.
    """
    try:
        mapping = Mapping.model_validate(plain)
    except ValidationError as error:
        raise UserError(f"{name}: {in_words(error)}") from None
    for role in FIELDS:
        columns = mapping.columns_of(role)
        if len(columns) > 1:
            raise UserError(
                f"{name}: columns {listed(map(repr, columns), joint=' and ')} both have the role {role}; give "
                "it to one, and the other the role metadata"
            )
    return mapping
