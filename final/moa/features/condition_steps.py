"""Steps of a pipeline over the columns that are not measured: the control column and the conditions of an assay."""

from __future__ import annotations

from moa.data.assay import Assay
from moa.features.pipeline import Step, named


def keep_treated(schema: Assay) -> Step:
    """A step that removes the control rows of the assay ``schema``.

    Steps before it are fitted with the controls in, later ones without.
    """
    from moa.features.conditions import treated_rows

    return Step("treated rows", treated_rows(schema.control), named(*schema.control_columns), output="rows")


def log_conditions(schema: Assay) -> list[Step]:
    """A step that takes the logarithm (base 10) of the numeric conditions of the assay ``schema``, if it has any."""
    from moa.features.conditions import Log10

    numbers = schema.numeric_conditions
    return [Step("log10", Log10(), named(*numbers), "in place")] if numbers else []


def encode_conditions(schema: Assay) -> list[Step]:
    """Steps that make numbers of the conditions of the assay ``schema``.

    Each level becomes a 0/1 column; of conditions that are numbers the logarithm is taken.
    """
    from moa.features.conditions import OneHotConditions

    return [
        *log_conditions(schema),
        Step("conditions", OneHotConditions(schema.levels), named(*schema.levels), "replace", own_names=True),
    ]
