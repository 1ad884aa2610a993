"""Where everything lies in a weights folder. Only the standard library is needed to look into one.

Layout::

    shared/<key>.{fit,skops}                fitted transformers, named by what they were fitted on
    <model>/manifest.json                   format, settings, data, schema, package versions
    <model>/training.json                   prevalence of the targets, key of the fitted familiarity
    <model>/evidence.json                   key of the training rows' labels and compounds
    <model>/calibration.json                what calibrates predictions; none for the competition's models
    <model>/seconds.json                    seconds of the work that is no unit
    <model>/<stage>/stage.json              targets, folds, the feature pipeline
    <model>/<stage>/seed-S/fold-F/          one unit: weights.safetensors, oof.parquet, unit.json
    <model>/predictions/{oof,test}.parquet  tables with sig_id and target names
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from moa.errors import StoreError, UserError
from moa.words import shown

MANIFEST = "manifest.json"
_STAGE, _UNIT = "stage.json", "unit.json"
#: Suffixes of fitted transformers: as arrays with a schema, and as skops files, as all were before.
ARRAYS, SKOPS = ".fit", ".skops"
#: Weights folder in the output of a training kernel.
_IN_OUTPUTS = "weights"
#: A name that is one part of a path. Names come from files that may be someone else's: none may lead out of the folder.
NAME = r"^[^/\\:\x00-\x1f.][^/\\:\x00-\x1f]*$"
#: A key of a fit.
KEY = r"^[0-9a-f]{20}$"
_NUMBER = r"(0|-?[1-9][0-9]{0,9})"
_UNIT_FOLDER = re.compile(rf"seed-{_NUMBER}/fold-{_NUMBER}")


class UnitKey(NamedTuple):
    """What identifies a unit within a model."""

    stage: str
    seed: int
    fold: int


class WeightsFolder:
    """A folder of trained models; ``shared`` in it holds the fitted transformers of all of them."""

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self.shared = self.path / "shared"

    @classmethod
    def inside(cls, folder: Path) -> WeightsFolder:
        """The weights folder that is given, or that lies in the output of a Kaggle kernel, as ``weights``.

        Raises:
            UserError: neither holds a trained model.
        """
        for path in (folder, folder / _IN_OUTPUTS):
            if (found := cls(path)).models():
                return found
        raise UserError(
            f"{folder}: holds no trained model (neither MODEL/{MANIFEST} nor {_IN_OUTPUTS}/MODEL/{MANIFEST}); give a "
            "weights folder, or the output of a training kernel"
        )

    def models(self) -> list[str]:
        """Names of the models that training has begun here, in alphabetical order."""
        return _named(manifest.parent.name for manifest in self.path.glob(f"*/{MANIFEST}"))

    def has(self, model: str) -> bool:
        """Whether training of a model has begun here."""
        return bool(re.fullmatch(NAME, model)) and self.model(model).manifest.exists()

    def model(self, name: str) -> ModelFolder:
        """The folder of a model; it need not exist."""
        return ModelFolder(self.path / _part(name, NAME, "name of a model", self.path))

    def fit(self, key: str, suffix: str | None = None) -> Path:
        """File of a fitted transformer; without a suffix the one that is there, or else that of arrays."""
        path = self.shared / _part(key, KEY, "key of a fit", self.shared)
        older = path.with_suffix(SKOPS)
        if suffix is None:
            suffix = SKOPS if older.exists() and not path.with_suffix(ARRAYS).exists() else ARRAYS
        return path.with_suffix(suffix)

    def files(self) -> Iterator[Path]:
        """Every file that prediction needs: manifests, stages, fits and finished units.

        Predictions and the checkpoints of unfinished units are left out.
        """
        yield from sorted(path for path in self.shared.glob("*") if path.suffix in (ARRAYS, SKOPS))
        for name in self.models():
            model = self.model(name)
            facts = (model.manifest, model.training, model.evidence, model.calibration)
            yield from (path for path in facts if path.exists())
            yield from (model.stage(stage) for stage in model.stages())
            for unit in model.units():
                yield from sorted(path for path in model.unit(unit).iterdir() if path.is_file())


class ModelFolder:
    """The folder of one model inside a weights folder, with its files as the module's layout names them."""

    def __init__(self, path: Path):
        self.path = path
        self.manifest, self.training = path / MANIFEST, path / "training.json"
        self.evidence, self.seconds = path / "evidence.json", path / "seconds.json"
        self.calibration = path / "calibration.json"

    def stage(self, name: str) -> Path:
        """Description of a stage."""
        return self._folder(name) / _STAGE

    def unit(self, key: UnitKey) -> Path:
        """Folder of a unit."""
        return self._folder(key.stage) / f"seed-{key.seed}" / f"fold-{key.fold}"

    def facts(self, key: UnitKey) -> Path:
        """The file that is written last: a unit that has it is finished."""
        return self.unit(key) / _UNIT

    def scratch(self, key: UnitKey) -> Path:
        """Folder for checkpoints of an unfinished unit."""
        return self._folder(key.stage) / f"seed-{key.seed}" / f".scratch-{key.fold}"

    def prediction(self, kind: str) -> Path:
        """Table of predictions written at the end of training; kind is "oof", "oof-raw" or "test"."""
        return self.path / "predictions" / f"{kind}.parquet"

    def stages(self) -> list[str]:
        """Names of the stages whose features are fitted, in alphabetical order."""
        return _named(path.parent.name for path in self.path.glob(f"*/{_STAGE}"))

    def units(self) -> list[UnitKey]:
        """All finished units, by stage, seed and fold."""
        found = []
        for path in self.path.glob(f"*/seed-*/fold-*/{_UNIT}"):
            stage, seed, fold = path.parts[-4:-1]
            numbers = _UNIT_FOLDER.fullmatch(f"{seed}/{fold}")
            if numbers and _named([stage]):  # other folders are someone's own
                found.append(UnitKey(stage, *map(int, numbers.groups())))
        return sorted(found)

    def _folder(self, stage: str) -> Path:
        return self.path / _part(stage, NAME, "name of a stage", self.path)


def _named(folders: Iterable[str]) -> list[str]:
    """The folders that can be those of models or stages, sorted; hidden ones are someone's own."""
    return sorted(name for name in folders if re.fullmatch(NAME, name))


def _part(text: str, pattern: str, what: str, folder: Path) -> str:
    """The text, if it is one part of a path.

    Raises:
        StoreError: it could lead out of the folder.
    """
    if not re.fullmatch(pattern, text):
        raise StoreError(f"{folder}: '{shown(text)}' is no {what}; copy the weights folder again, or train again")
    return text
