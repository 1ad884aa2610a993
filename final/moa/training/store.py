"""What is on disk: units, fitted transformers, predictions, manifests. Written whole or not at all, and checked.

Layout of a weights folder::

    shared/<key>.skops                      fitted transformers, by what they were fitted on
    <model>/manifest.json                   settings, data, versions
    <model>/training.json                   prevalence of the targets, key of the fitted familiarity
    <model>/<stage>/stage.json              targets, folds digest, the feature pipeline
    <model>/<stage>/seed-S/fold-F/          one unit: weights.safetensors, oof.parquet, unit.json
    <model>/predictions/{oof,test}.parquet  tables with sig_id and target names

Nothing is ever unpickled: weights are safetensors, transformers are skops with an explicit list of types, tables are
parquet, the rest is JSON.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors
import safetensors.torch
import sklearn
import skops.io
from sklearn.base import clone

from moa.data.table_files import read_table, write_table
from moa.errors import StoreError
from moa.features.familiarity import TRUSTED_TYPES as FAMILIARITY_TYPES
from moa.features.transformers import TRUSTED_TYPES as FEATURE_TYPES
from moa.features.umap import TRUSTED_TYPES as EMBEDDING_TYPES
from moa.files import create_json, creating, digest, plain, read_json, replacing_folder, sha256, write_json
from moa.learners.base import Fitted

TRUSTED_TYPES = sorted({*FEATURE_TYPES, *EMBEDDING_TYPES, *FAMILIARITY_TYPES})
STALE_SECONDS = 24 * 3600
RECORDED_PACKAGES = (
    "torch",
    "scikit-learn",
    "numpy",
    "pandas",
    "umap-learn",
    "pytorch-tabnet",
    "timm",
    "pytorch-lightning",
    "iterative-stratification",
)


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for package in RECORDED_PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


class SharedFits:
    """Fitted transformers, found by what they are and what they were fitted on, shared by all models of a store.

    The key hashes the transformer's class and parameters, scikit-learn's version and the fitted values themselves, so
    the second model that asks for the same fit reads it, and no two different fits can meet.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._loaded: dict[str, Any] = {}

    def fit(self, transformer: Any, x: Any, y: np.ndarray | None = None) -> tuple[Any, str]:
        """Fit a clone of ``transformer``, or read the same fit made before; returns it with its key."""
        values = x if isinstance(x, np.ndarray) else x.astype(str).to_numpy().astype("U16")
        kind = type(transformer)
        key = digest(
            f"{kind.__module__}.{kind.__qualname__}",
            repr(sorted(transformer.get_params().items(), key=str)),
            sklearn.__version__,
            values,
            [] if y is None else np.asarray(y),
        )
        if self.path(key).exists():
            return self.load(key), key
        fitted = clone(transformer).fit(x) if y is None else clone(transformer).fit(x, y)
        payload = skops.io.dumps(fitted)
        with creating(self.path(key)) as temporary:
            temporary.write_bytes(hashlib.sha256(payload).digest() + payload)
        # The stored copy and not the fit itself. It may be another process's of the same moment, made on other threads,
        # and all must go on with the one that is kept. And arrays come back in another memory order, which can change
        # a product's last bit: a fresh process must predict what was predicted at training.
        return self.load(key), key

    def load(self, key: str) -> Any:
        """Read a fit.

        Raises:
            StoreError: it is missing, damaged, or holds a type that is not on the list.
        """
        if key not in self._loaded:
            path = self.path(key)
            try:
                raw = path.read_bytes()
            except FileNotFoundError:
                raise StoreError(
                    f"{path}: missing; copy the whole weights folder, its 'shared' part included"
                ) from None
            checksum, payload = raw[:32], raw[32:]
            if hashlib.sha256(payload).digest() != checksum:
                raise StoreError(f"{path}: damaged (checksum differs); delete it and train again")
            unknown = sorted(set(skops.io.get_untrusted_types(data=payload)) - set(TRUSTED_TYPES))
            if unknown:
                raise StoreError(f"{path}: holds types that are not trusted: {', '.join(unknown)}")
            self._loaded[key] = skops.io.loads(payload, trusted=TRUSTED_TYPES)
        return self._loaded[key]

    def path(self, key: str) -> Path:
        """Where a fit lies."""
        return self.folder / f"{key}.skops"


class ModelStore:
    """The artifacts of one model inside a weights folder."""

    def __init__(self, weights: Path, model: str):
        self.folder = Path(weights) / model
        self.fits = SharedFits(Path(weights) / "shared")

    # -- manifest -----------------------------------------------------------------------------------------------------

    def claim(self, identity: dict[str, Any]) -> None:
        """Write the manifest, or hold it against the one that is there.

        Args:
            identity: what must be equal for units to belong together: settings, data, columns.

        Raises:
            StoreError: the folder was made with something else.
        """
        path = self.folder / "manifest.json"
        identity = json.loads(json.dumps(identity, default=plain))
        existing = read_json(path) if path.exists() else create_json(path, {**identity, "versions": versions()})
        for part, value in identity.items():
            if existing.get(part) != value:
                raise StoreError(
                    f"{path}: made with other {part} ({first_difference(existing.get(part), value)}); "
                    "give another --weights folder, or delete this one to train again"
                )

    def manifest(self) -> dict[str, Any]:
        """The manifest as written."""
        return read_json(self.folder / "manifest.json")

    @property
    def training_path(self) -> Path:
        """Where facts of the training data lie that predictions are told beside."""
        return self.folder / "training.json"

    # -- stages -------------------------------------------------------------------------------------------------------

    def stage_path(self, stage: str) -> Path:
        """Where a stage's description lies."""
        return self.folder / stage / "stage.json"

    def unit_path(self, stage: str, seed: int, fold: int) -> Path:
        """Where a unit's artifact lies."""
        return self.folder / stage / f"seed-{seed}" / f"fold-{fold}"

    def has_unit(self, stage: str, seed: int, fold: int) -> bool:
        """Whether the unit is finished: its folder appears whole or not at all."""
        return (self.unit_path(stage, seed, fold) / "unit.json").exists()

    def scratch(self, stage: str, seed: int, fold: int) -> Path:
        """A folder for checkpoints inside a unit; kept over a kill, removed when the unit is saved."""
        path = self.folder / stage / f"seed-{seed}" / f".scratch-{fold}"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def save_unit(self, stage: str, seed: int, fold: int, fitted: Fitted, oof: pd.DataFrame, seconds: float) -> None:
        """Store a finished unit: weights, validation predictions and facts, as one folder that appears at once."""
        final = self.unit_path(stage, seed, fold)
        _sweep(final.parent)
        try:
            with replacing_folder(final) as temporary:
                safetensors.torch.save_file(
                    {name: value.contiguous() for name, value in fitted.tensors.items()},
                    temporary / "weights.safetensors",
                )
                write_table(temporary / "oof.parquet", oof)
                for name, values in fitted.variants.items():
                    write_table(temporary / f"oof-{name}.parquet", pd.DataFrame(values, oof.index, oof.columns))
                write_json(
                    temporary / "unit.json",
                    {
                        "stage": stage,
                        "seed": seed,
                        "fold": fold,
                        "seconds": round(seconds, 3),
                        "meta": fitted.meta,
                        "history": fitted.history,
                        "variants": sorted(fitted.variants),
                        "sha256": {path.name: sha256(path) for path in sorted(temporary.iterdir())},
                    },
                )
        except OSError:
            if not self.has_unit(stage, seed, fold):  # another process finished the same unit first: keep its
                raise
        shutil.rmtree(self.folder / stage / f"seed-{seed}" / f".scratch-{fold}", ignore_errors=True)

    def unit_facts(self, stage: str, seed: int, fold: int) -> dict[str, Any]:
        """The unit's JSON: history, seconds, checksums."""
        return read_json(self.unit_path(stage, seed, fold) / "unit.json")

    def load_unit(self, stage: str, seed: int, fold: int) -> Fitted:
        """Read a unit's weights.

        Raises:
            StoreError: the unit is missing or damaged.
        """
        facts = self.unit_facts(stage, seed, fold)
        path = self._checked(stage, seed, fold, "weights.safetensors", facts)
        return Fitted(safetensors.torch.load_file(path), facts["meta"], facts["history"])

    def load_oof(self, stage: str, seed: int, fold: int, variant: str | None = None) -> pd.DataFrame:
        """Read a unit's validation predictions, or one of its variants."""
        name = f"oof-{variant}.parquet" if variant else "oof.parquet"
        return read_table(self._checked(stage, seed, fold, name, self.unit_facts(stage, seed, fold)))

    def _checked(self, stage: str, seed: int, fold: int, name: str, facts: dict[str, Any]) -> Path:
        path = self.unit_path(stage, seed, fold) / name
        expected = facts.get("sha256", {}).get(name)
        if not path.exists() or sha256(path) != expected:
            raise StoreError(f"{path}: missing or damaged (checksum differs); delete its folder and train again")
        return path

    # -- predictions --------------------------------------------------------------------------------------------------

    def prediction_path(self, kind: str) -> Path:
        """Where the tables written at training lie; kind is "oof" or "test"."""
        return self.folder / "predictions" / f"{kind}.parquet"


def _sweep(folder: Path) -> None:
    """Remove temporary folders that a killed run left; young ones may belong to a neighbour still at work."""
    for path in folder.glob(".fold-*.tmp"):
        try:
            if time.time() - path.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
        except FileNotFoundError:
            continue


def first_difference(old: Any, new: Any, place: str = "") -> str:
    """The first place where two JSON values differ, in words."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*new, *old]:
            if old.get(name) != new.get(name):
                return first_difference(old.get(name), new.get(name), f"{place}.{name}" if place else name)
    return f"{place or 'value'}: {_short(old)} there, {_short(new)} now"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
