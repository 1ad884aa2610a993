"""Atomic writing of files, JSON, and hashes."""

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
from pydantic_core import from_json

from moa.errors import StoreError


def digest(*parts: Any) -> str:
    """A hash of JSON-able values and arrays, 20 hex digits."""
    state = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            state.update(f"{part.dtype}{part.shape}".encode())
            state.update(np.ascontiguousarray(part).view(np.uint8).data)
        else:
            state.update(json.dumps(part, sort_keys=True, default=str).encode())
    return state.hexdigest()[:20]


@contextmanager
def _temporary_file(path: Path) -> Iterator[Path]:
    """A temporary file in the folder of ``path``; it is removed at the end."""
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
    """Yield a temporary path that replaces ``path`` if the block ends without an error."""
    with _temporary_file(path) as temporary:
        yield temporary
        os.chmod(temporary, 0o644)  # mkstemp makes files private, but a weights folder may be shared
        os.replace(temporary, path)


@contextmanager
def creating(path: Path) -> Iterator[Path]:
    """Like ``replacing``, but a file that another process has written in the meantime stays: the first one wins."""
    with _temporary_file(path) as temporary:
        yield temporary
        os.chmod(temporary, 0o644)
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
        except OSError:  # a file system without hard links: the last one wins
            os.replace(temporary, path)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder that is renamed to ``path`` if the block ends without an error.

    Raises:
        OSError: a folder of that name exists and is not empty; it is left unchanged.
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
    """Write JSON unless the file exists; returns its content, which another process may have written."""
    with creating(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, default=plain))
    return read_json(path)


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        StoreError: the file is missing or damaged, or nested more than 200 levels deep.
    """
    try:
        return from_json(path.read_bytes())  # json.loads has no limit to depth but Python's stack
    except FileNotFoundError:
        raise StoreError(f"{path}: not found; train the model first, or give the right --weights folder") from None
    except ValueError as error:
        raise StoreError(f"{path}: damaged (not JSON: {error}); delete it and train again") from None


def plain(value: Any) -> Any:
    """JSON for values that the json module does not know: numpy values as Python values, others as text."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value)


def sha256(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits."""
    state = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            state.update(chunk)
    return state.hexdigest()
