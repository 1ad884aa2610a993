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

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    field_serializer,
    model_validator,
)

from moa.data.schema import (
    CELLS,
    CONTROL,
    CP_DOSE,
    CP_DOSES,
    CP_TIME,
    CP_TIMES,
    CP_TYPE,
    GENES,
    N_NONSCORED,
    N_SCORED,
    SIG_ID,
    TREATED,
    VALUE_RANGE,
)
from moa.errors import DataError, UserError
from moa.files import write_json

if TYPE_CHECKING:
    import pandas as pd

#: The file that describes the assay of a data folder.
ASSAY = "assay.json"
#: Number of the file format that this version writes and reads.
FORMAT = 1
_COMPETITION = "lish-moa"
#: Problems of an assay.json that are named.
_SHOWN = 20

Name = Annotated[StrictStr, Field(min_length=1)]
Targets = tuple[Name, ...] | Annotated[StrictInt, Field(ge=0)] | None


class _Part(BaseModel):
    """A part of an assay: immutable, comparable, and readable from its own JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FeatureGroup(_Part):
    """Numeric columns of one kind, which are reduced, clustered and summarized together.

    Attributes:
        name: in words, such as "genes".
        columns: column names, in order.
        prefix: short name for derived features, such as "g" in "g_mean"; the assay derives it from the names of its
            groups.
    """

    name: Name
    columns: tuple[Name, ...] = Field(min_length=1)
    prefix: StrictStr = ""


class Condition(_Part):
    """An experimental condition, such as time or dose: one of some levels, or a number.

    Attributes:
        name: in words; the column's name where it is not given.
        column: its column.
        levels: all values it can take, in order; all integers, all floats or all strings.
        numeric: "log10" for a number above 0, such as a dose in µM, which models take as its logarithm. Exactly one of
            ``levels`` and ``numeric`` is given.
    """

    name: StrictStr = ""
    column: Name
    levels: tuple[StrictInt, ...] | tuple[StrictFloat, ...] | tuple[StrictStr, ...] | None = None
    numeric: Literal["log10"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _named(cls, values: Any) -> Any:
        if isinstance(values, dict) and not values.get("name"):
            return {**values, "name": values.get("column", "")}
        return values

    @model_validator(mode="after")
    def _one_kind(self) -> Condition:
        if (self.levels is None) == (self.numeric is None):
            raise ValueError('give either "levels" or "numeric": "log10"')
        if self.levels is not None and not self.levels:
            raise ValueError("give at least one level")
        return self

    @property
    def dtype(self) -> type:
        """Type of the values: ``np.int64``, ``np.float64`` or ``str``."""
        import numpy as np

        if self.levels is None:
            return np.float64
        return {int: np.int64, float: np.float64, str: str}[type(self.levels[0])]


class Control(_Part):
    """The column that tells controls from treated rows.

    Attributes:
        column: its name.
        values: its values in controls.
        treated: its values in treated rows; None: every other text, such as "trt_cp" and "trt_poscon".
    """

    column: Name
    values: tuple[Name, ...] = Field(min_length=1)
    treated: tuple[Name, ...] | None = Field(None, min_length=1)

    @property
    def levels(self) -> tuple[str, ...] | None:
        """All values, those of controls first; None where treated rows may hold any."""
        return None if self.treated is None else (*self.values, *self.treated)


def _groups(value: Any) -> Any:
    """Groups from their mapping in JSON, each with a prefix."""
    if isinstance(value, dict):
        if not all(isinstance(group, dict) for group in value.values()):
            name = next(name for name, group in value.items() if not isinstance(group, dict))
            raise ValueError(f'group \'{name}\' is no object; write "{name}": {{"columns": [...]}}')
        value = [{**group, "name": name} for name, group in value.items()]
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ValueError('expected an object such as {"genes": {"columns": ["g-0", ...]}}')
    known = [each.name if isinstance(each, FeatureGroup) else each.get("name", "") for each in value]
    prefixes = dict(zip(known, prefixes_of(known), strict=True))
    return [
        each.model_copy(update={"prefix": each.prefix or prefixes[each.name]})
        if isinstance(each, FeatureGroup)
        else {"prefix": prefixes[each.get("name", "")], **each}
        for each in value
    ]


def prefixes_of(names: Sequence[str]) -> list[str]:
    """Short names: the shortest start of each name, in lower case, that no other name has; "g" and "c" for genes and
    cells. The whole name where it is the start of another.
    """
    lower = [str(name).lower() for name in names]
    found = []
    for place, name in enumerate(lower):
        others = [other for number, other in enumerate(lower) if number != place]
        lengths = (n for n in range(1, len(name)) if not any(other.startswith(name[:n]) for other in others))
        found.append(name[: next(lengths, len(name))])
    return found


class Assay(_Part):
    """What the rows of a data set are, and how its files say so; see the module for its JSON.

    Attributes:
        format: number of the file format.
        name: of the assay.
        groups: groups of numeric columns, in column order; in JSON a mapping of their names.
        conditions: experimental conditions; may be none.
        control: how controls are told; None: there are none.
        targets: names of the scored targets; a number where the names are those of the file (the competition); None:
            any.
        nonscored: names of the nonscored targets, which are predicted by some models on the way; may be none.
        compound: whether the compound of each training row is known (train_drug.csv).
        value_range: smallest and largest value of a feature; values outside are counted and told. None: any.
        unused: numeric columns that the files may have, and that are not used.
        strict: refuse columns that are not named here, labels of controls, and a missing test file, as for the
            competition; False: columns are set aside and labels ignored, with a note.

    Raises:
        ValidationError: a column, group name, prefix, target or level occurs twice.
    """

    format: Literal[1] = FORMAT
    name: Name
    groups: Annotated[tuple[FeatureGroup, ...], BeforeValidator(_groups)] = Field(min_length=1)
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
        """The form in which weights of version 0.2 hold the columns that they were trained on."""
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
        } | ({"compound": True, "value_range": VALUE_RANGE, "strict": True} if values["name"] == _COMPETITION else {})

    @model_validator(mode="after")
    def _unique(self) -> Assay:
        names = [
            target for targets in (self.targets, self.nonscored) if isinstance(targets, tuple) for target in targets
        ]
        for what, values in (
            ("column", (SIG_ID, *self.features, *self.unused)),
            ("feature group", [group.name for group in self.groups]),
            ("prefix", [group.prefix for group in self.groups]),
            ("value of the control column", (self.control.levels or self.control.values) if self.control else ()),
            *((f"level of '{condition.column}'", condition.levels or ()) for condition in self.conditions),
            ("target", (SIG_ID, *names)),
        ):
            seen = set()
            for value in values:
                if value in seen:
                    raise ValueError(f"{what} {value!r} occurs twice")
                seen.add(value)
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

    # -- columns ------------------------------------------------------------------------------------------------------

    def columns(self, group: str) -> list[str]:
        """Columns of the feature group of that name; empty if there is no such group."""
        return [column for each in self.groups if each.name == group for column in each.columns]

    @property
    def values(self) -> tuple[str, ...]:
        """All numeric columns: those of the first group, then those of the next."""
        return tuple(column for group in self.groups for column in group.columns)

    @property
    def control_columns(self) -> tuple[str, ...]:
        """The column that tells controls; none where there are no controls."""
        return (self.control.column,) if self.control else ()

    @property
    def levels(self) -> dict[str, tuple[int, ...] | tuple[float, ...] | tuple[str, ...]]:
        """Levels of each condition that has some, by its column."""
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
        """Columns of a features file that hold text; a csv reader must not guess their type."""
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

    def only(self, groups: Sequence[str]) -> Assay:
        """The same assay with some of its feature groups; the columns of the others may be in the files, unused.

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

    # -- targets ------------------------------------------------------------------------------------------------------

    @property
    def n_targets(self) -> int | None:
        """Number of scored targets; None: any."""
        return len(self.targets) if isinstance(self.targets, tuple) else self.targets

    @property
    def n_nonscored(self) -> int | None:
        """Number of nonscored targets; None: any."""
        return len(self.nonscored) if isinstance(self.nonscored, tuple) else self.nonscored

    # -- files --------------------------------------------------------------------------------------------------------

    @property
    def plain(self) -> dict[str, Any]:
        """The assay as JSON; what is not given is left out."""
        return self.model_dump(mode="json", exclude_defaults=True) | {"format": self.format}


#: The assay of Kaggle's "Mechanisms of Action" competition.
COMPETITION = Assay(
    name=_COMPETITION,
    groups=(FeatureGroup(name="genes", columns=GENES), FeatureGroup(name="cells", columns=CELLS)),
    conditions=(
        Condition(name="time", column=CP_TIME, levels=CP_TIMES),
        Condition(name="dose", column=CP_DOSE, levels=CP_DOSES),
    ),
    control=Control(column=CP_TYPE, values=(CONTROL,), treated=(TREATED,)),
    targets=N_SCORED,
    nonscored=N_NONSCORED,
    compound=True,
    value_range=VALUE_RANGE,
    strict=True,
)


def load_assay(folder: Path) -> Assay:
    """The assay of a data folder: its ``assay.json``, or ``COMPETITION`` where there is none.

    Raises:
        DataError: lists what is wrong with the file, a line each.
    """
    path = Path(folder) / ASSAY
    if not path.exists() and not path.is_symlink():
        return COMPETITION
    return read_assay(path)


def read_assay(path: Path) -> Assay:
    """The assay that a JSON file describes.

    Raises:
        DataError: lists what is wrong with the file, a line each.
    """
    try:
        return Assay.model_validate(
            json.loads(Path(path).read_text(encoding="utf-8-sig"), object_pairs_hook=_each_once)
        )
    except ValidationError as error:
        raise DataError(list(dict.fromkeys(_problems(path, error)))[:_SHOWN]) from None
    except json.JSONDecodeError as error:
        problem = f"{path}: line {error.lineno}, column {error.colno}: not JSON ({error.msg})"
    except UnicodeDecodeError:
        problem = f"{path}: not UTF-8 text; write it with `moa data import`, or save it as UTF-8"
    except ValueError as error:
        problem = f"{path}: {error}"
    except RecursionError:
        problem = f"{path}: brackets are nested too deeply; see the example in the documentation"
    except OSError as error:
        problem = f"{path}: cannot be read ({error.strerror})"
    raise DataError([problem])


def save_assay(folder: Path, assay: Assay) -> Path:
    """Write the assay of a data folder, atomically; returns the file."""
    path = Path(folder) / ASSAY
    write_json(path, assay.plain)
    return path


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose keys are all different; the json module would keep the last of equal ones."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f'"{name}" occurs twice in one object; keep one of them')
        found[name] = value
    return found


def _problems(path: Path, error: ValidationError) -> Iterable[str]:
    """What is wrong with an assay.json, a line each: the place, what was expected, and what is there."""
    for each in error.errors():
        # pydantic names the kinds of value that a field may have as parts of the place.
        steps = [str(step) for step in each["loc"] if not str(step).startswith(("tuple", "constrained", "int", "str"))]
        place = f"{path}: {'.'.join(steps)}: " if steps else f"{path}: "
        if each["type"] == "extra_forbidden":
            yield f"{place}unknown; remove it (a misspelt name?)"
        elif each["type"] == "missing":
            yield f"{place}missing; add it"
        else:
            message = each["msg"].removeprefix("Value error, ")
            message = message[0].lower() + message[1:]
            shown = repr(each["input"])
            held = (
                "" if each["type"] == "value_error" else f", found {shown if len(shown) <= 60 else shown[:57] + '...'}"
            )
            yield f"{place}{message}{held}"
