"""The artifacts of one model in a weights folder: written whole or not at all, and checked when they are read.

``moa.weights.layout`` says where everything lies. Nothing is ever unpickled: weights are safetensors, transformers are
arrays with a schema (those of users' recipes are skops files with a list of trusted types), tables are parquet, the
rest is JSON.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors.torch
import torch
from pydantic import BaseModel, ValidationError

from moa.data.assay import Assay
from moa.data.schema import SIG_ID
from moa.data.stored_tables import read_table, write_table
from moa.errors import StoreError, in_words
from moa.features.fits import NoStore
from moa.features.pipeline import FeaturePipeline
from moa.files import create_json, plain, read_json, replacing_folder, sha256, write_json, writing
from moa.learners.base import Fitted
from moa.models.source import changed_code
from moa.weights import fitted_transformers as fits
from moa.weights.layout import ARRAYS, SKOPS, UnitKey, WeightsFolder
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
    UnitRecord,
    read_record,
)
from moa.weights.stage_description import difference
from moa.weights.units import StoredUnit, UnitResult
from moa.whole_folders import is_stale
from moa.words import counted, shown

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
_WEIGHTS, _OOF, _FEATURES = "weights.safetensors", "oof.parquet", "features"
#: Before the names of the tensors that a later stage starts from, where they are not those that predict.
_START = "moa.start/"
#: Files that every unit has.
NEEDED = (_WEIGHTS, _OOF)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that the numbers depend on."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for package in RECORDED_PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


class ModelStore:
    """The artifacts of one model in the folder ``weights``."""

    def __init__(self, weights: Path, model: str):
        self.layout = WeightsFolder(weights).model(model)
        self.fits = fits.SharedFits(weights)

    # -- the model ----------------------------------------------------------------------------------------------------

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

    # -- units --------------------------------------------------------------------------------------------------------

    def has_unit(self, stage: str, seed: int, fold: int) -> bool:
        """Whether the unit is finished: its folder appears whole or not at all."""
        return self.layout.facts(UnitKey(stage, seed, fold)).exists()

    def scratch(self, stage: str, seed: int, fold: int) -> Path:
        """A folder for checkpoints of a unit; kept after a kill, removed when the unit is saved."""
        path = self.layout.scratch(UnitKey(stage, seed, fold))
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
        return path

    def save_unit(self, stage: str, result: UnitResult, device: str = "cpu") -> None:
        """Store a finished unit: one folder with weights, features, validation predictions and facts.

        A unit that another process has stored meanwhile is kept.

        Raises:
            WriteError: the disk is full, or the folder read-only.
        """
        key = UnitKey(stage, result.seed, result.fold)
        final, fitted, oof, features = self.layout.unit(key), result.fitted, result.oof, result.features
        _sweep(final.parent)
        start = {f"{_START}{name}": value for name, value in (fitted.start or {}).items()}
        tensors = {name: value.contiguous() for name, value in (fitted.tensors | start).items()}
        size = sum(value.nbytes for value in tensors.values()) + oof.to_numpy().nbytes * (1 + len(fitted.variants))
        try:
            with replacing_folder(final, size) as temporary:
                safetensors.torch.save_file(tensors, temporary / _WEIGHTS)
                write_table(temporary / _OOF, oof)
                for name, values in fitted.variants.items():
                    write_table(temporary / _variant(name), pd.DataFrame(values, oof.index, oof.columns))
                if features:
                    kept = {step.key: step.transformer for step in features.fitted_ if step.key}
                    raw, suffix = fits.dump(kept)
                    (temporary / f"{_FEATURES}{suffix}").write_bytes(raw)
                write_json(
                    temporary / self.layout.facts(key).name,
                    {
                        **key._asdict(),
                        "seconds": round(result.seconds, 3),
                        "device": device,
                        "threads": result.threads,
                        "meta": fitted.meta,
                        "history": fitted.history,
                        "variants": sorted(fitted.variants),
                        "features": features.describe() if features else None,
                        **({"trained_on": result.trained_on} if result.trained_on else {}),
                        "sha256": {path.name: sha256(path) for path in sorted(temporary.iterdir())},
                    },
                )
        except OSError:
            if not self.has_unit(*key):
                raise
        shutil.rmtree(self.layout.scratch(key), ignore_errors=True)

    def unit_facts(self, stage: str, seed: int, fold: int) -> UnitRecord:
        """The unit's JSON: history, seconds, variants, checksums.

        Raises:
            StoreError: it is missing or damaged, or is that of another unit.
        """
        key = UnitKey(stage, seed, fold)
        facts = read_record(self.layout.facts(key), UnitRecord)
        if (facts.stage, facts.seed, facts.fold) != key:
            raise StoreError(
                f"{self.layout.facts(key)}: belongs to {facts.stage}, seed {facts.seed}, fold {facts.fold}; copy the "
                "weights folder again"
            )
        return facts

    def load_unit(self, stage: str, seed: int, fold: int, start: bool = False) -> StoredUnit:
        """Read a unit.

        Args:
            stage: name of its stage.
            seed: its model seed.
            fold: its fold.
            start: also read what a unit of a later stage starts from.

        Raises:
            StoreError: it is missing or damaged.
        """
        facts = self.unit_facts(stage, seed, fold)
        tensors, starting = _read_tensors(self._checked(facts, _WEIGHTS), start)
        held = sum(value.numel() for value in tensors.values())
        for name, value in facts.meta.items():  # a network of that width is made before the weights are put into it
            if name.startswith("n_") and isinstance(value, int) and not 0 <= value <= held:
                path = self.layout.facts(UnitKey(stage, seed, fold))
                raise StoreError(
                    f"{path}: {shown(name)} is {shown(value)}, and the weights hold {held:,} numbers; copy the weights "
                    "folder again, or train again"
                )
        fitted = Fitted(tensors, facts.meta, facts.history, start=starting or None)
        if facts.features is None:
            return StoredUnit(fitted, None)
        names = [f"{_FEATURES}{suffix}" for suffix in (ARRAYS, SKOPS)]
        path = self._checked(facts, next((name for name in names if name in facts.sha256), names[0]))
        kept = fits.load(path.read_bytes(), path)
        lost = [step.name for step in facts.features.steps if step.key and step.key not in kept]
        if lost:
            raise StoreError(f"{path}: lacks the fit of {shown(lost[0])}; copy the weights folder again")
        return StoredUnit(fitted, FeaturePipeline.restore(facts.features.to_json(), NoStore(kept)))

    def load_oof(self, stage: str, seed: int, fold: int, variant: str | None = None) -> pd.DataFrame:
        """Read a unit's validation predictions, or one of its variants.

        Returns:
            shape (rows, targets), indexed by sig_id.

        Raises:
            StoreError: it is missing or damaged, has a sig_id twice, or holds what is no number.
        """
        path = self._checked(self.unit_facts(stage, seed, fold), _variant(variant) if variant else _OOF)
        table = read_table(path)
        twice = table.index[table.index.duplicated()]
        if len(twice):
            raise StoreError(f"{path}: {SIG_ID} {shown(twice[0])} occurs twice; delete its folder and train again")
        numbers = table.select_dtypes("number").to_numpy()
        if not np.isfinite(numbers).all():
            bad = table.index[~np.isfinite(numbers).all(axis=1)]
            raise StoreError(
                f"{path}: NaN or infinity in {counted(len(bad), 'row')}, such as {SIG_ID} {shown(bad[0])}; delete its "
                "folder and train again"
            )
        return table

    def held_out_folds(self, stage: str, units: Iterable[tuple[int, int]]) -> pd.DataFrame:
        """The fold of each row as the OOF predictions of finished units (seed, fold) have it, for equal baselines.

        Returns:
            one column per seed, indexed by sig_id; NaN for rows of folds that are not among the units.
        """
        columns: dict[int, list[pd.Series]] = {}
        for seed, fold in units:
            columns.setdefault(seed, []).append(pd.Series(fold, self.load_oof(stage, seed, fold).index))
        joined = {seed: pd.concat(parts) for seed, parts in columns.items()}
        for seed, folds in joined.items():
            self.check_once(stage, seed, folds.index)
        return pd.DataFrame(joined)

    def check_once(self, stage: str, seed: int, rows: pd.Index) -> None:
        """Refuse rows that several folds of a seed hold out.

        Raises:
            StoreError: a sig_id is among them twice.
        """
        twice = rows[rows.duplicated()]
        if len(twice):
            folder = self.layout.unit(UnitKey(stage, seed, 0)).parent
            raise StoreError(
                f"{folder}: {SIG_ID} {shown(twice[0])} is in the OOF predictions of two folds; copy the weights folder "
                "again, or delete it and train again"
            )

    def _checked(self, facts: UnitRecord, name: str) -> Path:
        path = self.layout.unit(UnitKey(facts.stage, facts.seed, facts.fold)) / name
        if not path.exists() or sha256(path) != facts.sha256.get(name):
            raise StoreError(f"{path}: missing or damaged (checksum differs); delete its folder and train again")
        return path


def _read_if_there(path: Path, schema: type[RecordType]) -> RecordType | None:
    return read_record(path, schema) if path.exists() else None


def _read_tensors(path: Path, start: bool) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The tensors that predict and, if asked for, those that a later stage starts from."""
    found: tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]] = ({}, {})
    try:
        with safetensors.safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118 (no mapping)
                of_start = name.startswith(_START)
                if start or not of_start:
                    found[of_start][name.removeprefix(_START)] = file.get_tensor(name)
    except Exception as error:  # safetensors raises several types for a header that is not its own
        raise StoreError(f"{path}: holds no weights that can be read ({shown(error)}); train again") from None
    return found


def _variant(name: str) -> str:
    return f"oof-{name}.parquet"


def _sweep(folder: Path) -> None:
    """Remove temporary folders that a killed run left."""
    for path in folder.glob(".fold-*.tmp"):
        if is_stale(path):
            shutil.rmtree(path, ignore_errors=True)
