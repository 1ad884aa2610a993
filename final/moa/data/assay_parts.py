"""The parts of an assay: feature groups, conditions, and the values that mark controls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, StrictStr, model_validator

Name = Annotated[StrictStr, Field(min_length=1)]
Targets = tuple[Name, ...] | Annotated[StrictInt, Field(ge=0)] | None


class AssayPart(BaseModel):
    """Immutable, comparable, and readable from its own JSON, without fields that are not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FeatureGroup(AssayPart):
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


class Condition(AssayPart):
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


class Control(AssayPart):
    """The column that says which rows are controls.

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


def groups_of(value: Any) -> Any:
    """Groups from their mapping in JSON, each with a prefix."""
    if isinstance(value, dict):
        for name, group in value.items():
            if not isinstance(group, dict):
                raise ValueError(f'group \'{name}\' is no object; write "{name}": {{"columns": [...]}}')
        value = [{**group, "name": name} for name, group in value.items()]
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ValueError('expected an object such as {"genes": {"columns": ["g-0", ...]}}')
    for each in value:
        if not isinstance(each, FeatureGroup | dict):
            raise ValueError(f'group {each!r} is no object; write {{"{each}": {{"columns": [...]}}}}')
    groups = [dict(each) for each in value]
    prefixes = prefixes_of([group.get("name", "") for group in groups])
    for group, prefix in zip(groups, prefixes, strict=True):
        if group.get("prefix", "") == "":
            group["prefix"] = prefix
    return groups


def prefixes_of(names: Sequence[str]) -> list[str]:
    """Short names: the shortest start of each name, in lower case, that no other name has.

    "g" and "c" for genes and cells; the whole name where it is the start of another.
    """
    lower = [str(name).lower() for name in names]
    found = []
    for name in lower:
        unique = (name[:n] for n in range(1, len(name)) if sum(each.startswith(name[:n]) for each in lower) == 1)
        found.append(next(unique, name))
    return found
