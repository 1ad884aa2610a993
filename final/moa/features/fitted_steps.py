"""Steps that are fitted: how their outputs stand in the frame, and what is refused.

Every command imports this module with the recipes, so pandas and scikit-learn are imported where a step is fitted or
applied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from moa.errors import UserError
from moa.features.fits import Fits, NoStore
from moa.features.steps import Step, reference
from moa.words import shown

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class FittedStep:
    """A step with its fitted transformer and the names of the columns that it takes and makes."""

    name: str
    output: str
    inputs: list[str]
    outputs: list[str]
    key: str | None
    transformer: Any

    def marked(self, frame: pd.DataFrame) -> np.ndarray:
        """The rows that a step of output "rows" keeps, shape (rows,)."""
        return np.asarray(self.transformer.transform(frame[self.inputs])).ravel().astype(bool)

    def apply(self, frame: pd.DataFrame, own: np.ndarray | None = None) -> pd.DataFrame:
        """The frame after the step; ``own`` are the outputs, where they are there already."""
        import pandas as pd

        if self.output == "rows":
            return frame[self.marked(frame)].drop(columns=self.inputs)
        if self.output in ("drop", "select"):
            gone = set(self.inputs) - set(self.outputs)
            return frame[[column for column in frame.columns if column not in gone]]
        if own is not None:
            values = own
        elif len(frame):
            values = np.asarray(self.transformer.transform(_values(frame, self.inputs, self.transformer)))
        else:  # without treated rows there is nothing to transform, and scikit-learn rejects empty tables
            values = np.empty((0, len(self.outputs)))
        new = pd.DataFrame(values, index=frame.index, columns=self.outputs)
        if self.output == "in place":
            if self.inputs == list(frame.columns):
                return new
            inside = set(self.inputs)
            parts = pd.concat([frame[[c for c in frame.columns if c not in inside]], new], axis=1)
            return parts[list(frame.columns)]
        rest = frame if self.output == "append" else frame.drop(columns=self.inputs)
        return pd.concat([rest, new], axis=1)


def _values(frame: pd.DataFrame, columns: list[str], transformer: Any) -> Any:
    """A float64 matrix; a frame where columns hold text, or where the transformer says that it takes frames."""
    part = frame[columns]
    frames = getattr(transformer, "takes_frames", False) or text_columns(part)
    return part if frames else part.to_numpy(np.float64)


def fit_step(
    step: Step,
    inputs: list[str],
    train: pd.DataFrame,
    test: pd.DataFrame | None,
    fits: Fits,
    y: np.ndarray | None,
    controls: np.ndarray | None,
) -> tuple[FittedStep, np.ndarray | None]:
    """The fitted step; and its outputs for the rows of ``train``, where fitting gives them."""
    import pandas as pd

    if step.transformer is None:
        return FittedStep(step.name, "drop", inputs, [], None, None), None
    if step.fit_on == "controls":
        rows = train.iloc[reference(controls, len(train))]
    else:
        rows = train if step.fit_on == "train" or test is None else pd.concat([train[inputs], test[inputs]])
    values, own = _values(rows, inputs, step.transformer), None
    labels = y if step.fit_on == "train" else None
    try:
        if step.training_rows == "transform":
            transformer, key = fits.fit(step.transformer, values, labels)
        elif isinstance(fits, NoStore):
            transformer, key, own = fits.fit_transform(step.transformer, values, labels)
            own = np.asarray(own)[: len(train)]
        else:
            raise UserError(
                f"features: step '{step.name}' has training_rows=\"fit_transform\", which is for the features of a "
                "stage's units; leave it out"
            )
    except (TypeError, ValueError) as error:
        text = text_columns(rows[inputs])
        if not text:
            raise
        raise UserError(
            f"features: step '{step.name}' cannot take the column '{shown(text[0])}', which holds text "
            f"({shown(error)}); choose other columns, or make numbers of it first"
        ) from error
    if step.output == "rows":
        outputs = []
    elif step.output == "in place":
        outputs = inputs
    elif step.output == "select":
        outputs = [column for column, kept in zip(inputs, transformer.get_support(), strict=True) if kept]
    else:
        if step.own_names:
            names = transformer.get_feature_names_out(inputs)
        else:
            width = np.asarray(transformer.transform(_values(rows.iloc[:1], inputs, transformer))).shape[1]
            names = [f"{step.name}-{i}" for i in range(width)]
        outputs = [f"{step.prefix}{name}" for name in names]
    if step.output in ("append", "replace"):
        there = set(train.columns) - (set(inputs) if step.output == "replace" else set())
        twice = [name for name in outputs if name in there]
        if twice:
            raise UserError(
                f"features: step '{step.name}' makes a column '{twice[0]}', which the data have too; rename it"
            )
    return FittedStep(step.name, step.output, inputs, outputs, key, transformer), own


def text_columns(frame: pd.DataFrame) -> list[str]:
    """Names of the columns that hold no numbers."""
    import pandas as pd

    kinds = frame.dtypes  # of hundreds of columns few differ: one after another they would take longer than many a step
    text = {kind for kind in set(kinds) if not pd.api.types.is_numeric_dtype(kind)}
    return [column for column, kind in zip(frame.columns.tolist(), kinds, strict=True) if kind in text] if text else []
