"""Copies of parsed files in the cache folder, so that a file that has not changed is parsed once."""

from __future__ import annotations

import hashlib

import pyarrow as pa
import pyarrow.feather

from moa.environment import cache_folder
from moa.files import replacing

_FORMAT = "2.feather"  # increase the number when parsing changes: older copies are then not used
_HEAD = 64  # length of the sha256 of the rest, in hex, which starts a copy; 64 bytes keep the rest aligned


def recall(key: str) -> pa.Table | None:
    """The cached copy of a parsed file; None if it is absent, damaged or of another version."""
    try:
        with pa.memory_map(str(cache_folder() / f"{key}.{_FORMAT}")) as file:
            copy = file.read_buffer()
        # Feather has no checksum: a flipped bit would be read as another number.
        if hashlib.sha256(copy[_HEAD:]).hexdigest().encode() != copy[:_HEAD].to_pybytes():
            return None
        return pyarrow.feather.read_table(pa.BufferReader(copy[_HEAD:]))
    except Exception:
        return None


def keep(key: str, table: pa.Table) -> None:
    """Write the cached copy of a parsed file; do nothing if that is not possible."""
    try:
        sink = pa.BufferOutputStream()
        pyarrow.feather.write_feather(table, sink, compression="uncompressed")
        body = sink.getvalue()
        with replacing(cache_folder() / f"{key}.{_FORMAT}") as temporary, temporary.open("wb") as file:
            file.write(hashlib.sha256(body).hexdigest().encode())
            file.write(body)
    except (OSError, RuntimeError, pa.ArrowException):
        pass  # the cache cannot be written, or the user has no home folder: next time the file is parsed again
