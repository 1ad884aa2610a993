"""Atomic writing of files and folders, JSON, and hashes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from pydantic_core import from_json

from moa.errors import StoreError, UserError, WriteError
from moa.whole_folders import locked, put_folder, stale_files


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


def regular(path: Path) -> Path:
    """The path, if no pipe, device or socket is there: reading one may never end.

    Raises:
        UserError: there is one.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # whatever opens it says what is wrong
        return path
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return path
    kind = "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
    raise UserError(f"{path}: {kind} and no file; write its content to a file first")


def sha256(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits."""
    state = hashlib.sha256()
    with regular(path).open("rb") as file:
        while chunk := file.read(1 << 20):
            state.update(chunk)
    return state.hexdigest()


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
    """Report in one line what could not be written in the block, if the disk is full or the folder read-only.

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
        within = isinstance(error, WriteError) and not any(part.startswith(hidden) for part in error.path.parts)
        if number is None or within:
            raise
        if number not in _FULL:
            raise WriteError(path, _REASONS[number], kept=kept, number=number) from error
        written = _size(path.parent, hidden) or _size(path)
        known = max(size or 0, (isinstance(error, WriteError) and error.needed) or 0)
        free = shutil.disk_usage(_there(path.parent)).free
        raise WriteError(path, _REASONS[number], max(known, written), free, not known, kept, number) from error


def write_problem(error: BaseException) -> int | None:
    """The number of the operating system's error behind an exception, if it says that nothing can be written."""
    number = error.errno if isinstance(error, OSError) else None
    if number is None and (found := _NUMBER.search(str(error))):
        number = int(found[1])
    return number if number in _REASONS else None


def ensure_writable(folder: Path) -> None:
    """Check that results can be written to a folder, before the work begins; nothing is changed.

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
        if prefix is None and not path.is_dir():
            return path.stat().st_size
        return sum(_size(each) for each in path.iterdir() if each.name.startswith(prefix or ""))
    except OSError:
        return 0


@contextmanager
def _temporary(
    path: Path, size: int | None, place: Callable[[Path, Path], None] = os.replace, folder: bool = False
) -> Iterator[Path]:
    """A temporary file or folder beside ``path``, which ``place`` puts there at the end of the block.

    It is locked as long as this process writes it. Those of the same name that nobody holds are removed: what wrote
    them was killed.
    """
    temporary, handle = None, None
    try:
        with writing(path, size):
            path.parent.mkdir(parents=True, exist_ok=True)
            for left in stale_files(path):
                _remove(left)
            while temporary is None or handle is None:
                temporary = _made(path, folder)
                handle = locked(temporary)  # None where another process has taken it for stale
            yield temporary
            with suppress(OSError):  # some network drives have no modes
                # Let others read it: temporary files are private, but a weights folder may be shared.
                temporary.chmod(0o755 if folder else 0o644)
            place(temporary, path)
    finally:
        if temporary is not None:
            _remove(temporary)
        if handle is not None:
            handle.close()


def _made(path: Path, folder: bool) -> Path:
    """A new file or folder beside ``path``."""
    names = (".tmp", f".{path.name}.", path.parent)
    if folder:
        return Path(tempfile.mkdtemp(*names))
    handle, name = tempfile.mkstemp(*names)
    os.close(handle)
    return Path(name)


def _remove(path: Path) -> None:
    """Remove a file or a folder; nothing happens where it is gone or cannot be removed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def replacing(path: Path, size: int | None = None) -> AbstractContextManager[Path]:
    """Yield a temporary path that replaces ``path`` if the block ends without an error.

    Where the ``size`` in bytes is known, a ``WriteError`` says how much room is needed.

    Raises:
        WriteError: the disk is full, or the folder read-only.
    """
    return _temporary(path, size)


def creating(path: Path, size: int | None = None) -> AbstractContextManager[Path]:
    """Like ``replacing``, but a file that another process has written in the meantime stays: the first one wins."""
    return _temporary(path, size, _link)


def _link(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links: the last one wins
        os.replace(temporary, path)


def replacing_folder(path: Path, size: int | None = None) -> AbstractContextManager[Path]:
    """Like ``replacing``, for a folder; one of that name that is not empty is left unchanged, and an ``OSError``."""
    return _temporary(path, size, folder=True)


def exchanging_folder(path: Path, size: int | None = None) -> AbstractContextManager[Path]:
    """Like ``replacing``, for a folder with all that is in it: at any moment the old one or the new one is there."""
    return _temporary(path.resolve(), size, put_folder, folder=True)


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
        return from_json(regular(path).read_bytes())  # json.loads limits the depth only by Python's stack
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
