"""The choices of an import: fields here are options of ``moa data import``, hidden ones settings of a mapping alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from moa.options import Flag, Options

if TYPE_CHECKING:
    from moa.importing.mapping import Mapping

#: Headings of groups of options in the help.
FIELDS = "Columns (usual names are found, and headings with units)"
VALUES, LABELS, MODEL = "Values", "Mechanisms", "What models get"

Column = Annotated[str | None, Flag(panel=FIELDS, metavar="COLUMN")]
Level = Literal["auto", "3", "4", "5", "raw", "normalised"]
#: The fields of a well whose columns an option can name, and the option.
FIELD_OPTIONS = {
    name: f"--{name.replace('_', '-')}"
    for name in ("plate", "well", "compound", "dose", "time", "cell_line", "mechanism", "control")
}
#: Options that name files and columns; what they say is elsewhere in a mapping.
_NAMING = {*FIELD_OPTIONS, "wells", "moa", "mapping", "features", "metadata", "name"}


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
        None, description="The mapping.yaml of an earlier import: read these files in the same way."
    )
    plate: Column = Field(None, description="Column of plates.")
    well: Column = Field(None, description="Column of places on the plate.")
    compound: Column = Field(None, description="Column of compounds.")
    dose: Column = Field(None, description="Column of doses, with units or without.")
    time: Column = Field(None, description="Column of times of treatment.")
    cell_line: Column = Field(None, description="Column of cell lines.")
    control: Annotated[str | None, Flag(panel=FIELDS)] = Field(
        None,
        description="How vehicle controls are recognised: COLUMN=VALUE, COLUMN=VALUE,VALUE, or the name of a compound.",
    )
    features: Annotated[tuple[str, ...], Flag(panel=FIELDS, metavar="PATTERN")] = Field(
        (),
        description="Columns that are features, such as 'emb_*'; no others are then; can be repeated.  [default: those "
        "that share a naming pattern]",
    )
    metadata: Annotated[tuple[str, ...], Flag(panel=FIELDS, metavar="PATTERN")] = Field(
        (), description="Columns that are no features, such as 'QC_*'; can be repeated."
    )
    gene_id: Annotated[str | None, Flag(hidden=True)] = Field(None, description="Column of Entrez ids (a row field).")
    gene_symbol: Annotated[str | None, Flag(hidden=True)] = Field(
        None, description="Column of gene symbols (a row field)."
    )
    plate_pattern: Annotated[str | None, Flag(hidden=True)] = Field(
        None,
        description="Regular expression whose named groups become columns, such as `(?P<week>Week[0-9]+)_`.",
    )
    level: Annotated[Level, Flag(panel=VALUES)] = Field(
        "auto",
        description="3: log2 expression, made into robust z-scores; 4, 5: z-scores; raw: profiles to standardise; "
        "normalised; auto: recognised by the values.",
    )
    against: Annotated[Literal["auto", "vehicle", "plate"], Flag(hidden=True)] = Field(
        "auto",
        description="What values are compared with: vehicle wells, the whole plate, or auto: vehicle wells where a "
        "plate has at least six.",
    )
    clip: Annotated[float | None, AfterValidator(lambda clip: clip or None), Flag(hidden=True)] = Field(
        10.0, ge=0, description="Clip the z-scores that are made here to ± this value; 0: no clipping."
    )
    genes: Annotated[Literal["landmark", "all"], Flag(hidden=True)] = Field(
        "landmark", description="Of L1000 files with inferred genes: landmark, or all."
    )
    layer: Annotated[str | None, Flag(panel=VALUES)] = Field(
        None, description="Layer of an .h5ad file to read instead of X."
    )
    sites: Annotated[Literal["refuse", "average"], Flag(panel=VALUES)] = Field(
        "refuse", description="Several rows of a well, such as its sites: refuse, or average."
    )
    most_missing: Annotated[float, Flag(hidden=True)] = Field(
        0.05, ge=0, le=1, description="Drop wells and features with a larger share of missing values."
    )
    select_features: Annotated[bool, Flag("--select-features", panel=VALUES)] = Field(
        False, description="Select features by pycytominer."
    )
    merge_replicates: Annotated[bool, Flag("--merge-replicates", panel=VALUES)] = Field(
        False, description="Merge a treatment's wells (level 5, MODZ)."
    )
    mechanism: Annotated[str | None, Flag(panel=LABELS, metavar="COLUMN")] = Field(
        None, description="Column of mechanisms, in the files or in --moa."
    )
    moa_separator: Annotated[str | None, Flag(panel=LABELS)] = Field(
        None,
        min_length=1,
        description="What stands between several mechanisms.  [default: | and ;, and commas where both sides are "
        "mechanisms]",
    )
    least_compounds: Annotated[int, Flag(panel=LABELS)] = Field(
        2, ge=1, description="Keep targets that at least this many compounds have."
    )
    unannotated: Annotated[Literal["test", "train", "drop"], Flag(panel=LABELS)] = Field(
        "test", description="Wells without a known mechanism: test (rows to predict), train (as negatives) or drop."
    )
    conditions: Annotated[tuple[str, ...] | None, BeforeValidator(_split), Flag(panel=MODEL, typed=str)] = Field(
        None,
        description="Conditions that models take: dose, time or columns, with commas; none.  "
        "[default: dose and time where they vary]",
    )
    group: Annotated[str | None, Flag(hidden=True)] = Field(
        None, description="Name of the features' group, where the file names none."
    )
    name: Annotated[str | None, Flag(panel=MODEL)] = Field(
        None, description="Name of the assay.  [default: that of the folder]"
    )

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
        """The options that name neither files nor columns, as plain values."""
        return self.model_dump(mode="json", exclude=_NAMING)

    def reading(self, mapping: Mapping | None) -> ImportOptions:
        """The options with the settings of a mapping where these options have their defaults.

        Raises:
            UserError: the mapping has a setting that does not exist.
        """
        if mapping is None:
            return self
        given = self.model_dump(exclude_defaults=True)
        return type(self)(**{**mapping.settings, **given})

    @property
    def plain(self) -> dict[str, Any]:
        """The options as JSON; of tables, the file's name."""
        values = self.model_dump(mode="json", exclude=set(FIELD_OPTIONS))
        values |= {"columns": self.columns, "control_values": list(self.control_values)}
        files = {"moa": self.moa and self.moa.name, "mapping": self.mapping and self.mapping.name}
        return values | {"wells": [path.name for path in self.wells], **files}
