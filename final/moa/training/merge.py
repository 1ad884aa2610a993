"""Put weights that were trained in several places into one store: a fold a Kaggle session, array jobs, two machines.

Artifacts are never changed once they are there, so they are hard-linked where the file system can, and copied where it
cannot. A merge that was killed goes on when it is run again, like training.
"""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256 as new_hash
from io import BytesIO
from pathlib import Path

from moa.errors import StoreError, UserError
from moa.files import read_json, replacing_folder, sha256, write_json
from moa.progress import progress
from moa.training.store import ModelStore, first_difference


@dataclass(frozen=True)
class Merged:
    """What came of one model: units taken, units that were there before, and package versions that differed."""

    model: str
    taken: int
    there: int
    versions: str = ""


def merge_weights(
    sources: Iterable[Path], target: Path, models: Iterable[str] | None = None, link: bool = False
) -> list[Merged]:
    """Bring the finished units of several weights folders into one.

    Args:
        sources: weights folders, each with any part of the models' units.
        target: weights folder to fill; what is there stays.
        models: names of the models to take; None: all.
        link: symbolic links instead of copies, for reading alone.

    Raises:
        UserError: a source is no weights folder.
        StoreError: parts of a model belong to other settings, data or features, or a unit is damaged. Units taken
            before stay, and each is whole.
    """
    wanted = None if models is None else set(models)
    parts: list[Path] = []
    for source in sources:
        found = sorted(path.parent for path in Path(source).glob("*/manifest.json"))
        if not found:
            raise UserError(f"{source}: holds no trained model (no MODEL/manifest.json); give weights folders")
        parts += [part for part in found if wanted is None or part.name in wanted]
    results: dict[str, Merged] = {}
    units = {part: sorted(part.glob("*/seed-*/fold-*/unit.json")) for part in parts}
    with progress("merging weights", sum(map(len, units.values()))) as bar:
        done = 0
        for part in parts:
            store = ModelStore(target, part.name)
            versions = _claim(part, store)
            _take_stages(part, store, link)
            _take_training(part, store, link)
            taken = 0
            for unit in units[part]:
                taken += _take_unit(unit.parent, store, link)
                done += 1
                bar.update(done, part.name)
            before = results.get(part.name, Merged(part.name, 0, 0))
            there = before.there + len(units[part]) - taken
            results[part.name] = Merged(part.name, before.taken + taken, there, before.versions or versions)
    return list(results.values())


def _claim(part: Path, store: ModelStore) -> str:
    """Hold the part's manifest against the target's; returns a difference of package versions in words."""
    manifest = read_json(part / "manifest.json")
    path = store.folder / "manifest.json"
    if not path.exists():
        write_json(path, manifest)
        return ""
    versions = manifest.pop("versions", {})
    try:
        store.claim(manifest)
    except StoreError as error:
        raise StoreError(f"{part}: not of the same training as the others: {error}") from None
    known = store.manifest().get("versions", {})
    return "" if known == versions else first_difference(known, versions)


def _take_stages(part: Path, store: ModelStore, link: bool) -> None:
    """Take the description of each stage and the fits its features need."""
    for source in sorted(part.glob("*/stage.json")):
        description = read_json(source)
        for step in description["pipeline"]["steps"]:
            if step["key"]:
                _take_fit(part.parent / "shared" / f"{step['key']}.skops", store, link)
        path = store.stage_path(source.parent.name)
        if not path.exists():
            write_json(path, description)
        elif (there := read_json(path)) != description:
            raise StoreError(
                f"{source}: {part.name} was trained on other features or stages here than in {path} "
                f"({first_difference(there, description)}); train every part from one that holds the stage's inputs"
            )


def _take_training(part: Path, store: ModelStore, link: bool) -> None:
    """Take what predictions of new samples are told beside; the first part's stays, which others match by rounding."""
    source = ModelStore(part.parent, part.name).training_path
    if not source.exists() or store.training_path.exists():
        return
    facts = read_json(source)
    if not store.fits.path(facts["familiarity"]).exists():
        _take_fit(part.parent / "shared" / f"{facts['familiarity']}.skops", store, link)
    write_json(store.training_path, facts)


def _take_fit(source: Path, store: ModelStore, link: bool) -> None:
    path = store.fits.path(source.stem)
    if not source.exists():
        raise StoreError(f"{source}: missing; copy the whole weights folder, its 'shared' part included")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        _linker(link)(source, temporary)
        os.replace(temporary, path)
    elif not os.path.samefile(source, path) and _arrays(source) != _arrays(path):
        raise StoreError(
            f"{source}: the same features were fitted with another result than {path} (other processors round "
            "otherwise); train every part from the fits of one: attach the weights of the first run to the others"
        )


def _arrays(path: Path) -> list[str]:
    """Hashes of a fit's arrays; the rest of the file holds addresses and times, which always differ."""
    try:
        with zipfile.ZipFile(BytesIO(path.read_bytes()[32:])) as packed:  # after its checksum
            return sorted(new_hash(packed.read(name)).hexdigest() for name in packed.namelist() if "schema" not in name)
    except zipfile.BadZipFile:
        raise StoreError(f"{path}: damaged; copy it again") from None


def _take_unit(source: Path, store: ModelStore, link: bool) -> bool:
    """Take one unit, checked and whole; False where the target has it."""
    facts = read_json(source / "unit.json")
    place = facts["stage"], facts["seed"], facts["fold"]
    if store.has_unit(*place):
        return False
    for name, expected in facts["sha256"].items():
        if not (source / name).exists() or sha256(source / name) != expected:
            raise StoreError(f"{source / name}: missing or damaged (checksum differs); copy this unit again")
    try:
        with replacing_folder(store.unit_path(*place)) as temporary:
            for name in (*facts["sha256"], "unit.json"):
                _linker(link)(source / name, temporary / name)
    except OSError:
        if not store.has_unit(*place):  # another process took it first
            raise
    return True


def _linker(link: bool) -> Callable[[Path, Path], object]:
    return (lambda source, path: path.symlink_to(source.resolve())) if link else link_or_copy


def link_or_copy(source: Path, path: Path) -> None:
    """Make ``path`` the same file as ``source``; a copy where the file system has no hard links."""
    try:
        os.link(source, path)
    except OSError:
        shutil.copyfile(source, path)
