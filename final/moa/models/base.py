"""What a single model is: a configuration, and the stages that it wires together.

A recipe is data. It names features, folds, seeds and a learner for each stage; the runner does the walking.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from moa.data.folds import Folds
from moa.errors import UserError
from moa.features.pipeline import FeaturePipeline
from moa.learners.base import Learner

PROFILES = ("kaggle", "demo")

Unit = tuple[int, int]  # seed and fold


class ModelConfig(BaseModel):
    """Base of every model's configuration: each hyper-parameter stands here once, its default the published value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def at_precision(self, precision: str) -> ModelConfig:
        """The configuration with perceptrons and CNNs that predict at another precision; other learners have one.

        Args:
            precision: "auto" (as in training), "32-true", "16-mixed" (CNNs alone) or "bf16-mixed".

        Raises:
            UserError: one that a learner does not have.
        """
        found = {name: value.at_precision(precision) for name, value in self if hasattr(value, "at_precision")}
        return self.model_copy(update=found) if found else self


@dataclass(frozen=True)
class Stage:
    """One stage: the same features and learner for every (seed, fold).

    Attributes:
        name: folder name of the stage.
        targets: "scored" (206), "nonscored" (those of the 402 with a positive in training) or "nonscored-all".
        features: makes the unfitted feature pipeline.
        folds: cross-validation scheme.
        seeds: model seeds.
        learner: what is trained in a unit.
        uses: earlier stages whose predictions join the inputs, as columns "stage:target".
        starts_from: earlier stage whose unit of the same seed and fold the learner starts from.
    """

    name: str
    targets: Literal["scored", "nonscored", "nonscored-all"]
    features: Callable[[], FeaturePipeline]
    folds: Folds
    seeds: tuple[int, ...]
    learner: Learner
    uses: tuple[str, ...] = ()
    starts_from: str | None = None

    def units(self) -> list[tuple[int, int]]:
        """All (seed, fold) of the stage, in the order they are trained and averaged."""
        return [(seed, fold) for seed in self.seeds for fold in range(self.folds.n_splits)]


@dataclass(frozen=True)
class Selection:
    """Which units to train; the rest is left to other runs.

    Attributes:
        seeds: the first so many seeds; None: all.
        folds: the first so many folds; None: all.
        fold: this fold alone.
        stage: this stage alone.

    Folds are narrowed only where no later stage needs all of them for its inputs.
    """

    seeds: int | None = None
    folds: int | None = None
    fold: int | None = None
    stage: str | None = None

    def units(self, stage: Stage, feeds_later: bool) -> list[Unit]:
        """The units of a stage that this selection asks for."""
        seeds = stage.seeds[: self.seeds]
        numbers = range(stage.folds.n_splits)
        if not feeds_later or self.stage:
            numbers = numbers[: self.folds]
            if self.fold is not None:
                if not 0 <= self.fold < stage.folds.n_splits:
                    raise UserError(f"--fold {self.fold}: {stage.name} has folds 0 to {stage.folds.n_splits - 1}")
                numbers = range(self.fold, self.fold + 1)
        return [(seed, fold) for seed in seeds for fold in numbers]


@dataclass(frozen=True)
class Published:
    """The figures the winners reported for a model; ``cv_rows`` says which rows its CV counts."""

    cv: float
    public_lb: float
    private_lb: float
    cv_rows: Literal["all", "treated"] = "all"


@dataclass(frozen=True)
class Recipe:
    """A single model.

    Attributes:
        name: as on the command line.
        title: as in tables.
        config: the published settings, profile "kaggle".
        demo: overlay of the "demo" profile: nested mapping of fields to values.
        stages: wires the stages of a configuration; the last one predicts the scored targets.
        rows: which training rows are used.
        published: the winners' figures.
    """

    name: str
    title: str
    config: ModelConfig
    stages: Callable[[Any], tuple[Stage, ...]]
    published: Published
    rows: Literal["treated", "all"] = "treated"
    demo: Mapping[str, Any] = field(default_factory=dict)

    def configure(self, profile: str = "kaggle", overlay: Mapping[str, Any] | None = None) -> ModelConfig:
        """The configuration of a profile, with further fields overlaid.

        Raises:
            UserError: no such profile.
        """
        if profile not in PROFILES:
            raise UserError(f"profile '{profile}' is unknown; choose one of: {', '.join(PROFILES)}")
        values = self.config.model_dump()
        for layer in (self.demo if profile == "demo" else {}, overlay or {}):
            values = merge(values, layer)
        return type(self.config).model_validate(values)


def merge(values: Mapping[str, Any], layer: Mapping[str, Any]) -> dict[str, Any]:
    """Lay nested mappings over each other, the second on top."""
    merged = dict(values)
    for name, value in layer.items():
        below = merged.get(name)
        merged[name] = merge(below, value) if isinstance(value, Mapping) and isinstance(below, Mapping) else value
    return merged
