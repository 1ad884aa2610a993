"""Files written whole or not at all, JSON, and hashes of what they hold."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from moa.errors import StoreError


def digest(*parts: Any) -> str:
    """Hash JSON-able values and arrays into 20 hex digits."""
    state = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            state.update(f"{part.dtype}{part.shape}".encode())
            state.update(np.ascontiguousarray(part).view(np.uint8).data)
        else:
            state.update(json.dumps(part, sort_keys=True, default=str).encode())
    return state.hexdigest()[:20]


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``, gone at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that takes its place once the block ends well."""
    with _beside(path) as temporary:
        yield temporary
        os.chmod(temporary, 0o644)  # mkstemp's private mode would keep colleagues out of a shared store
        os.replace(temporary, path)


@contextmanager
def creating(path: Path) -> Iterator[Path]:
    """As ``replacing``, but a file that another process has put there meanwhile stays: the first one wins."""
    with _beside(path) as temporary:
        yield temporary
        os.chmod(temporary, 0o644)
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
        except OSError:  # a file system without links: the last one wins
            os.replace(temporary, path)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path`` that takes its name once the block ends well.

    Raises:
        OSError: there is a folder of that name with something in it; it stays as it is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
    try:
        yield temporary
        os.chmod(temporary, 0o755)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, default=plain))


def create_json(path: Path, value: Any) -> Any:
    """Write JSON unless there is a file already; returns what the file holds, which may be another process's."""
    with creating(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, default=plain))
    return read_json(path)


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        StoreError: the file is missing or damaged.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise StoreError(f"{path}: not found; train the model first, or give the right --weights folder") from None
    except (ValueError, UnicodeDecodeError):
        raise StoreError(f"{path}: damaged (not JSON); delete it and train again") from None


def plain(value: Any) -> Any:
    """JSON for numpy's numbers and the like."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value)


def sha256(path: Path) -> str:
    """Checksum of a file, 64 hex digits."""
    state = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            state.update(chunk)
    return state.hexdigest()
