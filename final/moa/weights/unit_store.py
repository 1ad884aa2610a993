"""Finished units of one model in a weights folder: written whole or not at all, and checked when they are read."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import safetensors.torch
import torch

from moa.data.schema import SIG_ID
from moa.data.stored_tables import read_table, write_table
from moa.errors import StoreError
from moa.features.fits import NoStore
from moa.features.pipeline import FeaturePipeline
from moa.files import replacing_folder, sha256, write_json, writing
from moa.learners.base import Fitted
from moa.weights import fitted_transformers as fits
from moa.weights.layout import ARRAYS, SKOPS, UnitKey, WeightsFolder
from moa.weights.records import (
    UnitRecord,
    read_record,
)
from moa.weights.units import StoredUnit, UnitResult
from moa.whole_folders import is_stale
from moa.words import counted, shown

_WEIGHTS, _OOF, _FEATURES = "weights.safetensors", "oof.parquet", "features"
#: Before the names of the tensors that a later stage starts from, where they are not those that predict.
_START = "moa.start/"
#: Files that every unit has.
NEEDED = (_WEIGHTS, _OOF)


class UnitStore:
    """The finished units of one model in the folder ``weights``, and the fits that its stages share."""

    def __init__(self, weights: Path, model: str):
        self.layout = WeightsFolder(weights).model(model)
        self.fits = fits.SharedFits(weights)

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
