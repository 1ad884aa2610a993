"""An assay as a value: what an experiment measured, and how the files of a data set say so.

``COMPETITION`` is the assay of the Kaggle competition, and the default. Any other is described by an ``assay.json``
beside its tables. The rest of the package receives an ``Assay`` and names no column of its own. The names of the files
and of the ``sig_id`` column are the project's own file format and always the same.

An ``assay.json``::

    {
      "format": 1,
      "name": "BBBC021",
      "groups": {"Cells": {"columns": ["Cells_AreaShape_Area", …]}, "Nuclei": {"columns": […]}},
      "conditions": [
        {"name": "time", "column": "time", "levels": ["24 h", "48 h"]},
        {"name": "dose", "column": "dose", "numeric": "log10"}
      ],
      "control": {"column": "cp_type", "values": ["ctl_vehicle"]},
      "targets": ["Actin disruptors", …],
      "nonscored": [],
      "compound": true,
      "value_range": null
    }
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictBool, field_serializer, model_validator

from moa.data import schema
from moa.data.assay_parts import AssayPart, Condition, Control, FeatureGroup, Name, Targets, groups_of, prefixes_of
from moa.data.schema import SIG_ID
from moa.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

_COMPETITION = "lish-moa"
_OF_COMPETITION: dict[str, Any] = {"compound": True, "value_range": schema.VALUE_RANGE, "strict": True}

__all__ = ["COMPETITION", "Assay", "Condition", "Control", "FeatureGroup", "Targets"]


class Assay(AssayPart):
    """What the rows of a data set are, and how its files say so; see the module for its JSON.

    Attributes:
        format: number of the file format; there is one.
        name: of the assay.
        groups: groups of numeric columns, in column order; in JSON a mapping of their names.
        conditions: experimental conditions; may be empty.
        control: the column and values of controls; None: there are no controls.
        targets: names of the scored targets; a number where the names are those of the file (the competition); None:
            any.
        nonscored: names of the nonscored targets, which some models predict in an earlier stage; may be empty.
        compound: whether the compound of each training row is known (train_drug.csv).
        value_range: smallest and largest value of a feature; values outside are counted and reported. None: any.
        unused: numeric columns that the files may have, and that are not used.
        strict: refuse columns that are not named here, labels of controls, and a missing test file, as for the
            competition; False: columns are set aside and labels ignored, with a note.

    Raises:
        ValidationError: a column, group name, prefix, target or level occurs twice.
    """

    format: Literal[1] = 1
    name: Name
    groups: Annotated[tuple[FeatureGroup, ...], BeforeValidator(groups_of)] = Field(min_length=1)
    conditions: tuple[Condition, ...] = ()
    control: Control | None = None
    targets: Targets = None
    nonscored: Targets = ()
    compound: StrictBool = False
    value_range: tuple[float, float] | None = None
    unused: tuple[Name, ...] = ()
    strict: StrictBool = False

    @model_validator(mode="before")
    @classmethod
    def _former(cls, values: Any) -> Any:
        """Read the older form, in which weights of version 0.2 hold the columns that they were trained on."""
        if not isinstance(values, dict) or "treatment" not in values:
            return values
        treatment = values["treatment"]
        return {
            "name": values["name"],
            "groups": {group["name"]: {"columns": group["columns"]} for group in values["groups"]},
            "conditions": values["conditions"],
            "control": {
                "column": treatment["column"],
                "values": (treatment["control"],),
                "treated": (treatment["treated"],),
            },
            "targets": values.get("n_scored"),
            "nonscored": values.get("n_nonscored"),
        } | (_OF_COMPETITION if values["name"] == _COMPETITION else {})

    @model_validator(mode="after")
    def _unique(self) -> Assay:
        targets = [name for names in (self.targets, self.nonscored) if isinstance(names, tuple) for name in names]
        for what, values in (
            ("column", (SIG_ID, *self.features, *self.unused)),
            ("feature group", [group.name for group in self.groups]),
            ("prefix", [group.prefix for group in self.groups]),
            ("value of the control column", (self.control.levels or self.control.values) if self.control else ()),
            *((f"level of '{condition.column}'", condition.levels or ()) for condition in self.conditions),
            ("target", (SIG_ID, *targets)),
        ):
            twice = [value for value, count in Counter(values).items() if count > 1]
            if twice:
                raise ValueError(f"{what} {twice[0]!r} occurs twice")
        if self.n_targets == 0:
            raise ValueError("targets: name at least one")
        if self.value_range and not self.value_range[0] < self.value_range[1]:
            raise ValueError("value_range: the first number must be below the second")
        return self

    @field_serializer("groups")
    def _groups_as_mapping(self, groups: tuple[FeatureGroup, ...]) -> dict[str, Any]:
        plain = prefixes_of([group.name for group in groups])
        return {
            group.name: {"columns": list(group.columns)} | ({} if group.prefix == short else {"prefix": group.prefix})
            for group, short in zip(groups, plain, strict=True)
        }

    @property
    def values(self) -> tuple[str, ...]:
        """All numeric columns: those of the first group, then those of the next."""
        return tuple(column for group in self.groups for column in group.columns)

    @property
    def control_columns(self) -> tuple[str, ...]:
        """The column that marks controls; none where there are no controls."""
        return (self.control.column,) if self.control else ()

    @property
    def levels(self) -> dict[str, tuple[int, ...] | tuple[float, ...] | tuple[str, ...]]:
        """Levels of each condition that has levels, by its column."""
        return {each.column: each.levels for each in self.conditions if each.levels is not None}

    @property
    def numeric_conditions(self) -> tuple[str, ...]:
        """Columns of the conditions that are numbers."""
        return tuple(each.column for each in self.conditions if each.levels is None)

    @property
    def condition_columns(self) -> tuple[str, ...]:
        """Columns of the conditions: those with levels, then those that are numbers."""
        return (*self.levels, *self.numeric_conditions)

    @property
    def features(self) -> tuple[str, ...]:
        """All columns of a features file except ``sig_id``, in order: control, conditions, values."""
        return (*self.control_columns, *self.condition_columns, *self.values)

    @property
    def text_columns(self) -> tuple[str, ...]:
        """Columns of a features file that hold text, whose type a csv reader must not guess."""
        text = (condition.column for condition in self.conditions if condition.dtype is str)
        return (SIG_ID, *self.control_columns, *text)

    @property
    def widths(self) -> dict[str, int]:
        """Number of columns of each feature group by its prefix."""
        return {group.prefix: len(group.columns) for group in self.groups}

    def is_treated(self, features: pd.DataFrame) -> pd.Series:
        """True for rows that were treated, False for controls; indexed like ``features``."""
        import pandas as pd

        if self.control is None:
            return pd.Series(True, index=features.index)
        values = features[self.control.column]
        if self.control.treated is None:
            return ~values.isin(self.control.values)
        return values.isin(self.control.treated)

    @property
    def of_competition(self) -> bool:
        """Whether it is the competition's assay, with all of its feature groups or some."""
        return self.strict and self.name == _COMPETITION

    def only(self, groups: Sequence[str]) -> Assay:
        """The same assay with some of its feature ``groups``; the columns of the others may be in the files, unused.

        Raises:
            UserError: a group is unknown or named twice, or none is named.
        """
        known = [group.name for group in self.groups]
        for name in groups:
            if name not in known:
                text = f"{self.name} has no group '{name}'; choose of {', '.join(known)}"
                raise UserError(f"--groups {','.join(groups)}: {text}")
        if not groups or len(set(groups)) < len(groups):
            raise UserError(f"--groups {','.join(groups)}: name each group once, at least one of {', '.join(known)}")
        kept = tuple(group for group in self.groups if group.name in groups)
        unused = tuple(column for group in self.groups if group.name not in groups for column in group.columns)
        return self.model_copy(update={"groups": kept, "unused": (*self.unused, *unused)})

    @property
    def n_targets(self) -> int | None:
        """Number of scored targets; None: any."""
        return len(self.targets) if isinstance(self.targets, tuple) else self.targets

    @property
    def n_nonscored(self) -> int | None:
        """Number of nonscored targets; None: any."""
        return len(self.nonscored) if isinstance(self.nonscored, tuple) else self.nonscored

    @property
    def plain(self) -> dict[str, Any]:
        """The assay as JSON, without the fields that have their default."""
        return self.model_dump(mode="json", exclude_defaults=True) | {"format": self.format}


#: The assay of Kaggle's "Mechanisms of Action" competition.
COMPETITION = Assay(
    name=_COMPETITION,
    groups=(FeatureGroup(name="genes", columns=schema.GENES), FeatureGroup(name="cells", columns=schema.CELLS)),
    conditions=(
        Condition(name="time", column=schema.CP_TIME, levels=schema.CP_TIMES),
        Condition(name="dose", column=schema.CP_DOSE, levels=schema.CP_DOSES),
    ),
    control=Control(column=schema.CP_TYPE, values=(schema.CONTROL,), treated=(schema.TREATED,)),
    targets=schema.N_SCORED,
    nonscored=schema.N_NONSCORED,
    **_OF_COMPETITION,
)
