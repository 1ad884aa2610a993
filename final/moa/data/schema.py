"""The schema of a data set: its columns, the values its conditions take and the number of its targets.

``COMPETITION`` is the schema of the Kaggle competition. The rest of the package receives a ``Schema`` and imports no
column name. The names of the files and of the ``sig_id`` column are the project's own file format and always the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, StrictStr, model_validator

if TYPE_CHECKING:
    import pandas as pd

SIG_ID = "sig_id"

TRAIN_FEATURES = "train_features.csv"
TEST_FEATURES = "test_features.csv"
TRAIN_SCORED = "train_targets_scored.csv"
TRAIN_NONSCORED = "train_targets_nonscored.csv"
TRAIN_DRUG = "train_drug.csv"
SAMPLE_SUBMISSION = "sample_submission.csv"


class _Part(BaseModel):
    """A part of a schema: immutable, comparable, and readable from its own JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FeatureGroup(_Part):
    """Numeric columns of one kind, which are reduced, clustered and summarized together.

    Attributes:
        name: in words, such as "genes".
        prefix: short name for derived features, such as "g" in "g_mean".
        columns: column names, in order.
    """

    name: str
    prefix: str
    columns: tuple[str, ...] = Field(min_length=1)


class Treatment(_Part):
    """The column that tells treated rows from controls.

    Attributes:
        column: its name.
        treated, control: its two values.
    """

    column: str
    treated: str
    control: str

    @property
    def levels(self) -> tuple[str, str]:
        """Both values, the control first."""
        return (self.control, self.treated)


class Condition(_Part):
    """An experimental condition with a fixed set of values, such as the time of treatment.

    Attributes:
        column: its name.
        levels: all values it can take, in order; all integers, all floats or all strings.
    """

    column: str
    levels: tuple[StrictInt, ...] | tuple[StrictFloat, ...] | tuple[StrictStr, ...] = Field(min_length=1)

    @property
    def dtype(self) -> type:
        """Type of the values: ``np.int64``, ``np.float64`` or ``str``."""
        return {int: np.int64, float: np.float64, str: str}[type(self.levels[0])]


class Schema(_Part):
    """What the files of one data set hold.

    Attributes:
        name: of the data set.
        treatment: the column of treated rows and controls.
        conditions: experimental conditions, in column order.
        groups: groups of numeric columns, in column order.
        n_scored: number of scored targets; None: any.
        n_nonscored: number of nonscored targets; None: any.

    Raises:
        ValidationError: a column, group name, prefix or level occurs twice.
    """

    name: str
    treatment: Treatment
    conditions: tuple[Condition, ...] = ()
    groups: tuple[FeatureGroup, ...] = Field(min_length=1)
    n_scored: int | None = Field(None, ge=1)
    n_nonscored: int | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _unique(self) -> Schema:
        for what, names in (
            ("column", (SIG_ID, *self.features)),
            ("feature group", [group.name for group in self.groups]),
            ("prefix", [group.prefix for group in self.groups]),
            ("value of the treatment", self.treatment.levels),
            *((f"level of '{condition.column}'", condition.levels) for condition in self.conditions),
        ):
            seen = set()
            for name in names:
                if name in seen:
                    raise ValueError(f"{what} {name!r} occurs twice")
                seen.add(name)
        return self

    def columns(self, group: str) -> list[str]:
        """Columns of the feature group of that name; empty if there is no such group."""
        return [column for each in self.groups if each.name == group for column in each.columns]

    @property
    def values(self) -> tuple[str, ...]:
        """All numeric columns: those of the first group, then those of the next."""
        return tuple(column for group in self.groups for column in group.columns)

    @property
    def condition_columns(self) -> tuple[str, ...]:
        """Columns of the conditions, without the treatment's."""
        return tuple(condition.column for condition in self.conditions)

    @property
    def features(self) -> tuple[str, ...]:
        """All columns of a features file except ``sig_id``, in order: treatment, conditions, values."""
        return (self.treatment.column, *self.condition_columns, *self.values)

    @property
    def text_columns(self) -> tuple[str, ...]:
        """Columns of a features file that hold text; a csv reader must not guess their type."""
        text = (condition.column for condition in self.conditions if condition.dtype is str)
        return (SIG_ID, self.treatment.column, *text)

    @property
    def levels(self) -> dict[str, tuple[int, ...] | tuple[float, ...] | tuple[str, ...]]:
        """Levels of each condition by its column."""
        return {condition.column: condition.levels for condition in self.conditions}

    @property
    def widths(self) -> dict[str, int]:
        """Number of columns of each feature group by its prefix."""
        return {group.prefix: len(group.columns) for group in self.groups}

    def is_treated(self, features: pd.DataFrame) -> pd.Series:
        """True for rows that were treated, False for controls; indexed like ``features``."""
        return features[self.treatment.column] == self.treatment.treated


CP_TYPE, CP_TIME, CP_DOSE = "cp_type", "cp_time", "cp_dose"
TREATED, CONTROL = "trt_cp", "ctl_vehicle"
CP_TIMES, CP_DOSES = (24, 48, 72), ("D1", "D2")
GENES = tuple(f"g-{i}" for i in range(772))
CELLS = tuple(f"c-{i}" for i in range(100))
N_SCORED, N_NONSCORED = 206, 402

#: The schema of Kaggle's "Mechanisms of Action" competition.
COMPETITION = Schema(
    name="lish-moa",
    treatment=Treatment(column=CP_TYPE, treated=TREATED, control=CONTROL),
    conditions=(Condition(column=CP_TIME, levels=CP_TIMES), Condition(column=CP_DOSE, levels=CP_DOSES)),
    groups=(
        FeatureGroup(name="genes", prefix="g", columns=GENES),
        FeatureGroup(name="cells", prefix="c", columns=CELLS),
    ),
    n_scored=N_SCORED,
    n_nonscored=N_NONSCORED,
)
FEATURES = COMPETITION.features

# Sizes of the public competition files. The hidden test set was larger, so nothing may depend on them.
TRAIN_ROWS = 23_814
TEST_ROWS = 3_982
