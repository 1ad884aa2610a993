"""The JSON files of a weights folder as schemas, so that nothing of a file is used before all of it is checked.

A weights folder may come from someone else. Names and keys in these files become paths, hence the narrow types: a name
is one part of a path, and a key is a digest. Fields that another version of the package added are kept, and compared
like the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from moa.errors import StoreError, in_words
from moa.files import read_json
from moa.weights.layout import KEY, NAME

#: Number of the format of a weights folder, in every manifest since format 2. It is raised where an older version of
#: the package would misread what this one writes; ``docs/files.md`` says what differs.
FORMAT = 3
#: Version of the recipes whose manifests do not name it.
FIRST_RECIPE = 1

Name = Annotated[str, Field(pattern=NAME, max_length=255)]
#: Key of a shared fit, as ``moa.files.digest`` makes it.
Digest = Annotated[str, Field(pattern=KEY)]
#: Key of a fit that lies inside its unit, as ``moa.features.fits.NoStore`` makes it.
UnitFitKey = Annotated[str, Field(pattern=r"^fit-[0-9]{1,6}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]


class Record(BaseModel):
    """Base class of the schemas."""

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)

    def to_json(self) -> dict[str, Any]:
        """The record as it lies on disk."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class ManifestRecord(Record):
    """``manifest.json``: what must be equal for units to belong together, and package versions.

    Attributes:
        format: number of the format, see ``FORMAT``.
        model: name of the model.
        recipe: version of its recipe.
        profile: the profile it was trained with.
        settings: its configuration.
        data_schema: schema of the data it was trained on.
        data: sha256 of the files it was trained on, by name.
        hold_out: the scheme that holds out whole compounds, where one was asked for.
        versions: of Python and packages.
        code: source of a recipe outside of the package, by file name; see ``moa.models.source``.
    """

    format: int = Field(1, ge=1)
    model: str | None = None
    recipe: int = FIRST_RECIPE
    profile: str | None = None
    settings: dict[str, Any] | None = None
    data_schema: dict[str, Any] | None = Field(None, alias="schema")
    data: dict[str, str] = Field(default_factory=dict)
    hold_out: dict[str, Any] | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    code: dict[str, str] = Field(default_factory=dict)


class TrainingRecord(Record):
    """``training.json``: facts about the training data that predictions are compared with.

    Attributes:
        familiarity: key of the fit.
        prevalence: share of treated training rows that carry a target, by target.
        identities: what each feature is, as ``moa.data.feature_names.read_identities`` has it; empty for the
            competition, whose features are known.
        mapping: how its plates were read, as ``moa.importing.mapping`` has it; empty for any other data.
    """

    familiarity: Digest
    prevalence: dict[str, float]
    identities: dict[str, dict[str, str]] = Field(default_factory=dict)
    mapping: dict[str, Any] = Field(default_factory=dict)


class EvidenceRecord(Record):
    """``evidence.json``: what predictions of new samples are explained by.

    Attributes:
        evidence: key of the fitted ``moa.features.TrainingEvidence``.
        by_row: whether it says the compound of each training row.
        compounds: number of compounds in it; 0 where the training data do not name them.
    """

    evidence: Digest
    compounds: Count
    by_row: bool = False


class FitScores(Record):
    """How probabilities fit labels: log loss over all cells, and the calibration error of the likeliest mechanism."""

    log_loss: float
    ece: float


class CalibrationRecord(Record):
    """``calibration.json``: what calibrates predictions; see ``moa.weights.calibrating``.

    Attributes:
        one: whether each training row has exactly one mechanism.
        beta, gamma: see ``moa.metrics.calibration``; None: predictions stay as they are.
        positives: treated training rows of each target, which give the prior.
        rows: treated training rows.
        folds: label of the folds that the OOF predictions are of.
        oof: digest of the raw OOF predictions.
        before, after: of the OOF predictions; after: each fold by what the others choose.
    """

    one: bool
    beta: Annotated[float, Field(ge=0)] | None = None
    gamma: Annotated[float, Field(ge=0, le=1)] | None = None
    positives: dict[str, Count]
    rows: Count
    folds: str
    oof: Digest
    before: FitScores
    after: FitScores

    @model_validator(mode="after")
    def _both(self) -> CalibrationRecord:
        if (self.beta is None) != (self.gamma is None):
            raise ValueError("beta and gamma are given together")
        return self


class SecondsRecord(Record):
    """``seconds.json``: seconds of the work that is no unit, by what it was."""

    seconds: dict[str, Annotated[float, Field(ge=0)]]


class StepRecord(Record):
    """One fitted step of a pipeline; see ``moa.features.pipeline.Step``."""

    name: str
    output: Literal["in place", "append", "replace", "select", "drop", "rows"]
    inputs: list[str]
    outputs: list[str]
    key: Digest | UnitFitKey | None

    def columns(self, before: list[str]) -> list[str]:
        """The columns after the step.

        Raises:
            ValueError: the step cannot follow columns like these.
        """
        lost = set(self.inputs) - set(before)
        if lost:
            raise ValueError(f"step '{self.name}' needs column '{min(lost)}', which is not there")
        if self.key is None and self.output != "drop":
            raise ValueError(f"step '{self.name}' has no key")
        if self.output == "in place" and self.inputs != self.outputs:
            raise ValueError(f"step '{self.name}' is in place, but its outputs are not its inputs")
        if self.output == "select" and not set(self.outputs) <= set(self.inputs):
            raise ValueError(f"step '{self.name}' selects columns that are not its inputs")
        if self.output in ("rows", "drop") and self.outputs:
            raise ValueError(f"step '{self.name}' of output '{self.output}' has outputs")
        kept = set(self.outputs) if self.output == "select" else set()
        gone = set() if self.output in ("in place", "append") else set(self.inputs) - kept
        new = self.outputs if self.output in ("append", "replace") else []
        return [*(column for column in before if column not in gone), *new]


class PipelineRecord(Record):
    """A fitted pipeline, as ``moa.features.pipeline.FeaturePipeline.describe`` writes it."""

    input_columns: list[str]
    feature_names: list[str]
    dtype: Literal["float32", "float64"]
    widths: dict[str, Count]
    steps: list[StepRecord]

    @model_validator(mode="after")
    def _follow(self) -> PipelineRecord:
        _each_once(self.input_columns, "input column")
        columns = self.input_columns
        for step in self.steps:
            columns = step.columns(columns)
            _each_once(columns, "column")
        if columns != self.feature_names:
            raise ValueError("the steps do not lead to the feature names")
        return self


class StageRecord(Record):
    """``stage.json``: what all units of a stage share.

    Attributes:
        targets: names of the targets, in order.
        sources: units (seed, fold) of earlier stages whose predictions are among the inputs, by stage.
        inputs: digest of the training rows' predictions by earlier stages.
        folds: the cross-validation scheme.
        rows: number of training rows.
        pipeline: the fitted features.
        description: the stage that was trained, see ``moa.weights.stage_description``; None in format 1.
    """

    targets: Annotated[list[str], Field(min_length=1)]
    sources: dict[Name, list[tuple[int, Count]]]
    inputs: Digest
    folds: dict[str, Any]
    rows: Count
    pipeline: PipelineRecord
    description: dict[str, Any] | None = None

    @field_validator("targets")
    @classmethod
    def _once(cls, targets: list[str]) -> list[str]:
        return _each_once(targets, "target")

    @model_validator(mode="after")
    def _shared(self) -> StageRecord:
        for step in self.pipeline.steps:
            if step.key and step.key.startswith("fit-"):
                raise ValueError(f"step '{step.name}' has the key {step.key}, which is not that of a shared fit")
        return self


class TrainedOn(Record):
    """The treated rows that a unit was trained on: their number, and those of each target, in order."""

    rows: Count
    positives: list[Count]


class UnitRecord(Record):
    """``unit.json``: what is known of a finished unit.

    Attributes:
        stage, seed, fold: its identity.
        seconds: wall time of its training.
        device, threads: what it was trained on; None where they were not recorded.
        meta: what its learner needs besides the tensors.
        history: one mapping per epoch.
        variants: names of further OOF predictions.
        features: the pipeline that was fitted inside the unit.
        trained_on: rows that it was trained on; None in the competition, and where an older version trained it.
        sha256: of its files, by name.
    """

    stage: Name
    seed: int
    fold: Count
    seconds: Annotated[float, Field(ge=0)]
    device: str | None = None
    threads: int | None = None
    meta: dict[str, Any] = Field(default_factory=dict)
    history: list[dict[str, int | float]] = Field(default_factory=list)
    variants: list[Name] = Field(default_factory=list)
    features: PipelineRecord | None = None
    trained_on: TrainedOn | None = None
    sha256: dict[Name, Sha256] = Field(default_factory=dict)


RecordType = TypeVar("RecordType", bound=Record)


def read_record(path: Path, schema: type[RecordType]) -> RecordType:
    """Read a JSON file of a weights folder.

    Raises:
        StoreError: it is missing, is not JSON, or does not follow its schema.
    """
    try:
        return schema.model_validate(read_json(path))
    except ValidationError as error:
        raise StoreError(
            f"{path}: not as this package writes it ({in_words(error)}); copy the weights folder again, or train again"
        ) from None


def _each_once(names: Iterable[str], what: str) -> Any:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{what} '{name}' occurs twice")
        seen.add(name)
    return names
