"""Mixing models by fixed weights, and turning predictions into a checked submission.

A blend is a YAML file, and its members are model names, not file names. The winners' local blend script added one
Simple NN twice by a wrong file name; here a member named twice is refused, and predictions are looked up by the model's
name and aligned by sig_id and target, so that mistake cannot be made.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from moa.data.schema import CONTROL, CP_TYPE, CP_TYPES, SIG_ID
from moa.data.table_files import append_csv
from moa.errors import UserError
from moa.files import replacing
from moa.metrics import align, check_probabilities

_log = logging.getLogger(__name__)
#: The published weights are rounded: those of Best CV sum to 1.00000001.
SUM_TOLERANCE = 1e-6
#: Of a submission: a float32 survives the round trip, and the log loss moves by less than 1e-9.
_DIGITS = 9
_POWERS = np.array([float(f"1e{power}") for power in range(23)])  # all powers of ten that a float64 holds exactly


class Member(BaseModel):
    """A model and its share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Annotated[str, Field(min_length=1)]
    weight: Annotated[float, Field(ge=0.0, le=1.0 + SUM_TOLERANCE, allow_inf_nan=False)]


class PublishedBlend(BaseModel):
    """The winners' log losses of a blend, None where none was given; ``oof`` counts treated rows only."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    public_lb: float | None = None
    private_lb: float | None = None
    oof: float | None = None


class BlendSpec(BaseModel):
    """A weighted mean of models.

    Attributes:
        name: as on the command line.
        title: as in tables.
        members: models and weights; nonnegative, each model once, summing to 1 within 1e-6.
        published: the winners' figures, empty for a blend of one's own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    title: str
    members: Annotated[tuple[Member, ...], Field(min_length=1)]
    published: PublishedBlend = PublishedBlend()

    @model_validator(mode="after")
    def _check(self) -> BlendSpec:
        models = [member.model for member in self.members]
        twice = sorted({model for model in models if models.count(model) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} is named twice; give each model one line with its whole weight")
        total = sum(member.weight for member in self.members)
        if abs(total - 1.0) > SUM_TOLERANCE:
            raise ValueError(f"the weights sum to {total:.8g}; they must sum to 1")
        return self

    @property
    def weights(self) -> pd.Series:
        """Weight by model name, float64, as written in the file."""
        return pd.Series({member.model: member.weight for member in self.members}, name="weight", dtype=np.float64)


def load_blend(path: str | Path) -> BlendSpec:
    """Read a blend's YAML file.

    Raises:
        UserError: the file is missing, no YAML, or breaks a rule of `BlendSpec`; all problems in one line.
    """
    path = Path(path)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); give the path of a blend's YAML file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    try:
        return BlendSpec.model_validate(values)
    except ValidationError as error:
        problems = [
            ".".join(map(str, problem["loc"]))
            + (": " if problem["loc"] else "")
            + problem["msg"].removeprefix("Value error, ")
            for problem in error.errors()
        ]
        raise UserError(f"{path}: {'; '.join(problems)}") from None


def save_blend(spec: BlendSpec, path: str | Path) -> None:
    """Write a blend's YAML file, atomically; `load_blend` gives the same blend back."""
    with replacing(Path(path)) as temporary:
        temporary.write_text(yaml.safe_dump(spec.model_dump(mode="json"), sort_keys=False), encoding="utf-8")


def effective_weights(
    spec: BlendSpec, present: Collection[str], missing: Literal["error", "renormalise"] = "error"
) -> pd.Series:
    """The weights that are applied when only some members' predictions are there.

    Args:
        spec: the blend.
        present: names of the models there are predictions of; others than members are ignored.
        missing: "error" refuses an absent member; "renormalise" scales the weights of the others up to the same sum,
            and logs it. A member of weight 0 may always be absent.

    Returns:
        Weight by model, the members of weight above 0 that are present, in the blend's order.

    Raises:
        UserError: a member is absent and may not be, or none is there.
    """
    if missing not in ("error", "renormalise"):
        raise UserError(f"missing: expected 'error' or 'renormalise', got {missing!r}")
    weights = spec.weights
    weights = weights[weights > 0.0]
    here = weights[[model in present for model in weights.index]]
    absent = [model for model in weights.index if model not in here.index]
    if not absent:
        return weights
    if missing == "error" or here.empty:
        raise UserError(
            f"blend {spec.name}: no predictions of {', '.join(absent)}; there are those of "
            f"{', '.join(sorted(present)) or 'no model'}"
        )
    scale = weights.sum() / here.sum()
    _log.info(
        "blend %s: without %s; the weights of %s were multiplied by %.4f",
        spec.name,
        ", ".join(absent),
        ", ".join(here.index),
        scale,
    )
    return here * scale


def apply_blend(
    spec: BlendSpec, predictions: Mapping[str, pd.DataFrame], missing: Literal["error", "renormalise"] = "error"
) -> pd.DataFrame:
    """The weighted mean of the members' predictions.

    Args:
        spec: the blend.
        predictions: by model name, probabilities of shape (rows, targets) with a sig_id index; rows and columns in any
            order, the same in all members.
        missing: see `effective_weights`.

    Returns:
        Probabilities, float64, shape (rows, targets), in the order of the first member.

    Raises:
        UserError: a member is absent, members differ in rows or targets, or a cell is no probability.
    """
    weights = effective_weights(spec, predictions.keys(), missing)
    first = predictions[weights.index[0]]
    total = np.zeros(first.shape)
    for model, weight in weights.items():
        what = f"predictions of {model}"
        table = align(predictions[model], first.index, first.columns, what)
        check_probabilities(table, what)
        total += weight * table.to_numpy(dtype=np.float64)
    return pd.DataFrame(total, index=first.index, columns=first.columns)


def submission(predictions: pd.DataFrame, test_features: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Predictions as the competition wants them: all test rows in their order, control rows exactly 0.

    Args:
        predictions: probabilities, indexed by sig_id; control rows may be missing and are overridden.
        test_features: the test rows, indexed by sig_id, with cp_type.
        columns: target names in the wanted order.

    Returns:
        Float64, shape (test rows, len(columns)), index named sig_id.

    Raises:
        UserError: a treated row or a target is missing, a row is not of the test set, or a cell is no probability.
    """
    if CP_TYPE not in test_features.columns or SIG_ID in test_features.columns:
        raise UserError(f"test features: expected a table indexed by {SIG_ID} with a column {CP_TYPE}")
    cp_type = test_features[CP_TYPE]
    unknown = ~cp_type.isin(CP_TYPES)
    if unknown.any():
        raise UserError(
            f"test features: row {cp_type.index[unknown][0]!r}, column {CP_TYPE} holds {cp_type[unknown].iloc[0]!r}; "
            f"expected {' or '.join(CP_TYPES)}"
        )
    control = (cp_type == CONTROL).to_numpy()
    chosen = predictions.loc[~predictions.index.isin(cp_type.index[control])]
    table = align(chosen, cp_type.index[~control], pd.Index(columns), "predictions")
    check_probabilities(table, "predictions")
    values = np.zeros((len(cp_type), len(columns)))
    values[~control] = np.clip(table.to_numpy(dtype=np.float64), 0.0, 1.0)  # a mean may pass 1 by rounding
    return pd.DataFrame(values, index=cp_type.index.rename(SIG_ID), columns=list(columns))


def write_submission(
    frame: pd.DataFrame, path: str | Path, sample_submission: pd.DataFrame | str | Path | None = None
) -> None:
    """Write submission.csv atomically: sig_id first, nine significant digits.

    Args:
        frame: as `submission` returns it.
        path: file to write; its folder is made.
        sample_submission: the competition's sample, as a table indexed by sig_id or the path of its csv: the rows and
            columns must be the same, in the same order.

    Raises:
        UserError: rows or columns differ from the sample's, are there twice, or a cell is not in [0, 1].
    """
    what = Path(path).name
    if sample_submission is not None:
        sample = sample_submission if isinstance(sample_submission, pd.DataFrame) else _read_sample(sample_submission)
        _same_order(frame.index, sample.index, what, "row")
        _same_order(frame.columns, sample.columns, what, "column")
    align(frame, frame.index, frame.columns, what)  # no label twice
    check_probabilities(frame, what)
    if ((frame < 0.0) | (frame > 1.0)).to_numpy().any():
        raise UserError(f"{what}: holds values outside [0, 1]; make the table with `submission`")
    with replacing(Path(path)) as temporary, temporary.open("wb") as file:
        append_csv(file, _rounded(frame).reset_index(names=SIG_ID), header=True)


def _rounded(frame: pd.DataFrame) -> pd.DataFrame:
    """Values in [0, 1] rounded to nine significant digits: the shortest text that gives one back has no more.

    Divisor and dividend are exact, so the quotient is the float64 nearest to the decimal number. Values below 1e-14,
    where no such divisor is left, stay as they are.
    """
    values = frame.to_numpy(np.float64)
    with np.errstate(divide="ignore"):
        places = _DIGITS - 1 - np.floor(np.log10(values))
    scale = _POWERS[np.clip(places, 0, len(_POWERS) - 1).astype(np.intp)]
    rounded = np.where(places < len(_POWERS), np.rint(values * scale) / scale, values)
    return pd.DataFrame(rounded, frame.index, frame.columns)


def _read_sample(path: str | Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, index_col=SIG_ID)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: no sample submission ({error})") from None


def _same_order(have: pd.Index, want: pd.Index, what: str, kind: str) -> None:
    if have.equals(want):
        return
    if len(have) != len(want):
        raise UserError(f"{what}: {len(have)} {kind}s, the sample submission has {len(want)}")
    place = int(np.argmax(have.to_numpy() != want.to_numpy()))
    raise UserError(
        f"{what}: {kind} {place + 1} is {have[place]!r}, the sample submission has {want[place]!r}; same order wanted"
    )
