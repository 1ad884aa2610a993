"""Blending models with fixed weights.

A blend is a YAML file whose members are model names, not file names. The winners' local blend script added one Simple
NN twice because of a wrong file name. Here a duplicate member is an error, and predictions are looked up by model name
and aligned by sig_id and target, so that this mistake cannot happen.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from moa.errors import UserError, in_words
from moa.files import regular, replacing
from moa.metrics.losses import align, check_probabilities
from moa.models.registry import recipes
from moa.models.remarks import Remark, marked

_log = logging.getLogger(__name__)
#: The published weights are rounded: those of Best CV sum to 1.00000001.
SUM_TOLERANCE = 1e-6


class Member(BaseModel):
    """A model and its weight."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Annotated[str, Field(min_length=1)]
    weight: Annotated[float, Field(ge=0.0, le=1.0 + SUM_TOLERANCE, allow_inf_nan=False)]


class PublishedBlend(BaseModel):
    """The log losses that the winners published for a blend; None: not published. ``oof`` is over treated rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    public_lb: float | None = None
    private_lb: float | None = None
    oof: float | None = None


class Searched(BaseModel):
    """What a search reports of the weights that it found, over treated rows; see `moa.blending.result.MethodResult`.

    Attributes:
        method: "slsqp" or "tpe".
        rows: number of rows that the search used.
        loss: log loss of the weights on the rows they were fitted to, which is optimistic.
        best_single: name of the best single model on these rows.
        nested: log loss of each row by weights that were fitted without it; None: not cross-validated, as the next two.
        gain: log loss of the best single model minus ``nested``.
        interval: 95 % bootstrap interval of the gain.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    rows: int
    loss: float
    best_single: str
    nested: float | None = None
    gain: float | None = None
    interval: tuple[float, float] | None = None


class BlendSpec(BaseModel):
    """A weighted mean of models.

    Attributes:
        name: as used on the command line.
        title: as shown in tables.
        members: models and weights; nonnegative, each model once, summing to 1 within 1e-6.
        published: the winners' log losses; empty for other blends.
        searched: of weights that a search found; None for others.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    title: str
    members: Annotated[tuple[Member, ...], Field(min_length=1)]
    published: PublishedBlend = PublishedBlend()
    searched: Searched | None = None

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
        """Weights by model name, float64, as in the file."""
        return pd.Series({member.model: member.weight for member in self.members}, name="weight", dtype=np.float64)

    @property
    def remarks(self) -> dict[Remark, str]:
        """What the published OOF log loss contains, see ``moa.models.remarks``: it leaks if a member's CV does."""
        if self.published.oof is None:
            return {}
        known = [recipes().get(member.model) for member in self.members if member.weight]
        titles = [model.title for model in known if model and Remark.LEAKY in model.remarks]
        return {Remark.LEAKY: f"{self.published.oof:g} ({self.title}, of {', '.join(titles)})"} if titles else {}

    @property
    def oof_text(self) -> str:
        """The published OOF log loss as in tables, with its rows and marks; a dash where there is none."""
        oof = self.published.oof
        return "–" if oof is None else marked(f"{oof:g} (treated)", self.remarks)


def load_blend(path: str | Path) -> BlendSpec:
    """Read a blend's YAML file.

    Raises:
        UserError: the file is missing, is not YAML, or violates `BlendSpec`; lists all problems in one line.
    """
    path = Path(path)
    try:
        values = yaml.safe_load(regular(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); give the path of a blend's YAML file") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    try:
        return BlendSpec.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{path}: {in_words(error, most=10)}") from None


def save_blend(spec: BlendSpec, path: str | Path) -> None:
    """Write a blend's YAML file atomically; `load_blend` reads it."""
    values = spec.model_dump(mode="json", exclude_defaults=True)
    with replacing(Path(path)) as temporary:
        temporary.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


def effective_weights(
    spec: BlendSpec, present: Collection[str], missing: Literal["error", "renormalise"] = "error"
) -> pd.Series:
    """The weights to apply if only some members have predictions.

    ``present`` names the models that have predictions; those that are not members are ignored. If a member is absent,
    ``missing`` "error" raises an error, and "renormalise" scales the weights of the others up to the same sum, and logs
    it. A member of weight 0 may always be absent.

    Returns:
        Weights by model, in the blend's order: the members that are present and have a weight above 0.

    Raises:
        UserError: a member is absent and ``missing`` is "error", or all members are absent.
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
            f"blend {spec.name}: no predictions of {', '.join(absent)}; found those of "
            f"{', '.join(sorted(present)) or 'no model'}"
        )
    scale = weights.sum() / here.sum()
    names, others = ", ".join(absent), ", ".join(here.index)
    _log.info("blend %s: without %s; the weights of %s were multiplied by %.4f", spec.name, names, others, scale)
    return here * scale


def apply_blend(
    spec: BlendSpec, predictions: Mapping[str, pd.DataFrame], missing: Literal["error", "renormalise"] = "error"
) -> pd.DataFrame:
    """The weighted mean of the members' predictions; ``missing`` as for `effective_weights`.

    ``predictions`` are probabilities of shape (rows, targets) by model name, indexed by sig_id. All members have the
    same rows and columns, in any order. The mean is float64, in the order of the first member.

    Raises:
        UserError: a member is absent, members differ in rows or targets, or a cell is not a probability.
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
