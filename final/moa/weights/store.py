"""The artifacts of one model in a weights folder: written whole or not at all, and checked when they are read.

``moa.weights.layout`` says where everything lies. Nothing is ever unpickled: weights are safetensors, transformers are
arrays with a schema (those of users' recipes are skops files with a list of trusted types), tables are parquet, the
rest is JSON.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from moa.data.assay import Assay
from moa.errors import StoreError, in_words
from moa.files import create_json, plain, read_json, write_json
from moa.models.source import changed_code
from moa.weights.records import (
    FIRST_RECIPE,
    FORMAT,
    CalibrationRecord,
    EvidenceRecord,
    ManifestRecord,
    RecordType,
    SecondsRecord,
    StageRecord,
    TrainingRecord,
    read_record,
)
from moa.weights.stage_description import difference
from moa.weights.unit_store import UnitStore

RECORDED_PACKAGES = (
    "torch",
    "scikit-learn",
    "numpy",
    "pandas",
    "umap-learn",
    "timm",
    "pytorch-lightning",
    "iterative-stratification",
)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that the numbers depend on."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for package in RECORDED_PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


class ModelStore(UnitStore):
    """The artifacts of one model in the folder ``weights``."""

    def claim(
        self, identity: dict[str, Any], code: dict[str, str] | None = None, settings: type[BaseModel] | None = None
    ) -> None:
        """Write the manifest, or compare it with the one that is there.

        ``identity`` must be equal for units to belong together. ``code`` is compared by ``check_code``. A setting that
        the configuration ``settings`` has gained since has its default in the manifest.

        Raises:
            StoreError: the folder was made with something else.
        """
        path = self.layout.manifest
        identity = json.loads(json.dumps(identity, default=plain))
        if not path.exists():
            facts = {"format": FORMAT, **identity, "versions": versions()}
            create_json(path, facts | ({"code": code} if code else {}))
        existing = {"recipe": FIRST_RECIPE} | self.manifest().to_json()
        if settings:
            with suppress(KeyError, ValidationError):  # of another version: compared as they are
                existing["settings"] = settings.model_validate(existing["settings"]).model_dump(mode="json")
        for part, value in identity.items():
            if changed := difference(existing.get(part), value):
                raise StoreError(
                    f"{path}: made with other {part} ({changed}); give another --weights folder, or delete this one to "
                    "train again"
                )

    def manifest(self) -> ManifestRecord:
        """The manifest.

        Raises:
            StoreError: it is missing or damaged, or of a format that only a newer version of the package reads.
        """
        path = self.layout.manifest
        found = read_json(path)
        number = found.get("format") if isinstance(found, dict) else None
        if isinstance(number, int) and number > FORMAT:  # its other fields may be of another form
            raise StoreError(
                f"{path}: was written in format {number}, this version reads up to {FORMAT}; install a newer version"
            )
        record = read_record(path, ManifestRecord)
        if record.data_schema and "treatment" in record.data_schema:  # format 1
            try:
                schema = Assay.model_validate(record.data_schema).plain
            except ValidationError as error:
                raise StoreError(f"{path}: schema: {in_words(error)}; copy the folder again") from None
            record = record.model_copy(update={"data_schema": schema})
        return record

    def check_version(self, version: int) -> None:
        """Refuse weights that another version of the model's recipe trained.

        Raises:
            StoreError: the manifest names another version.
        """
        found = self.manifest().recipe
        if found != version:
            raise StoreError(
                f"{self.layout.manifest}: trained by version {found} of this model, and this package has version "
                f"{version}; train again, or use the package that trained them"
            )

    def check_code(self, code: dict[str, str]) -> None:
        """Refuse weights that a recipe outside of the package trained, and whose source was changed since.

        Raises:
            StoreError: the manifest has another source than ``code``, which ``moa.models.source.code_of`` makes.
        """
        if changed := changed_code(self.manifest().code, code):
            raise StoreError(f"{self.layout.manifest}: trained by another recipe ({changed}); {self.again}")

    @property
    def again(self) -> str:
        """What to do where a recipe has changed, for messages."""
        return f"undo the change, give another --weights folder, or delete {self.layout.path} to train again"

    def training_facts(self) -> TrainingRecord | None:
        """Facts about the training data that predictions are compared with; None where they were not stored."""
        return _read_if_there(self.layout.training, TrainingRecord)

    def evidence(self) -> EvidenceRecord | None:
        """What predictions are explained by; None where it was not stored, as in format 1."""
        return _read_if_there(self.layout.evidence, EvidenceRecord)

    def calibration(self) -> CalibrationRecord | None:
        """What calibrates predictions; None for the competition's models, and in weights of older versions."""
        return _read_if_there(self.layout.calibration, CalibrationRecord)

    def seconds(self) -> dict[str, float]:
        """Seconds of the work that is no unit, by what it was: a stage's features, predictions."""
        record = _read_if_there(self.layout.seconds, SecondsRecord)
        return record.seconds if record else {}

    def note_seconds(self, what: str, seconds: float) -> None:
        """Note how long such work took; the longest is kept, because a run that continues does less."""
        noted = self.seconds()
        if seconds > noted.get(what, 0):
            write_json(self.layout.seconds, {"seconds": noted | {what: round(seconds, 3)}})

    def stage(self, name: str) -> StageRecord:
        """Description of a stage: targets, folds, the feature pipeline."""
        return read_record(self.layout.stage(name), StageRecord)


def _read_if_there(path: Path, schema: type[RecordType]) -> RecordType | None:
    return read_record(path, schema) if path.exists() else None
