"""Folders that are replaced in one step, and locks on what is being written, for ``moa.files``."""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType

from moa.errors import UserError

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None

_TEMPORARY, _OLD = ".tmp", ".old"
#: Where files cannot be locked, what is older belongs to no process at work.
_STALE_SECONDS = 24 * 3600


class Lock:
    """A file or folder that this process holds, until it is closed or the process ends."""

    def __init__(self, handle: int | None):
        self.handle = handle  # None where the file system has no locks

    def close(self) -> None:
        """Let it go."""
        if self.handle is not None:
            os.close(self.handle)
            self.handle = None


class _Busy(Exception):
    """Another process holds it."""


def _hold(path: Path) -> Lock:
    """Hold a file or folder; where the file system has no locks, nothing is held.

    Raises:
        _Busy: another process holds it.
        OSError: it cannot be opened.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    if fcntl is None:
        os.close(handle)
        return Lock(None)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise _Busy from None
    except OSError:
        os.close(handle)
        return Lock(None)
    return Lock(handle)


def locked(path: Path) -> Lock | None:
    """Hold a temporary file or folder that this process has made; None if another process has removed it since."""
    try:
        lock = _hold(path)
    except (_Busy, FileNotFoundError):
        return None
    if os.path.lexists(path):
        return lock
    lock.close()
    return None


@contextmanager
def only_one(folder: Path, refused: str) -> Iterator[None]:
    """Hold a folder for the length of a block; one that does not exist is made, and removed if it is empty at the end.

    Raises:
        UserError: another process holds it; the message is ``refused``.
    """
    made = not folder.exists()
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock = _hold(folder)
        except FileNotFoundError:
            continue  # the other process has just finished, and removed it
        except _Busy:
            raise UserError(refused) from None
        with suppress(FileNotFoundError):
            if lock.handle is None or os.path.samestat(os.fstat(lock.handle), folder.stat()):
                break
        lock.close()
    try:
        yield
    finally:
        if made:
            with suppress(OSError):  # it is not empty
                folder.rmdir()
        lock.close()


def stale_files(path: Path) -> list[Path]:
    """Temporary files and folders of ``path`` that no process writes any more; see also ``put_back``."""
    put_back(path)
    return [*_beside(path, _OLD), *(each for each in _beside(path, _TEMPORARY) if is_stale(each))]


def put_back(path: Path) -> None:
    """Put a folder back that was moved away by a process that was killed before the new one was there."""
    if os.path.lexists(path):
        return
    with suppress(OSError):
        if old := sorted(_beside(path, _OLD), key=os.path.getmtime):
            os.rename(old[-1], path)


def _beside(path: Path, suffix: str) -> list[Path]:
    """Hidden files and folders beside ``path`` that bear its name and the suffix."""
    prefix = f".{path.name}."
    with suppress(OSError), os.scandir(path.parent) as entries:
        names = (entry.name for entry in entries)
        return [path.parent / name for name in names if name.startswith(prefix) and name.endswith(suffix)]
    return []


def is_stale(path: Path) -> bool:
    """Whether no process writes a temporary file or folder any more."""
    try:
        lock = _hold(path)
    except (_Busy, OSError):
        return False
    held = lock.handle is not None
    lock.close()
    with suppress(OSError):
        return held or time.time() - path.stat().st_mtime > _STALE_SECONDS
    return False


def put_folder(new: Path, path: Path) -> None:
    """Put the folder ``new`` in the place of ``path``; one that was there is then at ``new``, or is gone."""
    if not os.path.lexists(path):
        os.rename(new, path)
        return
    if _exchange(new, path):
        return
    # Killed in between, the old folder is put back by the next run, see ``stale_files``.
    old = Path(tempfile.mkdtemp(_OLD, f".{path.name}.", path.parent))
    os.rename(path, old)
    try:
        os.rename(new, path)
    except OSError:
        os.rename(old, path)
        raise
    os.rename(old, new)


def _exchange(first: Path, second: Path) -> bool:
    """Exchange two folders in one step; False where the system cannot."""
    call = _exchanger()
    return call is not None and call(os.fsencode(first), os.fsencode(second)) == 0


def _exchanger() -> Callable[[bytes, bytes], int] | None:
    """The system's call that exchanges two paths, which Python does not have; None where there is none."""
    at_working_folder, exchange = -100, 2
    with suppress(OSError, AttributeError, TypeError):
        library = ctypes.CDLL(None)
        if sys.platform == "linux":
            linux = library.renameat2
            return lambda first, second: linux(at_working_folder, first, at_working_folder, second, exchange)
        if sys.platform == "darwin":
            mac = library.renamex_np
            return lambda first, second: mac(first, second, exchange)
    return None
