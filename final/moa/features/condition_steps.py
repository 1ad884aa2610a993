"""Steps of a pipeline over the columns that are no measurements: the control column and the conditions of an assay."""

from __future__ import annotations

from moa.data.assay import Assay
from moa.features.pipeline import Step, named


def keep_treated(schema: Assay) -> Step:
    """A step that removes the control rows: steps before it are fitted with the controls in, later ones without.

    Args:
        schema: the assay, which says what a control is.

    Returns:
        the step, of output "rows".
    """
    from moa.features.conditions import treated_rows

    return Step("treated rows", treated_rows(schema.control), named(*schema.control_columns), output="rows")


def log_conditions(schema: Assay) -> list[Step]:
    """A step that takes the logarithm (base 10) of the conditions that are numbers; none where there are no such.

    Args:
        schema: the assay, which says what conditions there are.

    Returns:
        the steps, to be put into a pipeline.
    """
    from moa.features.conditions import Log10

    numbers = schema.numeric_conditions
    return [Step("log10", Log10(), named(*numbers), "in place")] if numbers else []


def encode_conditions(schema: Assay) -> list[Step]:
    """Steps that make numbers of the conditions: a 0/1 column for each level, the logarithm of those that are numbers.

    Args:
        schema: the assay, which says what conditions there are.

    Returns:
        the steps, to be put into a pipeline.
    """
    from moa.features.conditions import OneHotConditions

    return [
        *log_conditions(schema),
        Step("conditions", OneHotConditions(schema.levels), named(*schema.levels), "replace", own_names=True),
    ]
