"""Feature pipelines over named columns: which transformer is applied to which columns, and which rows it is fitted on.

scikit-learn's ``ColumnTransformer`` is fitted on one table. Here some transformers are fitted on train and test
together and others on train alone, and some columns are selected by their position in the table at that point. A
pipeline is therefore a list of steps over a frame with named columns.

Every command imports this module with the recipes, so pandas and scikit-learn are imported where a pipeline is fitted
or applied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from moa.errors import UserError
from moa.features.fits import Fits, NoStore
from moa.words import shown

if TYPE_CHECKING:
    import pandas as pd

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


@dataclass(frozen=True)
class _FittedStep:
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
    frames = getattr(transformer, "takes_frames", False) or _text_columns(part)
    return part if frames else part.to_numpy(np.float64)


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
            _FittedStep(**step, transformer=fits.load(step["key"]) if step["key"] else None)
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
        self.fitted_: list[_FittedStep] = []
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
            fitted, own = _fit_step(step, inputs, train, test, fits, y, controls)
            if step.output == "rows":
                kept = fitted.marked(train)
                y, controls = (None if each is None else each[kept] for each in (y, controls))
            train, test = fitted.apply(train, own), None if test is None else fitted.apply(test)
            self.fitted_.append(fitted)
            self.widths_[step.name] = train.shape[1] + 1
        self.feature_names_ = list(train.columns)
        return train, test


def _fit_step(
    step: Step,
    inputs: list[str],
    train: pd.DataFrame,
    test: pd.DataFrame | None,
    fits: Fits,
    y: np.ndarray | None,
    controls: np.ndarray | None,
) -> tuple[_FittedStep, np.ndarray | None]:
    """The fitted step; and its outputs for the rows of ``train``, where fitting gives them."""
    import pandas as pd

    if step.transformer is None:
        return _FittedStep(step.name, "drop", inputs, [], None, None), None
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
        text = _text_columns(rows[inputs])
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
    return _FittedStep(step.name, step.output, inputs, outputs, key, transformer), own


def _text_columns(frame: pd.DataFrame) -> list[str]:
    import pandas as pd

    return [column for column, kind in frame.dtypes.items() if not pd.api.types.is_numeric_dtype(kind)]


def _numbers(frame: pd.DataFrame, dtype: np.dtype) -> pd.DataFrame:
    """The result of the last step as numbers.

    Raises:
        UserError: a column holds text.
    """
    text = _text_columns(frame)
    if text:
        raise UserError(
            f"features: the column '{shown(text[0])}' still holds text after the last step; add "
            "encode_conditions(assay) to the steps, or drop it"
        )
    return frame.astype(dtype)
