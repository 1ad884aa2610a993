"""Feature pipelines over named columns: which transformer is applied to which columns, and which rows it is fitted on.

scikit-learn's ``ColumnTransformer`` is fitted on one table. Here some transformers are fitted on train and test
together and others on train alone, and some columns are selected by their position in the table at that point. A
pipeline is therefore a list of steps over a frame with named columns.

Recipes import steps and selectors from here. Every command imports this module with the recipes, so pandas and
scikit-learn are imported where a pipeline is fitted or applied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from moa.errors import UserError
from moa.features.fits import Fits, NoStore
from moa.features.fitted_steps import FittedStep, fit_step, text_columns
from moa.features.steps import (
    LEAST_CONTROLS,
    FitOn,
    Selector,
    Step,
    drop,
    excluding,
    named,
    positions,
    reference,
    starting,
)
from moa.words import shown

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "LEAST_CONTROLS",
    "FeaturePipeline",
    "FitOn",
    "Selector",
    "Step",
    "drop",
    "excluding",
    "named",
    "positions",
    "reference",
    "starting",
]


class FeaturePipeline:
    """A list of steps, fitted on train and test features or on train features alone.

    Args:
        steps: applied in this order.
        dtype: type of the resulting columns.

    Attributes:
        widths_: by step name, number of columns after the step, counting sig_id as one; skipped steps have no entry.
        input_columns_: columns that ``transform`` needs.
        feature_names_: columns of the result.
    """

    def __init__(self, steps: Sequence[Step], dtype: Any = np.float32):
        self.steps = list(steps)
        self.dtype = np.dtype(dtype)

    def fit(
        self,
        train: pd.DataFrame,
        y: np.ndarray | None = None,
        fits: Fits | None = None,
        controls: np.ndarray | None = None,
    ) -> FeaturePipeline:
        """Fit all steps on the rows of ``train`` alone, those for "train+test" included.

        ``y``, with ``fits`` and ``controls``, are those of ``fit_transform``.

        Raises:
            UserError: a step takes a column that is not there, or text.
        """
        self._fit(train, None, fits, y, controls)
        return self

    def fit_train(
        self,
        train: pd.DataFrame,
        y: np.ndarray | None = None,
        fits: Fits | None = None,
        controls: np.ndarray | None = None,
    ) -> pd.DataFrame:
        """Fit as ``fit`` does, and return the rows of ``train`` as the steps' ``training_rows`` have them.

        ``y``, with ``fits`` and ``controls``, are those of ``fit_transform``.
        """
        train, _ = self._fit(train, None, fits, y, controls)
        return _numbers(train, self.dtype)

    def fit_transform(
        self,
        train: pd.DataFrame,
        test: pd.DataFrame,
        fits: Fits | None = None,
        y: np.ndarray | None = None,
        on_step: Callable[[str, int, int], None] | None = None,
        controls: np.ndarray | None = None,
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Fit all steps and transform both frames.

        Args:
            train: shape (rows, columns), indexed by sig_id. Columns that no step before ``keep_treated`` uses may be
                missing (NaN) in control rows.
            test: other rows with the same columns.
            fits: fits the transformers and keeps the fits; None keeps them in memory.
            y: labels for supervised selectors: 0/1, shape (len(train),).
            on_step: called before each step with its name, the number of steps done and the total.
            controls: True for the controls of ``train``, shape (len(train),), for steps that are fitted on them; None:
                there are none.

        Returns:
            the transformed train and test frames, of type ``dtype``.

        Raises:
            UserError: a step takes a column that is not there, or text.
        """
        train, test = self._fit(train, test, fits, y, controls, on_step)
        return _numbers(train, self.dtype), _numbers(test, self.dtype)

    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Transform rows by the fitted steps.

        Args:
            frame: shape (rows, columns), indexed by sig_id; it must have the ``input_columns_``, and may have others.

        Returns:
            shape (rows, features), of type ``dtype``; where a step drops controls, only the other rows.

        Raises:
            UserError: a column that the pipeline was fitted with is missing.
        """
        missing = [column for column in self.input_columns_ if column not in frame.columns]
        if missing:
            raise UserError(
                f"features: {len(missing)} columns the model was trained with are missing, the first is '{missing[0]}'"
            )
        frame = frame[self.input_columns_]
        for step in self.fitted_:
            frame = step.apply(frame)
        return _numbers(frame, self.dtype)

    def describe(self) -> dict[str, Any]:
        """The fitted pipeline as JSON: columns, type, and the keys of its fits."""
        return {
            "input_columns": self.input_columns_,
            "feature_names": self.feature_names_,
            "dtype": self.dtype.name,
            "widths": self.widths_,
            "steps": [
                {"name": s.name, "output": s.output, "inputs": s.inputs, "outputs": s.outputs, "key": s.key}
                for s in self.fitted_
            ],
        }

    @classmethod
    def restore(cls, description: dict[str, Any], fits: Fits) -> FeaturePipeline:
        """Rebuild a fitted pipeline.

        Args:
            description: what its ``describe`` gave.
            fits: where its fits are kept.
        """
        self = cls([], description["dtype"])
        self.input_columns_ = description["input_columns"]
        self.feature_names_ = description["feature_names"]
        self.widths_ = description["widths"]
        self.fitted_ = [
            FittedStep(**step, transformer=fits.load(step["key"]) if step["key"] else None)
            for step in description["steps"]
        ]
        return self

    def _fit(
        self,
        train: pd.DataFrame,
        test: pd.DataFrame | None,
        fits: Fits | None,
        y: np.ndarray | None,
        controls: np.ndarray | None,
        on_step: Callable[[str, int, int], None] | None = None,
    ) -> tuple[pd.DataFrame, pd.DataFrame | None]:
        fits = fits or NoStore()
        self.input_columns_ = list(train.columns)
        self.fitted_: list[FittedStep] = []
        self.widths_: dict[str, int] = {}
        for done, step in enumerate(self.steps):
            if on_step:
                on_step(step.name, done, len(self.steps))
            inputs = step.columns(list(train.columns))
            if not inputs:
                continue
            lost = [column for column in inputs if column not in train.columns]
            if lost:
                raise UserError(
                    f"features: step '{step.name}' takes the column '{shown(lost[0])}', which is not there at this step"
                )
            fitted, own = fit_step(step, inputs, train, test, fits, y, controls)
            if step.output == "rows":
                kept = fitted.marked(train)
                y, controls = (None if each is None else each[kept] for each in (y, controls))
            train, test = fitted.apply(train, own), None if test is None else fitted.apply(test)
            self.fitted_.append(fitted)
            self.widths_[step.name] = train.shape[1] + 1
        self.feature_names_ = list(train.columns)
        return train, test


def _numbers(frame: pd.DataFrame, dtype: np.dtype) -> pd.DataFrame:
    """The result of the last step as numbers.

    Raises:
        UserError: a column holds text.
    """
    text = text_columns(frame)
    if text:
        raise UserError(
            f"features: the column '{shown(text[0])}' still holds text after the last step; add "
            "encode_conditions(assay) to the steps, or drop it"
        )
    return frame.astype(dtype)
