"""Feature pipelines over named columns: which columns go through which transformer, fitted on which rows.

scikit-learn's own ``ColumnTransformer`` fits on one table. Here many transformers are fitted on train and test
together, some on train alone, and columns are sometimes picked by their place in the table so far; so a pipeline is a
list of steps over a frame whose columns keep their names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd
from sklearn.base import clone

from moa.data.schema import CELLS, GENES
from moa.errors import UserError

Selector = Callable[[list[str]], list[str]]


def named(*columns: str) -> Selector:
    """Select exactly these columns."""
    return lambda available: list(columns)


def starting(*prefixes: str) -> Selector:
    """Select the columns that start with any of the prefixes, in the frame's order."""
    return lambda available: [column for column in available if column.startswith(prefixes)]


def excluding(*columns: str) -> Selector:
    """Select all columns but these."""
    return lambda available: [column for column in available if column not in columns]


def positions(start: int, stop: int | None) -> Selector:
    """Select by place in the frame so far, as ``frame.columns[start:stop]``."""
    return lambda available: available[start:stop]


genes = named(*GENES)
cells = named(*CELLS)
genes_and_cells = named(*GENES, *CELLS)


class Fits(Protocol):
    """Where fitted transformers are kept: fits the transformer, or reads the same fit made before."""

    def fit(self, transformer: Any, x: Any, y: np.ndarray | None) -> tuple[Any, str]:
        """Return the fitted transformer and the key that finds it again."""
        ...

    def load(self, key: str) -> Any:
        """Return the fit of that key."""
        ...


class NoStore:
    """Fit, keep in memory, forget at the end: for notebooks and tests."""

    def __init__(self) -> None:
        self._fits: dict[str, Any] = {}

    def fit(self, transformer: Any, x: Any, y: np.ndarray | None) -> tuple[Any, str]:
        key = f"fit-{len(self._fits)}"
        self._fits[key] = clone(transformer).fit(x, y)
        return self._fits[key], key

    def load(self, key: str) -> Any:
        return self._fits[key]


@dataclass(frozen=True)
class Step:
    """One transformer over some columns.

    Attributes:
        name: unique in the pipeline; new columns are called ``{name}-{i}`` unless ``own_names``.
        transformer: an unfitted scikit-learn transformer, or None for a step that only drops its columns.
        columns: picks the columns from those of the frame so far.
        output: "in place" keeps names and places; "append" adds the outputs at the right; "replace" removes the inputs
            and adds the outputs at the right; "select" keeps those inputs that ``get_support`` names.
        fit_on: rows the transformer is fitted on.
        own_names: name new columns by the transformer's ``get_feature_names_out``.
        prefix: put before the names of appended columns.
    """

    name: str
    transformer: Any
    columns: Selector
    output: Literal["in place", "append", "replace", "select", "drop"] = "append"
    fit_on: Literal["train", "train+test"] = "train+test"
    own_names: bool = False
    prefix: str = ""


def drop(name: str, columns: Selector) -> Step:
    """A step that removes columns."""
    return Step(name, None, columns, output="drop")


@dataclass(frozen=True)
class _FittedStep:
    name: str
    output: str
    inputs: list[str]
    outputs: list[str]
    key: str | None
    transformer: Any

    def apply(self, frame: pd.DataFrame) -> pd.DataFrame:
        if self.output in ("drop", "select"):
            gone = set(self.inputs) - set(self.outputs)
            return frame[[column for column in frame.columns if column not in gone]]
        if len(frame):
            values = np.asarray(self.transformer.transform(_values(frame, self.inputs)))
        else:  # a test file may hold control rows alone, and scikit-learn refuses tables without rows
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


def _values(frame: pd.DataFrame, columns: list[str]) -> Any:
    """A float64 matrix where the columns are numbers, the frame itself where they are categories."""
    part = frame[columns]
    if all(pd.api.types.is_numeric_dtype(kind) for kind in part.dtypes):
        return part.to_numpy(np.float64)
    return part


class FeaturePipeline:
    """A list of steps, fitted on train and test features.

    Attributes:
        widths_: number of columns after each step, the sig_id counted as one, by step name.
        input_columns_: columns that ``transform`` needs.
        feature_names_: columns of the result.
    """

    def __init__(self, steps: Sequence[Step]):
        self.steps = list(steps)

    def fit_transform(
        self,
        train: pd.DataFrame,
        test: pd.DataFrame,
        fits: Fits | None = None,
        y: np.ndarray | None = None,
        on_step: Callable[[str, int, int], None] = lambda name, done, total: None,
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Fit step after step.

        Args:
            train, test: frames with the same columns, indexed by sig_id.
            fits: where fitted transformers are kept and shared.
            y: for supervised selectors: one 0/1 label a training row, shape (len(train),).
            on_step: called before each step with its name, the number done and the total.

        Returns:
            the transformed train and test frames, float32.
        """
        fits = fits or NoStore()
        self.input_columns_ = list(train.columns)
        self.fitted_: list[_FittedStep] = []
        self.widths_: dict[str, int] = {}
        for done, step in enumerate(self.steps):
            on_step(step.name, done, len(self.steps))
            fitted = self._fit_step(step, train, test, fits, y)
            train, test = fitted.apply(train), fitted.apply(test)
            self.fitted_.append(fitted)
            self.widths_[step.name] = train.shape[1] + 1
        self.feature_names_ = list(train.columns)
        return _finish(train), _finish(test)

    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Transform rows by the fitted steps.

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
        return _finish(frame)

    def describe(self) -> dict[str, Any]:
        """The fitted pipeline as JSON: names and the keys of its fits."""
        return {
            "input_columns": self.input_columns_,
            "feature_names": self.feature_names_,
            "widths": self.widths_,
            "steps": [
                {"name": s.name, "output": s.output, "inputs": s.inputs, "outputs": s.outputs, "key": s.key}
                for s in self.fitted_
            ],
        }

    @classmethod
    def restore(cls, description: dict[str, Any], fits: Fits) -> FeaturePipeline:
        """Rebuild a fitted pipeline from ``describe`` and the kept fits."""
        self = cls([])
        self.input_columns_ = description["input_columns"]
        self.feature_names_ = description["feature_names"]
        self.widths_ = description["widths"]
        self.fitted_ = [
            _FittedStep(**step, transformer=fits.load(step["key"]) if step["key"] else None)
            for step in description["steps"]
        ]
        return self

    @staticmethod
    def _fit_step(step: Step, train: pd.DataFrame, test: pd.DataFrame, fits: Fits, y: np.ndarray | None) -> _FittedStep:
        inputs = step.columns(list(train.columns))
        if step.transformer is None:
            return _FittedStep(step.name, "drop", inputs, [], None, None)
        rows = train if step.fit_on == "train" else pd.concat([train[inputs], test[inputs]])
        transformer, key = fits.fit(step.transformer, _values(rows, inputs), y if step.fit_on == "train" else None)
        if step.output == "in place":
            outputs = inputs
        elif step.output == "select":
            outputs = [column for column, kept in zip(inputs, transformer.get_support(), strict=True) if kept]
        else:
            own = list(transformer.get_feature_names_out(inputs)) if step.own_names else None
            width = len(own) if own else _width(transformer, rows, inputs)
            outputs = [f"{step.prefix}{name}" for name in own or [f"{step.name}-{i}" for i in range(width)]]
        return _FittedStep(step.name, step.output, inputs, outputs, key, transformer)


def _width(transformer: Any, rows: pd.DataFrame, inputs: list[str]) -> int:
    return np.asarray(transformer.transform(_values(rows.iloc[:1], inputs))).shape[1]


def _finish(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype(np.float32)
