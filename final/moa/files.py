"""Atomic writing of files, JSON, and hashes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from pydantic_core import from_json

from moa.errors import StoreError, WriteError


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


#: Why nothing can be written, by the operating system's number.
_REASONS = {
    errno.ENOSPC: "no space is left on the disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file is too large for this disk",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "writing there is not allowed",
    errno.EPERM: "writing there is not allowed",
    errno.EIO: "the disk reports an error",
}
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
#: How safetensors, pyarrow, HDF5 and shutil write that number into their own errors.
_NUMBER = re.compile(r"(?:os error|errno)\s*=?\s*(\d+)", re.IGNORECASE)


@contextmanager
def writing(path: Path, size: int | None = None, kept: str = "what was there before is kept") -> Iterator[None]:
    """Tell in one line what could not be written in the block, if the disk is full or the folder read-only.

    Args:
        path: what is written: a file or a folder, which may lie beside it under a temporary name until it is whole.
        size: room that it takes in bytes, where that is known.
        kept: what is kept if it cannot be written, in words.

    Raises:
        WriteError: it could not be written. Other errors are passed on.
    """
    try:
        yield
    except Exception as error:  # several libraries have errors of their own
        number = write_problem(error)
        hidden = f".{path.name}."
        if isinstance(error, WriteError) and not any(part.startswith(hidden) for part in error.path.parts):
            raise
        if number is None:
            raise
        if number not in _FULL:
            raise WriteError(path, _REASONS[number], kept=kept, number=number) from error
        written = _size(path.parent, hidden) or _size(path)
        known = max(size or 0, (isinstance(error, WriteError) and error.needed) or 0)
        free = shutil.disk_usage(_there(path.parent)).free
        needed, size = max(known, written), known
        raise WriteError(path, _REASONS[number], needed, free, not size, kept, number) from error


def write_problem(error: BaseException) -> int | None:
    """The number of the operating system's error behind an exception, if it says that nothing can be written."""
    number = error.errno if isinstance(error, OSError) else None
    if number is None:
        found = _NUMBER.search(str(error))
        number = int(found[1]) if found else None
    return number if number in _REASONS else None


def ensure_writable(folder: Path) -> None:
    """Find out before the work begins that its results cannot be written; nothing is changed.

    Raises:
        WriteError: the folder, or the one that it would be made in, cannot be written.
    """
    there = _there(folder)
    if not there.is_dir():
        raise WriteError(folder, f"{there} is not a folder", number=errno.ENOTDIR)
    if not os.access(there, os.W_OK | os.X_OK):
        read_only = hasattr(os, "statvfs") and os.statvfs(there).f_flag & os.ST_RDONLY
        number = errno.EROFS if read_only else errno.EACCES
        raise WriteError(folder, _REASONS[number], number=number)


def _there(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())


def _size(path: Path, prefix: str | None = None) -> int:
    """Bytes of a file, a folder, or of the files and folders in one whose names begin with ``prefix``."""
    try:
        if prefix is not None:
            return sum(_size(each) for each in path.iterdir() if each.name.startswith(prefix))
        if path.is_dir():
            return sum(_size(each) for each in path.iterdir())
        return path.stat().st_size
    except OSError:
        return 0


@contextmanager
def _temporary_file(path: Path, size: int | None) -> Iterator[Path]:
    """A temporary file in the folder of ``path``; it is removed at the end."""
    temporary = None
    try:
        with writing(path, size):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
            os.close(handle)
            temporary = Path(name)
            yield temporary
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _share(temporary: Path, mode: int = 0o644) -> None:
    """Temporary files are private, but a weights folder may be shared."""
    with suppress(OSError):  # some network drives know no modes
        os.chmod(temporary, mode)


@contextmanager
def replacing(path: Path, size: int | None = None) -> Iterator[Path]:
    """Yield a temporary path that replaces ``path`` if the block ends without an error.

    Args:
        path: the file.
        size: its size in bytes, where it is known: to tell how much room is needed if there is too little.

    Raises:
        WriteError: the disk is full, or the folder read-only.
    """
    with _temporary_file(path, size) as temporary:
        yield temporary
        _share(temporary)
        os.replace(temporary, path)


@contextmanager
def creating(path: Path, size: int | None = None) -> Iterator[Path]:
    """Like ``replacing``, but a file that another process has written in the meantime stays: the first one wins."""
    with _temporary_file(path, size) as temporary:
        yield temporary
        _share(temporary)
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
        except OSError:  # a file system without hard links: the last one wins
            os.replace(temporary, path)


@contextmanager
def replacing_folder(path: Path, size: int | None = None) -> Iterator[Path]:
    """Yield a temporary folder that is renamed to ``path`` if the block ends without an error.

    Args:
        path: the folder.
        size: of its files in bytes, where it is known.

    Raises:
        WriteError: the disk is full, or the folder read-only.
        OSError: a folder of that name exists and is not empty; it is left unchanged.
    """
    temporary = None
    try:
        with writing(path, size):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
            yield temporary
            _share(temporary, 0o755)
            os.replace(temporary, path)
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically."""
    text = json.dumps(value, indent=1, default=plain)
    with replacing(path, len(text)) as temporary:
        temporary.write_text(text)


def create_json(path: Path, value: Any) -> Any:
    """Write JSON unless the file exists; returns its content, which another process may have written."""
    text = json.dumps(value, indent=1, default=plain)
    with creating(path, len(text)) as temporary:
        temporary.write_text(text)
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
