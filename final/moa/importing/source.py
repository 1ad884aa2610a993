"""Open a file to import: unpacked if it is gzipped, recognised by its content and not by its name."""

from __future__ import annotations

import gzip
import re
import tempfile
import zlib
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import pandas as pd
import pyarrow.parquet

from moa.errors import UserError
from moa.files import regular, writing
from moa.importing.fields import refuse_repeated
from moa.memory import ensure_room, with_room
from moa.words import shown

_HEAD, _BLOCK = 4096, 1 << 20
_FEWER = "give fewer plates at once"
#: Bytes of a value in a parquet table, once it is read.
_VALUE = 8
HDF5 = b"\x89HDF\r\n\x1a\n"
#: Files that are not read, by their first bytes: what they are, and what to do.
_REFUSED = {
    b"PK\x03\x04": "a zip archive or an Excel workbook; unpack it, or save the sheet as csv",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save the sheet as csv",
    b"BZh": "packed by bzip2; unpack it or pack it with gzip",
    b"\xfd7zXZ": "packed by xz; unpack it or pack it with gzip",
    b"\x28\xb5\x2f\xfd": "packed by zstd; unpack it or pack it with gzip",
    b"7z\xbc\xaf": "a 7-Zip archive; unpack it",
    b"ARROW1": "an Arrow file (feather); save it as parquet",
    b"FEA1": "a feather file; save it as parquet",
    b"RDX": "an R workspace; write a csv file with R",
    b"X\n\x00\x00\x00": "an R object (RDS); write a csv file with R",
    b"SQLite format 3": "an SQLite database (CellProfiler's?); aggregate it to a table with one row per well",
    b"%PDF": "a PDF document; give the table itself",
    **dict.fromkeys((b"<!DOCTYPE", b"<html"), "a web page; the download probably failed: fetch the file itself"),
    b"version https://git-lfs": "a Git LFS pointer and not the file itself; fetch it with `git lfs pull`",
    **dict.fromkeys(
        (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"),
        "a Python pickle, which can run code when it is read; save it as csv or parquet",
    ),
}


class Reader(Protocol):
    """What reads a file in a process of its own."""

    def close(self) -> None:
        """End the process."""


class Source:
    """A file to import.

    Raises:
        UserError: it is missing, empty, damaged, or of a kind that is not read.

    Close it when it is read.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        #: The file's name, for messages.
        self.name = self.path.name
        #: Called with the share that is read, from 0 to 1.
        self.report: Callable[[float], None] = lambda share: None
        #: The open file, where it is HDF5; see ``moa.importing.hdf5.opened``.
        self.reader: Reader | None = None
        try:
            with regular(self.path).open("rb") as file:
                self.packed = file.read(2) == b"\x1f\x8b"
            with self._open() as file:
                self.head = file.read(_HEAD)
        except FileNotFoundError:
            raise UserError(f"{self.path}: not found") from None
        except IsADirectoryError:
            raise UserError(f"{self.path}: a folder; name the files in it") from None
        except (gzip.BadGzipFile, EOFError, zlib.error):
            raise self._cut_short() from None
        except OSError as error:
            raise UserError(f"{self.path}: cannot be read ({error.strerror})") from None
        if not self.head.strip():
            raise UserError(f"{self.name}: the file is empty; copy or download it again")
        if self.head.startswith(b"PK\x03\x04") and b".npy" in self.head[:200]:
            raise UserError(
                f"{self.name}: arrays of NumPy in one file (.npz); save that of the wells as .npy, beside a table of "
                "its rows"
            )
        if re.match(rb'(?:\xef\xbb\xbf)?\s*(?:\{\s*["}]|\[\s*[\[{"\]])', self.head):
            raise UserError(f"{self.name}: JSON; save it as a table: csv or parquet, with one row per well")
        for first, what in _REFUSED.items():
            if self.head[: len(first)].lower() == first.lower():
                raise UserError(f"{self.name}: {what}")

    def _open(self) -> BinaryIO:
        return cast(BinaryIO, gzip.open(self.path)) if self.packed else self.path.open("rb")

    def _cut_short(self) -> UserError:
        return UserError(f"{self.name}: the gzip file is damaged or cut short; copy or download it again")

    def close(self) -> None:
        """End what reads the file, and remove what was unpacked on disk."""
        if self.reader is not None:
            self.reader.close()
            self.reader = None
        if "on_disk" in self.__dict__ and self.packed:
            self.on_disk.unlink(missing_ok=True)

    def _blocks(self) -> Iterator[bytes]:
        """The content, unpacked, block by block.

        Raises:
            UserError: it is damaged, or does not fit into memory.
        """
        size = self.path.stat().st_size
        what = f"{self.name}: {'unpacked, ' if self.packed else ''}the file"
        ensure_room(what, size, size, _FEWER)
        try:
            with self._open() as file:
                yield from with_room(iter(partial(file.read, _BLOCK), b""), what, size, _FEWER)
        except (gzip.BadGzipFile, EOFError, zlib.error):
            raise self._cut_short() from None

    @cached_property
    def content(self) -> bytes:
        """All bytes, unpacked."""
        return b"".join(self._blocks())

    @cached_property
    def on_disk(self) -> Path:
        """The file itself; of a packed one a copy without its packing, which ``close`` removes."""
        if not self.packed:
            return self.path.absolute()
        handle, name = tempfile.mkstemp(".unpacked")
        path = Path(name)
        try:
            with writing(path), open(handle, "wb") as copy:
                copy.writelines(self._blocks())
        except BaseException:
            path.unlink()
            raise
        return path

    def lines(self) -> Iterator[bytes]:
        """The lines of a text file without their ends, of which there are several kinds."""
        rest = b""
        for block in self._blocks():
            whole = rest + block
            rest = whole[-1:] if whole.endswith(b"\r") else b""  # its other half may be in the next block
            *lines, last = _line_ends(whole[: len(whole) - len(rest)]).split(b"\n")
            yield from lines
            rest = last + rest
        yield from _line_ends(rest).split(b"\n")

    def text(self) -> str:
        """The content as text with line ends of one kind; see ``decoded``."""
        return decoded(b"".join(self._blocks()), self.name)  # not ``content``, which would stay in memory

    def frame(self) -> pd.DataFrame:
        """The table of a parquet file as it is, index columns among its columns.

        Raises:
            UserError: the file is damaged, has no rows, or names a column twice.
        """
        try:
            file = pyarrow.parquet.ParquetFile(BytesIO(self.content) if self.packed else self.path)
            declared = file.metadata.num_rows * file.metadata.num_columns * _VALUE
            ensure_room(f"{self.name}: the table", declared, self.path.stat().st_size)
            # Without pandas' own metadata an index is a column like the others.
            table = file.read().replace_schema_metadata(None)
            table.validate(full=True)  # the library reads texts of any bytes, and fails later
            names = table.column_names
            found = table.to_pandas()
        except (UserError, MemoryError):
            raise
        except Exception as error:  # pyarrow raises many types of error for a damaged file
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise UserError(
                f"{self.name}: the parquet file is damaged or cut short ({shown(reason, 100)}); copy it again"
            ) from None
        refuse_repeated(names, f"{self.name}: column", "give each its own name")
        if not len(found):
            raise UserError(f"{self.name}: holds columns and no rows")
        return found


def _line_ends(content: bytes) -> bytes:
    return content.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in content else content


def decoded(content: bytes, name: str) -> str:
    """Bytes of a text file: UTF-8, UTF-16 with its mark, or else latin-1, in which older tables are written.

    Raises:
        UserError: it is no text.
    """
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = content.decode("utf-16", "replace")
    elif b"\x00" in content[:_HEAD]:
        raise UserError(
            f"{name}: neither text nor HDF5 nor parquet; expected GCT, GCTX, csv, tsv, parquet or .h5ad, also gzipped"
        )
    else:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")
