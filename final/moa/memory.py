"""How much memory is left, and refusing in one line what a file declares before it is allocated."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from moa.errors import UserError
from moa.words import size_in_words

#: Sizes up to this are read whatever the file's own size is, and whatever is free.
_SMALL = 64 << 20
#: Measured values take a tenth of their size when they are packed, or more; zeros alone take a thousandth.
_MOST_PACKED = 200
#: A table takes up to so many times its size while it is worked on.
_TIMES = 4
#: Of a container, by both versions of control groups: files of the limit, of what is used, of what that consists of;
#: and the entry there of pages of files that the system frees when memory is wanted.
_CGROUPS = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
)


def available_memory() -> int | None:
    """Bytes that this process can still use, by the system, its container and its own limit; None where not known."""
    found: list[int] = []
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found.append(int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]) * 1024)
    found += container_memory(Path("/sys/fs/cgroup"))
    with suppress(ImportError, OSError, ValueError):
        import resource

        own = resource.getrlimit(resource.RLIMIT_AS)[0]
        if own != resource.RLIM_INFINITY:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            found.append(own - pages * os.sysconf("SC_PAGE_SIZE"))
    return max(0, min(found)) if found else None


def container_memory(folder: Path) -> list[int]:
    """Bytes that the container whose control groups are in ``folder`` can still use; empty where it has no limit.

    What is used counts files that were read, too. Those not used lately give way to whatever needs the memory.
    """
    found = []
    for limit, used, statistics, cached in _CGROUPS:
        with suppress(OSError, ValueError):
            free = int((folder / limit).read_text()) - int((folder / used).read_text())
            with suppress(OSError, ValueError):
                entries = dict(line.split() for line in (folder / statistics).read_text().splitlines())
                free += int(entries.get(cached, 0))
            found.append(free)
    return found


def give_back() -> None:
    """Give freed memory back to the system where the C library, glibc, keeps small blocks of it."""
    with suppress(AttributeError, OSError, TypeError):  # another C library, or Windows
        ctypes.CDLL(None).malloc_trim(0)


def ensure_room(what: str, needed: int, there: int | None = None, fix: str = "give fewer wells at once") -> None:
    """Refuse values that do not fit into memory, or of which the file holds next to nothing.

    Args:
        what: the file and the place in it, which start the message.
        needed: bytes of the values, unpacked.
        there: bytes that the file holds of them; None where that is not known.
        fix: ends the message where memory is short.

    Raises:
        UserError: they cannot be read.
    """
    if needed <= _SMALL:
        return
    if there is not None and needed > _MOST_PACKED * there:
        raise UserError(
            f"{what} declares {size_in_words(needed)} of values and holds {size_in_words(there)}; is the file damaged?"
        )
    free = available_memory()
    if free is not None and _TIMES * needed > free:
        raise UserError(
            f"{what} needs about {size_in_words(_TIMES * needed)} of memory, and {size_in_words(free)} is free; {fix}"
        )


def with_room(blocks: Iterable[bytes], what: str, there: int, fix: str) -> Iterator[bytes]:
    """The blocks of a file that are unpacked one after another, as long as all of them fit; see ``ensure_room``.

    Raises:
        UserError: they do not.
    """
    done = 0
    for block in blocks:
        done += len(block)
        ensure_room(what, done, there, fix)
        yield block


@contextmanager
def in_memory(what: str, fix: str = "give fewer wells at once, or use a machine with more") -> Iterator[None]:
    """Report in one line that the memory does not suffice for what the block does.

    Raises:
        UserError: it does not.
    """
    try:
        yield
    except MemoryError:
        raise UserError(f"{what}: not enough memory; {fix}") from None
