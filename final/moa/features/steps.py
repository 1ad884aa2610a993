"""Steps of a feature pipeline: a transformer, the columns that it takes, and the rows that it is fitted on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Selector = Callable[[list[str]], list[str]]
#: Rows that a step is fitted on.
FitOn = Literal["train", "train+test", "controls"]
#: Fewest controls that anything is measured on.
LEAST_CONTROLS = 6


def named(*columns: str) -> Selector:
    """Select exactly these ``columns``."""
    return lambda available: list(columns)


def starting(*prefixes: str) -> Selector:
    """Select the columns that start with any of the ``prefixes``, in the frame's order."""
    return lambda available: [column for column in available if column.startswith(prefixes)]


def excluding(*columns: str) -> Selector:
    """Select all columns except these ``columns``."""
    return lambda available: [column for column in available if column not in columns]


def positions(start: int, stop: int | None) -> Selector:
    """Select by position in the current frame: from ``start`` up to, not including, ``stop``; None: to the end."""
    return lambda available: available[start:stop]


@dataclass(frozen=True)
class Step:
    """One transformer over some columns. A step whose selector finds no columns is skipped.

    Attributes:
        name: unique in the pipeline; new columns are named ``{name}-{i}`` unless ``own_names``.
        transformer: an unfitted scikit-learn transformer; None for a step that only drops its columns.
        columns: selects from the columns of the current frame.
        output: "in place" keeps names and positions; "append" adds the outputs at the right; "replace" removes the
            inputs and adds the outputs at the right; "select" keeps the inputs that ``get_support`` marks; "drop"
            removes the inputs; "rows" keeps the rows that the transformer marks, and removes the inputs.
        fit_on: rows the transformer is fitted on; "controls": those of the training rows, or, where these hold fewer
            than six, all training rows.
        own_names: name new columns by the transformer's ``get_feature_names_out``.
        prefix: prepended to the names of new columns.
        training_rows: what gives the values of the rows that the transformer is fitted on: "transform", as for all
            others, or its own "fit_transform", which differs where its solver is not exact. The latter is for pipelines
            that are fitted inside a unit: fits that are shared keep no rows.
    """

    name: str
    transformer: Any
    columns: Selector
    output: Literal["in place", "append", "replace", "select", "drop", "rows"] = "append"
    fit_on: FitOn = "train+test"
    own_names: bool = False
    prefix: str = ""
    training_rows: Literal["transform", "fit_transform"] = "transform"


def reference(controls: np.ndarray | None, rows: int) -> np.ndarray:
    """Positions of the rows that others are compared with: the controls, or all ``rows`` where these are too few.

    ``controls`` is True for controls, shape (rows,); None: there are none.
    """
    found = np.flatnonzero(controls) if controls is not None else np.arange(0)
    return found if len(found) >= LEAST_CONTROLS else np.arange(rows)


def drop(name: str, columns: Selector) -> Step:
    """A step of that ``name`` that removes the ``columns`` that a selector gives."""
    return Step(name, None, columns, output="drop")
