"""The choices of an import: options of ``moa data import``, and hidden fields, which ``settings`` of a mapping hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from moa.errors import UserError
from moa.options import Flag, Options, option_name
from moa.words import unknown

#: Headings of groups of options in the help.
FIELDS = "Columns (usual names are found, and headings with units)"
VALUES, LABELS = "Values", "Mechanisms"

Column = Annotated[str | None, Flag(panel=FIELDS, metavar="COLUMN")]
Setting = Flag(hidden=True)
Level = Literal["auto", "3", "4", "5", "raw", "normalised"]


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int) else value  # YAML reads `level: 3` as a number


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _split(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


class ImportOptions(Options):
    """How files are read and what is made of them."""

    wells: tuple[Path, ...] = Field(
        (), description="Plate map to join on plate and well, whatever its columns are called; can be repeated."
    )
    moa: Annotated[Path | None, Flag(panel=LABELS)] = Field(
        None, description="Table of mechanisms, by compound or by compound and dose."
    )
    mapping: Path | None = Field(
        None,
        description="The mapping.yaml of an earlier import: read these files in the same way; or a file of settings "
        "alone.",
    )
    plate: Column = Field(None, description="Column of plates.")
    well: Column = Field(None, description="Column of places on the plate.")
    compound: Column = Field(None, description="Column of compounds.")
    dose: Column = Field(None, description="Column of doses, with units or without.")
    time: Annotated[str | None, Setting] = Field(None, description="Column of times of treatment.")
    cell_line: Annotated[str | None, Setting] = Field(None, description="Column of cell lines.")
    batch: Annotated[str | None, Setting] = Field(None, description="Column of batches.")
    dose_unit: Annotated[str | None, Setting] = Field(None, description="Column of the doses' units.")
    time_unit: Annotated[str | None, Setting] = Field(None, description="Column of the times' units.")
    control: Annotated[str | None, Flag(panel=FIELDS)] = Field(
        None,
        description="How vehicle controls are recognised: COLUMN=VALUE, COLUMN=VALUE,VALUE, or the name of a compound.",
    )
    features: Annotated[tuple[str, ...], BeforeValidator(_listed), Flag(panel=FIELDS, metavar="PATTERN")] = Field(
        (),
        description="Columns that are features, such as 'emb_*'; no others are then; can be repeated.  [default: those "
        "that share a naming pattern]",
    )
    metadata: Annotated[tuple[str, ...], BeforeValidator(_listed), Setting] = Field(
        (), description="Columns that are no features, such as ['QC_*']."
    )
    gene_id: Annotated[str | None, Setting] = Field(None, description="Column of Entrez ids (a row field).")
    gene_symbol: Annotated[str | None, Setting] = Field(None, description="Column of gene symbols (a row field).")
    plate_pattern: Annotated[str | None, Setting] = Field(
        None,
        description="Regular expression whose named groups become columns, such as `(?P<week>Week[0-9]+)_`.",
    )
    level: Annotated[Level, BeforeValidator(_text), Flag(panel=VALUES)] = Field(
        "auto",
        description="3: log2 expression, made into robust z-scores; 4, 5: z-scores; raw: profiles to standardise; "
        "normalised; auto: recognised by the values.",
    )
    against: Annotated[Literal["auto", "vehicle", "plate"], Setting] = Field(
        "auto",
        description="What values are compared with: vehicle wells, the whole plate, or auto: vehicle wells where a "
        "plate has at least six.",
    )
    clip: Annotated[float | None, AfterValidator(lambda clip: clip or None), Setting] = Field(
        10.0, ge=0, description="Clip the z-scores that are made here to ± this value; 0: no clipping."
    )
    genes: Annotated[Literal["landmark", "all"], Setting] = Field(
        "landmark", description="Of L1000 files with inferred genes: landmark, or all."
    )
    layer: Annotated[str | None, Flag(panel=VALUES)] = Field(
        None, description="Layer of an .h5ad file to read instead of X."
    )
    sites: Annotated[Literal["refuse", "average"], Flag(panel=VALUES)] = Field(
        "refuse", description="Several rows of a well, such as its sites: refuse, or average."
    )
    most_missing: Annotated[float, Setting] = Field(
        0.05, ge=0, le=1, description="Drop wells and features with a larger share of missing values."
    )
    select_features: Annotated[bool, Setting] = Field(False, description="Select features by pycytominer.")
    merge_replicates: Annotated[bool, Setting] = Field(False, description="Merge a treatment's wells (level 5, MODZ).")
    mechanism: Annotated[str | None, Flag(panel=LABELS, metavar="COLUMN")] = Field(
        None, description="Column of mechanisms, in the files or in --moa."
    )
    moa_separator: Annotated[str | None, Setting] = Field(
        None,
        min_length=1,
        description="What stands between several mechanisms; null: | and ;, and commas where each part is a mechanism.",
    )
    least_compounds: Annotated[int, Setting] = Field(
        2, ge=1, description="Keep targets that at least this many compounds have."
    )
    unannotated: Annotated[Literal["test", "train", "drop"], Setting] = Field(
        "test", description="Wells without a known mechanism: test (rows to predict), train (as negatives) or drop."
    )
    conditions: Annotated[tuple[str, ...] | None, BeforeValidator(_split), Setting] = Field(
        None,
        description="Conditions that models take: [dose, time] or columns; none; null: dose and time where they vary.",
    )
    group: Annotated[str | None, Setting] = Field(
        None, description="Name of the features' group, where the file names none."
    )
    name: Annotated[str | None, Setting] = Field(None, description="Name of the assay; null: that of the folder.")

    @field_validator("clip", "most_missing", "least_compounds", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        if isinstance(value, bool):  # YAML reads `yes` so, which would count as 1
            raise ValueError("expected a number")
        return value

    @property
    def columns(self) -> dict[str, str]:
        """The columns that were named, by field of a well; the others are found by their names."""
        stated = {name: getattr(self, name) for name in FIELD_OPTIONS}
        stated["control"] = (self.control or "").rpartition("=")[0]
        return {name: column for name, column in stated.items() if column}

    @property
    def control_values(self) -> tuple[str, ...]:
        """Values of the control column, or of the compound where none is named, of vehicle controls; else the usual."""
        values = (self.control or "").rpartition("=")[2].split(",")
        return tuple(value.strip() for value in values if value.strip())

    @property
    def settings(self) -> dict[str, Any]:
        """The options that name neither files nor columns, as plain values; of columns a mapping says more."""
        return self.model_dump(mode="json", exclude=_NAMING)

    def reading(self, settings: dict[str, Any]) -> ImportOptions:
        """The options with ``settings`` of a mapping where these options were not given.

        An option that was given goes before the setting, even with its default value.

        Raises:
            UserError: a setting does not exist, or its value cannot be used.
        """
        where = f"settings of {self.mapping or 'the mapping'}"
        for name in settings:
            if name in _FILES:
                raise UserError(f"{where}: {name} is no setting; type --{name}")
            if name not in type(self).model_fields:
                known = [each for each in type(self).model_fields if each not in _FILES]
                raise UserError(f"{where}: {unknown(str(name), known)}; there are {', '.join(known)}")
        given = self.model_dump(exclude_unset=True)
        try:
            return type(self)(**{**settings, **given})
        except UserError as error:
            raise UserError(f"{where}: {error}") from None

    @property
    def plain(self) -> dict[str, Any]:
        """The options as JSON; of tables, the file's name."""
        values = self.model_dump(mode="json", exclude=set(FIELD_OPTIONS))
        values |= {"columns": self.columns, "control_values": list(self.control_values)}
        files = {"moa": self.moa and self.moa.name, "mapping": self.mapping and self.mapping.name}
        return values | {"wells": [path.name for path in self.wells], **files}


#: The fields of a well whose columns can be named, and how messages name the option or setting.
FIELD_OPTIONS = {
    field: option_name(field, ImportOptions.model_fields[field])
    for field in (
        *("plate", "well", "compound", "dose", "dose_unit", "time", "time_unit"),
        *("control", "mechanism", "cell_line", "batch"),
    )
}
#: The options that name files, which are no settings.
_FILES = ("wells", "moa", "mapping")
#: What names files and columns; a mapping says it elsewhere.
_NAMING = {*FIELD_OPTIONS, *_FILES, "features", "metadata"}


def setting(name: str, value: str) -> str:
    """What messages call a setting that the command line does not have."""
    return f"`settings: {{{name}: {value}}}` in a file for --mapping"
