"""What a single model is: a configuration, and the stages that are built from it.

A recipe is data: it names the features, folds, seeds and learner of each stage. ``moa.training`` trains it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from moa.data.assay import COMPETITION, Assay
from moa.data.folds import Folds
from moa.data.holdout import HoldOut
from moa.data.sizes import shrink
from moa.environment import check_profile
from moa.features.pipeline import FeaturePipeline
from moa.learners.base import Learner
from moa.models.remarks import Remark, marked
from moa.models.settings import wrong_settings

#: λ of sphering on controls, see ``moa.features.profile_steps.sphered_steps``; None: none, as the winners.
Shrinkage = Annotated[float, Field(gt=0, le=1)] | None


class ModelConfig(BaseModel):
    """Base class of configurations: each hyper-parameter is written once, with the published value as its default."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Stage:
    """One stage: the same features and learner for every unit (seed, fold).

    Attributes:
        name: name of the stage's folder.
        targets: "scored", "nonscored" (only those with a positive in training) or "nonscored-all".
        features: makes the unfitted feature pipeline, which is fitted once for all units.
        folds: cross-validation scheme.
        seeds: model seeds.
        learner: what is trained in a unit.
        uses: earlier stages whose predictions are appended to the inputs, as columns "stage:target".
        starts_from: earlier stage; a unit starts from what that stage's unit of the same seed and fold left for it, see
            ``moa.learners.base.Fitted``.
        unit_features: makes, for a model seed, an unfitted pipeline that is fitted inside each unit on the fold's
            training rows, after ``features``. Must be picklable: units may be trained in other processes.
    """

    name: str
    targets: Literal["scored", "nonscored", "nonscored-all"]
    features: Callable[[], FeaturePipeline]
    folds: Folds | HoldOut
    seeds: tuple[int, ...]
    learner: Learner
    uses: tuple[str, ...] = ()
    starts_from: str | None = None
    unit_features: Callable[[int], FeaturePipeline] | None = None

    def units(self) -> list[tuple[int, int]]:
        """All (seed, fold) of the stage, in the order in which they are trained and averaged."""
        return [(seed, fold) for seed in self.seeds for fold in range(self.folds.n_splits)]


@dataclass(frozen=True)
class Published:
    """The log losses the winners reported for a model.

    Attributes:
        cv: log loss of the out-of-fold predictions over 206 targets.
        public_lb, private_lb: of the submission.
        cv_rows: rows that ``cv`` is computed on: treated rows, or all rows with controls predicted 0.
        printed: the CV as the winners printed it, where that is a mean over 207 columns, one of them (sig_id) always
            right; ``cv`` is then printed * 207 / 206.
        leaky: name of the stored variant of the out-of-fold predictions that ``cv`` is of, which were fitted on the
            validation fold; None: ``cv`` is of honest ones.
        clipped: range that the winners clipped the out-of-fold predictions to for ``cv``; None: they did not.
    """

    cv: float
    public_lb: float
    private_lb: float
    cv_rows: Literal["all", "treated"] = "treated"
    printed: float | None = None
    leaky: str | None = None
    clipped: tuple[float, float] | None = None

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """What the CV contains, see ``moa.models.remarks``."""
        facts = {Remark.CORRECTED: self.printed, Remark.LEAKY: self.leaky, Remark.CLIPPED: self.clipped}
        return tuple(remark for remark, fact in facts.items() if fact is not None)

    @property
    def cv_text(self) -> str:
        """The CV, its rows, and the marks of its remarks, which ``moa.models.remarks.footnotes`` explains."""
        return marked(f"{self.cv:.5f} ({self.cv_rows})", self.remarks)


@dataclass(frozen=True)
class DataFacts:
    """What settings depend on in a data set.

    Attributes:
        assay: its columns.
        rows: training rows that the model uses.
        nonscored: whether any row has a nonscored target.
        blind: whether training may see nothing of a validation fold; see ``moa.weights.trained.Trained.blind``.
        compounds: number of compounds of the treated rows; None: not known.
        targets: number of scored targets.
        controls: number of control rows for training.
    """

    assay: Assay
    rows: int
    nonscored: bool
    blind: bool = False
    compounds: int | None = None
    targets: int = 0
    controls: int = 0


@dataclass(frozen=True, repr=False)
class Recipe:
    """A single model.

    Attributes:
        name: the model's name on the command line.
        title: its name in tables.
        config: the published settings (profile "kaggle").
        stages: builds the stages from a configuration and the data's schema; the last stage predicts the scored
            targets.
        published: the winners' figures; None for models outside of the package.
        rows: which training rows are used.
        demo: overlay of the "demo" profile: nested mapping of fields to values.
        left_out: names of the settings, from the configuration, that have no effect on the stages it gives.
        least_columns: number of columns that each feature group must have.
        adapt: fits the settings to what a data set has, apart from its size; gives the settings and what was changed.
        version: raised when the same settings would train something else; weights of another version are refused.
    """

    name: str
    title: str
    config: ModelConfig
    stages: Callable[[Any, Assay], tuple[Stage, ...]]
    published: Published | None = None
    rows: Literal["treated", "all"] = "treated"
    demo: Mapping[str, Any] = field(default_factory=dict)
    left_out: Callable[[Any], tuple[str, ...]] | None = None
    least_columns: int = 1
    adapt: Callable[[Any, DataFacts], tuple[ModelConfig, list[str]]] | None = None
    version: int = 2

    def __repr__(self) -> str:
        return f"<Recipe {self.name}>"

    @property
    def cv_rows(self) -> Literal["all", "treated"]:
        """Rows that its CV is computed on: those of the published CV, else the treated ones."""
        return self.published.cv_rows if self.published else "treated"

    @property
    def cv_text(self) -> str:
        """The published CV as in tables; a dash where there is none."""
        return self.published.cv_text if self.published else "–"

    @property
    def remarks(self) -> dict[Remark, str]:
        """What the published CV contains, and how a footnote names it."""
        known = self.published
        if known is None:
            return {}
        low, high = known.clipped or (0.0, 1.0)
        words = {
            Remark.CORRECTED: f"{known.printed:.5f} ({self.title})" if known.printed else "",
            Remark.LEAKY: f"{known.cv:.5f} ({self.title})",
            Remark.CLIPPED: f"to [{low:g}, {high:g}] for {known.cv:.5f} ({self.title})",
        }
        return {remark: words[remark] for remark in known.remarks}

    def configure(self, profile: str = "kaggle", overlay: Mapping[str, Any] | None = None) -> ModelConfig:
        """The configuration of a ``profile`` ("kaggle" or "demo"), with further fields replaced by ``overlay``.

        Raises:
            UserError: no such profile, or the overlay has settings that the model lacks, or values that it refuses.
        """
        check_profile(profile)
        values = self.config.model_dump()
        for layer in (self.demo if profile == "demo" else {}, overlay or {}):
            values = merge(values, layer)
        try:
            return type(self.config).model_validate(values)
        except ValidationError as error:
            raise wrong_settings(self.name, self.config, error) from None

    def needs(self, config: ModelConfig, schema: Assay = COMPETITION) -> dict[str, bool]:
        """Which optional files a model of settings ``config`` needs for an assay ``schema``; see ``needs_of``."""
        return needs_of(self.stages(config, schema))

    def fit_to(self, config: ModelConfig, facts: DataFacts) -> tuple[ModelConfig, list[str]]:
        """The settings for a data set: what it cannot have is left out, and sizes shrink (``moa.data.sizes``).

        On the competition's data, unless its nonscored labels are empty, they stay what they are.

        Args:
            config: the settings to begin with.
            facts: what the data set has.

        Returns:
            the settings, and what was changed, each in one line.
        """
        notes: list[str] = []
        if self.adapt:
            config, notes = self.adapt(config, facts)
        if not facts.assay.of_competition:
            config, changes = shrink(config, facts.assay, facts.rows)
            unused = self.left_out(config) if self.left_out else ()
            changes = [change for change in changes if not change.startswith(tuple(f"{name}." for name in unused))]
            if changes:
                notes.append(f"sizes for {facts.rows:,} training rows: {', '.join(changes)}")
        return config, [f"{self.name}: {note}" for note in notes]


def needs_of(stages: Iterable[Stage]) -> dict[str, bool]:
    """Which optional files stages need: "drugs" and "nonscored" of ``moa.data.dataset.load_dataset``."""
    stages = list(stages)
    return {
        "drugs": any(stage.folds.needs_drugs for stage in stages),
        "nonscored": any(stage.targets != "scored" for stage in stages),
    }


def merge(values: Mapping[str, Any], layer: Mapping[str, Any]) -> dict[str, Any]:
    """Merge nested mappings; the values of ``layer`` win."""
    merged = dict(values)
    for name, value in layer.items():
        below = merged.get(name)
        merged[name] = merge(below, value) if isinstance(value, Mapping) and isinstance(below, Mapping) else value
    return merged
