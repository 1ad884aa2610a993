"""The choices of an import, with the defaults that the command line shows."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from moa.errors import UserError

Level = Literal["auto", "3", "4", "5", "raw", "normalised"]
Against = Literal["auto", "vehicle", "plate"]
Unannotated = Literal["test", "train", "drop"]
_CHOICES = {"level": get_args(Level), "against": get_args(Against), "unannotated": get_args(Unannotated)} | {
    "genes": ("landmark", "all")
}
#: The fields of a well that an option can name; the value is the option.
FIELD_OPTIONS = {
    name: f"--{name}" for name in ("plate", "well", "compound", "dose", "time", "control", "mechanism", "cell_line")
} | {"cell_line": "--cell-line"}


@dataclass(frozen=True)
class ImportOptions:
    """How files are read and what is made of them.

    Attributes:
        name: of the assay; None: the name of the folder that is written.
        columns: columns that hold the fields of ``FIELD_OPTIONS``; fields that are not given are found by name.
        control_values: values of the control column (or of the compound, where no column is given) that mean a vehicle
            control; empty: the usual words.
        gene_id, gene_symbol: row fields of the genes' Entrez ids and symbols; None: found by name.
        metadata: further columns that are no features.
        group: name of the group of features, where the file does not tell groups; None: "genes" or "features".
        genes: "landmark": of an L1000 file with inferred genes only the measured ones; "all".
        layer: layer of an ``.h5ad`` file; None: its X.
        wells: tables with more about plates and wells, joined in this order.
        moa: table of mechanisms; None: the files' own column, if there is one.
        moa_separator: what stands between several mechanisms in one cell.
        plate_pattern: regular expression on the plate's name whose named groups become columns of wells.csv.
        level: what the values are: L1000 level 3 (log2 expression), 4 or 5 (z-scores), raw or normalised profiles.
        against: what values are compared with: the plate's vehicle wells, the whole plate, or vehicle wells where there
            are enough of them.
        clip: z-scores made here are clipped to ± this; None: not clipped.
        select_features: keep the features that pycytominer's feature selection keeps.
        merge_replicates: merge replicates of a treatment by MODZ.
        most_missing: wells and features with a larger share of missing values are dropped.
        least_compounds: targets with fewer compounds are left out.
        unannotated: what happens to wells whose compound has no known mechanism: rows to predict, training rows
            without any mechanism, or dropped.
        conditions: columns that models take as conditions; None: dose and time, where they vary.
    """

    name: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    control_values: tuple[str, ...] = ()
    gene_id: str | None = None
    gene_symbol: str | None = None
    metadata: tuple[str, ...] = ()
    group: str | None = None
    genes: Literal["landmark", "all"] = "landmark"
    layer: str | None = None
    wells: tuple[Path, ...] = ()
    moa: Path | None = None
    moa_separator: str = "|"
    plate_pattern: str | None = None
    level: Level = "auto"
    against: Against = "auto"
    clip: float | None = 10.0
    select_features: bool = False
    merge_replicates: bool = False
    most_missing: float = 0.05
    least_compounds: int = 2
    unannotated: Unannotated = "test"
    conditions: tuple[str, ...] | None = None

    @classmethod
    def chosen(cls, **stated: Any) -> ImportOptions | None:
        """Options with these values; None if all of them are the defaults.

        Raises:
            UserError: a value is none of those that an option takes.
        """
        for name, choices in _CHOICES.items():
            if (value := stated.get(name)) is not None and value not in choices:
                raise UserError(f"--{name} {value}: expected one of {', '.join(choices)}")
        options = cls(**stated)
        return None if options == cls() else options

    @property
    def plain(self) -> dict[str, Any]:
        """The options as JSON; of tables, the file's name."""
        values = asdict(self)
        values["wells"] = [Path(path).name for path in self.wells]
        values["moa"] = Path(self.moa).name if self.moa else None
        return values
