"""The steps of a feature pipeline at work on a sample of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from moa.features.pipeline import FeaturePipeline


@dataclass(frozen=True)
class SeenStep:
    """A step at work; ``moa.plots.features.Seen`` describes ``name``, ``before``, ``after`` and ``kind``."""

    name: str
    does: str  # its transformer, with its size
    output: str  # what becomes of its inputs, see ``moa.features.pipeline.Step``
    before: pd.DataFrame
    after: pd.DataFrame
    kind: str  # also "columns", for what has no picture
    shape: tuple[int, int]  # of the whole sample after the step


def feature_steps(pipeline: FeaturePipeline, rows: pd.DataFrame) -> list[SeenStep]:
    """Apply a fitted pipeline to a sample, shape (rows, columns); keep what each step was given and what it made."""
    frame, seen = rows[pipeline.input_columns_], []
    for step in pipeline.fitted_:
        given = frame
        frame = step.apply(given)
        inputs = given.loc[frame.index, step.inputs]
        made = frame[step.outputs] if step.output not in ("rows", "drop", "select") else frame.iloc[:, :0]
        kind = _kind(step.transformer, step.output, inputs, made)
        seen.append(SeenStep(step.name, _words(step.transformer), step.output, inputs, made, kind, frame.shape))
    return seen


def table(steps: Sequence[SeenStep]) -> pd.DataFrame:
    """The steps as a table: one row per step, with the columns it is given, those it makes, and the shape after it."""
    return pd.DataFrame(
        {
            "transformer": [step.does for step in steps],
            "output": [step.output for step in steps],
            "columns in": [step.before.shape[1] for step in steps],
            "columns out": [step.after.shape[1] for step in steps],
            "sample after": [f"{step.shape[0]:,} × {step.shape[1]:,}" for step in steps],
        },
        index=[step.name for step in steps],
    )


def _kind(transformer: object, output: str, inputs: pd.DataFrame, made: pd.DataFrame) -> str:
    numbers = all(map(pd.api.types.is_numeric_dtype, inputs.dtypes))
    if output in ("rows", "drop", "select") or not numbers or not len(made) or not made.shape[1]:
        return "columns"
    if output == "in place":
        return "in place"
    if type(transformer).__name__ in ("FactorAnalysis", "PCA", "UMAPEmbedding"):
        return "map"
    return "clusters" if type(transformer).__name__ == "KMeansOneHot" else "values"


def _words(transformer: object) -> str:
    """A transformer with the size that it was given, in a few words."""
    if transformer is None:
        return "drops columns"
    known = transformer.get_params(deep=False) if hasattr(transformer, "get_params") else {}
    sizes = [f"{name}={known[name]}" for name in ("n_components", "n_clusters", "n_columns") if known.get(name)]
    return f"{type(transformer).__name__}({', '.join(sizes)})"
