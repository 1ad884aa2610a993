"""Trained weights for processes that may run on other machines: opened where they lie, or sent along."""

from __future__ import annotations

import atexit
import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from moa.errors import UserError
from moa.files import regular, writing
from moa.parallel import Streams
from moa.weights.layout import WeightsFolder

_unpacked: dict[str, Path] = {}


@dataclass(frozen=True)
class WorkerWeights:
    """A weights folder, or some of its models, on any machine.

    Attributes:
        path: the folder on the machine of the driver.
        names: of the models.
        content: their fingerprint.
        files: content by relative path, where the weights are sent along; None: ``path`` is there on every machine.
    """

    path: Path
    names: tuple[str, ...]
    content: str
    files: dict[str, bytes] | None = None

    def open(self) -> Path:
        """The folder on this machine; what was sent along is unpacked once in a process.

        Raises:
            UserError: the folder is not there, or holds something else.
        """
        if self.files is None:
            if fingerprint(self.path, self.names) != self.content:
                raise UserError(f"{self.path}: missing on a worker, or changed meanwhile; run the same command again")
            return self.path
        if self.content not in _unpacked:
            folder = Path(tempfile.mkdtemp(prefix="moa-weights-"))
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            with writing(folder, sum(map(len, self.files.values())), kept="the worker can continue once there is room"):
                for name, content in self.files.items():
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    (folder / name).write_bytes(content)
            _unpacked[self.content] = folder
        return _unpacked[self.content]


def fingerprint(weights: Path, names: Sequence[str]) -> str | None:
    """A hash of what models hold; None where one is not there.

    The facts of a unit hold checksums of its other files, and fits are named by what they were fitted on.
    """
    folder, state = WeightsFolder(weights), hashlib.sha256()
    if not all(folder.has(name) for name in names):
        return None
    for path in _files(folder, names):
        if path.suffix == ".json":
            state.update(path.relative_to(folder.path).as_posix().encode() + path.read_bytes())
    return state.hexdigest()[:20]


def weights_for(streams: Streams, weights: Path, names: Sequence[str]) -> WorkerWeights:
    """The weights of some models for the processes of ``streams``; sent along unless all find the same at the path."""
    path, content = Path(weights).resolve(), fingerprint(weights, names)
    if content is None:
        raise UserError(f"{weights}: holds no weights of {' and '.join(names)}")
    if all(found == content for found in streams.everywhere(fingerprint, path, tuple(names))):
        return WorkerWeights(path, tuple(names), content)
    files = {each.relative_to(path).as_posix(): each.read_bytes() for each in _files(WeightsFolder(path), names)}
    return WorkerWeights(path, tuple(names), content, files)


def _files(folder: WeightsFolder, names: Sequence[str]) -> Iterator[Path]:
    """What predictions of some models need."""
    for path in folder.files():
        if path.parent == folder.shared or path.relative_to(folder.path).parts[0] in names:
            yield regular(path)
