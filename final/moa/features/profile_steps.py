"""Steps that make profiles of any assay comparable: which features are used, their scale, and the controls' noise."""

from __future__ import annotations

import re

from moa.data.assay import Assay
from moa.features.pipeline import FitOn, Step, drop, named

#: Features of CellProfiler that say where an object lies or which number it has, not what it looks like.
_BOOKKEEPING = re.compile(
    r"(?:^|_)(?:Center|CenterMass\w*|Location|Orientation|BoundingBox\w*|\w*ObjectNumber|Object_Number|Number_Object|"
    r"Parent|Children|ImageNumber|Image_Number)(?:_|$)"
)


def is_bookkeeping(feature: str) -> bool:
    """Whether a feature's name says that it is a place, an orientation, a number or a count of parts of an object."""
    return bool(_BOOKKEEPING.search(feature))


def profile_steps(schema: Assay, fit_on: FitOn) -> list[Step]:
    """Steps that leave out what does not vary or cannot be used, take logarithms and standardise.

    Args:
        schema: the assay.
        fit_on: rows that deviations are measured on, see `moa.features.pipeline.Step`.
    """
    from moa.features import Bounded, SignedLog, StandardScaler, Varying

    kept = [column for column in schema.values if not is_bookkeeping(column)] or list(schema.values)
    inside = set(kept)
    unused = [column for column in schema.values if column not in inside]

    def values(available: list[str]) -> list[str]:
        return [column for column in available if column in inside]

    return [
        *([drop("bookkeeping", named(*unused))] if unused else []),
        Step("bounded", Bounded(), values, "select", fit_on="train"),
        Step("varying", Varying(), values, "select", fit_on=fit_on),
        Step("log", SignedLog(), values, "in place", fit_on="train"),
        Step("standardised", StandardScaler(), values, "in place", fit_on=fit_on),
    ]


def sphered_steps(schema: Assay, shrinkage: float | None) -> list[Step]:
    """Steps that take the logarithm of all features and sphere them on controls, for networks; None: no steps.

    With fewer than six controls they are fitted on all training rows.

    Args:
        schema: the assay.
        shrinkage: λ of `moa.features.profiles.Sphering`.
    """
    if shrinkage is None:
        return []
    from moa.features import SignedLog, Sphering, StandardScaler

    values = named(*schema.values)
    return [
        Step("log", SignedLog(), values, "in place", fit_on="train"),
        Step("standardised", StandardScaler(), values, "in place", fit_on="controls"),
        Step("sphered", Sphering(shrinkage), values, "in place", fit_on="controls"),
    ]
