"""Sizes that a file declares are compared with what it holds, and with the memory, before anything is allocated."""

import ctypes
import os
from pathlib import Path

import pytest

from moa import memory
from moa.errors import UserError
from moa.memory import available_memory, container_memory, ensure_room, give_back, in_memory, with_room

MB, GB = 10**6, 10**9


def test_what_is_free_is_known():
    assert available_memory() > MB


@pytest.mark.parametrize(
    ("prefix", "limit", "used", "entry"),
    [
        ("", "memory.max", "memory.current", "inactive_file"),
        ("memory/memory.", "limit_in_bytes", "usage_in_bytes", "total_inactive_file"),
    ],
    ids=["v2", "v1"],
)
def test_files_that_a_container_has_read_do_not_count_as_used(tmp_path, prefix, limit, used, entry):
    (tmp_path / "memory").mkdir()
    statistics = tmp_path / ("memory/memory.stat" if prefix else "memory.stat")
    (tmp_path / f"{prefix}{limit}").write_text(f"{8 * GB}\n")
    (tmp_path / f"{prefix}{used}").write_text(f"{7 * GB}\n")
    assert container_memory(tmp_path) == [1 * GB], "without statistics"
    statistics.write_text(f"anon {2 * GB}\nactive_file {1 * GB}\n{entry} {4 * GB}\n")
    assert container_memory(tmp_path) == [5 * GB]
    statistics.write_text("not a table of two columns\n")
    assert container_memory(tmp_path) == [1 * GB]
    (tmp_path / f"{prefix}{limit}").write_text("max\n")
    assert container_memory(tmp_path) == []


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None) if os.name == "posix" else None, "malloc_trim"), reason="needs glibc")
def test_freed_memory_is_given_back():
    """Small blocks between others that stay."""
    blocks = [bytes(50_000) for _ in range(2000)]
    stay, full = blocks[::10], _resident()
    del blocks
    give_back()
    assert full - _resident() > 60 * MB
    assert len(stay) == 200


def _resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_sizes(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 8 * GB)
    ensure_room("a.gctx: 'X'", 60 * MB, 0)
    ensure_room("a.gctx: 'X'", 1 * GB, 10 * MB)
    with pytest.raises(
        UserError, match=r"^a.gctx: 'X' declares 1.0 GB of values and holds 1.0 MB; is the file damaged"
    ):
        ensure_room("a.gctx: 'X'", 1 * GB, 1 * MB)
    with pytest.raises(UserError, match=r"'X' needs about 12.0 GB of memory, and 8.0 GB is free; give fewer wells"):
        ensure_room("a.gctx: 'X'", 3 * GB, 3 * GB)
    monkeypatch.setattr(memory, "available_memory", lambda: None)
    ensure_room("a.gctx: 'X'", 3 * GB, 3 * GB)


def test_what_is_unpacked_is_counted_as_it_comes():
    taken = []
    blocks = with_room((bytes(MB) for _ in range(1000)), "b.gz", 100_000, "")
    with pytest.raises(UserError, match="b.gz declares"):
        taken.extend(map(len, blocks))
    assert len(taken) == 67, "as much as is never asked about"


def test_memory_that_runs_out_is_one_line():
    with pytest.raises(UserError, match=r"^plate.csv: not enough memory; give fewer wells"), in_memory("plate.csv"):
        raise MemoryError
