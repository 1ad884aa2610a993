"""A file as it lies on the disk: unpacked if it is gzipped, recognised by what it holds and not by its name."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from moa.errors import UserError

_HEAD = 4096
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
    b"%PDF": "a PDF document; give the table itself",
    b"<!DOCTYPE": "a web page; the download probably failed: fetch the file itself",
    b"<html": "a web page; the download probably failed: fetch the file itself",
    b"version https://git-lfs": "a Git LFS pointer and not the file itself; fetch it with `git lfs pull`",
    b"\x80\x02": "a Python pickle, which can run code when it is read; save it as csv or parquet",
    b"\x80\x03": "a Python pickle, which can run code when it is read; save it as csv or parquet",
    b"\x80\x04": "a Python pickle, which can run code when it is read; save it as csv or parquet",
    b"\x80\x05": "a Python pickle, which can run code when it is read; save it as csv or parquet",
}


class Source:
    """A file to import.

    Args:
        path: the file.

    Raises:
        UserError: it is missing, empty, damaged, or of a kind that is not read.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        #: Called with the share that is read, from 0 to 1, and what is being read.
        self.report: Callable[[float, str], None] = lambda share, what: None
        try:
            with self.path.open("rb") as file:
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
        for first, what in _REFUSED.items():
            if self.head[: len(first)].lower() == first.lower():
                raise UserError(f"{self.name}: {what}")

    @property
    def name(self) -> str:
        """The file's name, for messages."""
        return self.path.name

    @property
    def size(self) -> int:
        """Number of bytes on the disk."""
        return self.path.stat().st_size

    @property
    def stem(self) -> str:
        """The file's name without what follows the first point."""
        return self.name.split(".")[0] or self.name

    def _open(self) -> BinaryIO:
        return gzip.open(self.path) if self.packed else self.path.open("rb")  # type: ignore[return-value]

    def _cut_short(self) -> UserError:
        return UserError(f"{self.name}: the gzip file is damaged or cut short; copy or download it again")

    @cached_property
    def content(self) -> bytes:
        """All bytes, unpacked."""
        try:
            with self._open() as file:
                return file.read()
        except (gzip.BadGzipFile, EOFError, zlib.error):
            raise self._cut_short() from None

    def seekable(self) -> Path | BinaryIO:
        """What h5py and pyarrow can open: the file itself, or its unpacked content."""
        return BytesIO(self.content) if self.packed else self.path

    def text(self) -> str:
        """The content as text with line ends of one kind; see ``decoded``."""
        return decoded(self.content, self.name)


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
