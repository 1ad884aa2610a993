"""Put weights that were trained in several places into one folder: a fold per Kaggle session, array jobs, two machines.

Artifacts never change once they are written, so they are hard-linked where the file system can, and copied where it
cannot. A merge that was killed continues when it is run again, like training.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from moa.data.assay import Assay
from moa.errors import StoreError, WriteError
from moa.files import ensure_writable, replacing_folder, sha256, write_json, writing
from moa.models.registry import known_recipes
from moa.progress import progress
from moa.weights.calibrating import fit_calibration
from moa.weights.fitted_transformers import same
from moa.weights.layout import UnitKey, WeightsFolder
from moa.weights.records import FIRST_RECIPE, Record
from moa.weights.stage_description import difference
from moa.weights.store import ModelStore
from moa.weights.trained import open_trained
from moa.weights.unit_store import NEEDED


@dataclass(frozen=True)
class Merged:
    """The result for one model: units taken, units that were there before, and package versions that differed."""

    model: str
    taken: int
    there: int
    versions: str = ""


def merge_weights(
    sources: Iterable[Path], target: Path, models: Iterable[str] | None = None, link: bool = False
) -> list[Merged]:
    """Bring the finished units of several weights folders into ``target``; what is there stays.

    A source may also be the output of a Kaggle kernel, with the weights folder in it. Only units of ``models`` are
    taken if these are named. ``link`` makes symbolic links for reading, instead of copies.

    Raises:
        UserError: a source holds no trained model.
        StoreError: parts of a model belong to other settings, data or features, or a unit is damaged. Units taken
            before stay, and each is whole.
    """
    ensure_writable(Path(target))
    wanted = None if models is None else set(models)
    parts: list[_ModelPart] = []
    for source in sources:
        folder = WeightsFolder.inside(Path(source))
        names = [name for name in folder.models() if wanted is None or name in wanted]
        parts += [_ModelPart(folder.path, name, Path(target), link) for name in names]
    results: dict[str, Merged] = {}
    with progress("merging weights", sum(len(part.units) for part in parts)) as bar:
        done = 0
        for part in parts:
            versions = part.claim()
            part.take_stages()
            part.take_training_facts()
            taken = 0
            for unit in part.units:
                try:
                    taken += part.take_unit(unit)
                except WriteError as error:
                    raise error.during(f"{done} units are taken and kept", len(part.units) - taken) from error
                done += 1
                bar.update(done, part.model)
            before = results.get(part.model, Merged(part.model, 0, 0))
            there = before.there + len(part.units) - taken
            results[part.model] = Merged(part.model, before.taken + taken, there, before.versions or versions)
    for name in results:
        _calibrate(Path(target), name)
    return list(results.values())


def _calibrate(weights: Path, name: str) -> None:
    """Fit the calibration of a merged model again: its parts were calibrated by their own predictions alone."""
    store = ModelStore(weights, name)
    schema = store.manifest().data_schema
    if name not in known_recipes() or schema is None or Assay.model_validate(schema).of_competition:
        return
    if (record := fit_calibration(open_trained(name, weights, whole=False))) is not None:
        write_json(store.layout.calibration, record.to_json())


class _ModelPart:
    """What one weights folder holds of one model, and the store it goes into."""

    def __init__(self, weights: Path, model: str, target: Path, link: bool):
        self.model, self.link = model, _link if link else link_or_copy
        self.source, self.store = ModelStore(weights, model), ModelStore(target, model)
        self.units = self.source.layout.units()

    def claim(self) -> str:
        """Compare the part's manifest with the target's; returns a difference of package versions in words."""
        if self.model in known_recipes():
            self.source.check_version(known_recipes()[self.model].version)
        if not self.store.layout.manifest.exists():
            write_json(self.store.layout.manifest, self.source.manifest().to_json())
            return ""
        manifest = {"recipe": FIRST_RECIPE} | self.source.manifest().to_json()
        versions, code, _ = manifest.pop("versions", {}), manifest.pop("code", {}), manifest.pop("format", 1)
        try:
            self.store.claim(manifest)
            self.store.check_code(code)
        except StoreError as error:
            raise StoreError(f"{self.source.layout.path}: not of the same training as the others: {error}") from None
        return difference(self.store.manifest().versions, versions) or ""

    def take_stages(self) -> None:
        """Take the description of each stage and the fits its features need."""
        for stage in self.source.layout.stages():
            description = self.source.stage(stage)
            for step in description.pipeline.steps:
                if step.key:
                    self._take_fit(step.key)
            path = self.store.layout.stage(stage)
            if not path.exists():
                write_json(path, description.to_json())
                continue
            there, here = self.store.stage(stage).to_json(), description.to_json()
            if there.get("description") is None or here.get("description") is None:  # a part of format 1
                there, here = there | {"description": None}, here | {"description": None}
            if changed := difference(there, here):
                raise StoreError(
                    f"{self.source.layout.stage(stage)}: {self.model} was trained on other features or stages here "
                    f"than in {path} ({changed}); train every part from one that holds the stage's inputs"
                )

    def take_training_facts(self) -> None:
        """Take what is known of the training data.

        Facts are the first part's, whose others equal them up to rounding; evidence is that of the first part that has
        it with compounds, else of the first.
        """
        facts, layout = self.source.training_facts(), self.store.layout
        if facts is not None and not layout.training.exists():
            self._take_record(layout.training, facts, facts.familiarity)
        found, there = self.source.evidence(), self.store.evidence()
        if found is not None and (there is None or (found.compounds and not there.compounds)):
            self._take_record(layout.evidence, found, found.evidence)

    def _take_record(self, path: Path, record: Record, fit: str) -> None:
        if not self.store.fits.path(fit).exists():
            self._take_fit(fit)
        write_json(path, record.to_json())

    def _take_fit(self, key: str) -> None:
        source = self.source.fits.path(key)
        if not source.exists():
            raise StoreError(f"{source}: missing; copy the whole weights folder, its 'shared' part included")
        path = self.store.fits.path(key)
        if not path.exists():
            path = path.with_suffix(source.suffix)
            temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
            with writing(path, source.stat().st_size):
                path.parent.mkdir(parents=True, exist_ok=True)
                try:
                    self.link(source, temporary)
                    os.replace(temporary, path)
                finally:
                    temporary.unlink(missing_ok=True)
        elif not os.path.samefile(source, path) and not same(source, path):
            raise StoreError(
                f"{source}: the same features were fitted with another result than {path} (other processors round "
                "differently); train every part from the fits of one: attach the weights of the first run to the others"
            )

    def take_unit(self, key: UnitKey) -> bool:
        """Take one unit, checked and whole; False where the target has it."""
        if self.store.has_unit(*key):
            return False
        source = self.source.layout.unit(key)
        checksums = self.source.unit_facts(*key).sha256
        lost = [name for name in NEEDED if name not in checksums]
        if lost:
            raise StoreError(f"{self.source.layout.facts(key)}: lacks the checksum of {lost[0]}; copy this unit again")
        for name, expected in checksums.items():
            if not (source / name).exists() or sha256(source / name) != expected:
                raise StoreError(f"{source / name}: missing or damaged (checksum differs); copy this unit again")
        size = sum((source / name).stat().st_size for name in checksums)
        try:
            with replacing_folder(self.store.layout.unit(key), size) as temporary:
                for name in (*checksums, self.source.layout.facts(key).name):
                    self.link(source / name, temporary / name)
        except OSError:
            if not self.store.has_unit(*key):  # otherwise another process took it first
                raise
        return True


def link_or_copy(source: Path, path: Path) -> None:
    """Make ``path`` the same file as ``source``; a copy where the file system has no hard links."""
    try:
        os.link(source, path)
    except OSError:
        shutil.copyfile(source, path)


def _link(source: Path, path: Path) -> None:
    path.symlink_to(source.resolve())
