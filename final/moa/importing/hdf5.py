"""Read HDF5 files, for the formats GCTX and AnnData, by a process of its own that can be ended at any moment.

The process (``moa.importing.hdf5_process``) describes the whole file first, so that links out of the file and sizes are
checked before anything is read.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from moa.errors import UserError
from moa.importing import hdf5_process
from moa.importing.source import HDF5, Source
from moa.memory import ensure_room
from moa.words import listed, shown

#: Processor time of a request in seconds: so much, and a second for so many bytes.
_SECONDS, _BYTES_A_SECOND = 1.0, 20_000_000
#: Memory of the process, Python and libraries included, and of the part that keeps unpacked values.
_MEMORY, _CACHE = 2 << 30, 32 << 20
#: Values read at once.
_BLOCK = 16 << 20
#: An answer longer than this is none.
_LONGEST = 1 << 28
#: Bytes that a text takes in the file at least.
_TEXT = 16


@dataclass(frozen=True)
class Item:
    """An object of an HDF5 file that is not read yet.

    Attributes:
        place: such as "obs/_index".
        shape: of an array; None of a group, and of an array without values.
        kind: "group", "text", the numpy name of a type of numbers, or "other".
        fields: kinds of the fields of an array of records, by name; else None.
        size: bytes of one value.
        stored: bytes that the file holds of the array.
        chunk: shape of the parts that are packed; None where they are not.
        attributes: texts, lists of numbers, and for a reference a dict with the place that it refers to.
    """

    place: str
    shape: tuple[int, ...] | None
    kind: str
    fields: dict[str, str] | None
    size: int
    stored: int
    chunk: tuple[int, ...] | None
    attributes: dict[str, Any]

    @property
    def is_group(self) -> bool:
        """Whether it is a group."""
        return self.kind == "group"

    @property
    def is_numbers(self) -> bool:
        """Whether it is an array of numbers."""
        return self.kind not in ("group", "text", "other") and self.fields is None

    def attribute(self, name: str, default: str = "") -> str:
        """An attribute that is text."""
        value = self.attributes.get(name, default)
        return value if isinstance(value, str) else default


class Hdf5File:
    """A file that a process of its own reads; close it.

    Attributes:
        items: all objects by their place, groups before what is in them; the root's place is "".

    Raises:
        UserError: h5py is not installed, the file is damaged, or it leads out of itself.
    """

    def __init__(self, source: Source):
        self._name = source.name
        if find_spec("h5py") is None:
            raise UserError(f"{source.name}: an HDF5 file needs h5py; install it: pip install h5py")
        if not sys.executable:
            raise UserError(f"{source.name}: an HDF5 file needs a process of its own; run this with Python")
        # Without Python's own start files, which take longer than reading a plate; the folders are those of here.
        command = [sys.executable, "-I", "-S", str(Path(hdf5_process.__file__))]
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # each takes memory, and nothing is computed
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | threads,
        )
        request = {"do": "open", "file": str(source.on_disk), "path": sys.path, "memory": _MEMORY, "cache": _CACHE}
        try:
            self.items = {place: _item(place, found) for place, found in self._ask(request, _SECONDS)["items"].items()}
        except BaseException:
            self.close()
            raise
        self._members: dict[str, list[str]] = {}
        for place in self.items:
            if place:
                self._members.setdefault(place.rpartition("/")[0], []).append(place.rpartition("/")[2])

    def __contains__(self, place: str) -> bool:
        return place in self.items

    def members(self, group: str) -> list[str]:
        """Names of what is in a group, in the file's order."""
        return self._members.get(group, [])

    def numbers(
        self,
        place: str,
        columns: np.ndarray | None = None,
        report: Callable[[float], None] = lambda share: None,
    ) -> np.ndarray:
        """The values of an array of numbers; of a matrix only these ``columns``, where they are given.

        ``report`` is called with the share that is read.

        Raises:
            UserError: it holds other values, is damaged, or does not fit into memory.
        """
        item = self._array(place)
        if not item.is_numbers:
            raise UserError(f"{self._name}: '{place}' holds {_words(item)}; expected numbers")
        shape = item.shape or ()
        row = max(1, prod(shape[1:]) * item.size)
        ensure_room(f"{self._name}: '{place}'", prod(shape) * item.size, item.stored)
        if not shape:
            return self._block(item, 0, 1, row).reshape(())
        width = shape[1:] if columns is None else (len(columns), *shape[2:])
        values = np.empty((shape[0], *width), np.dtype(item.kind).newbyteorder("="))
        at_once = max(1, _BLOCK // row)
        packed = item.chunk[0] if item.chunk else 1
        if packed * row <= 4 * _BLOCK:  # parts that are unpacked whole
            at_once = -(-at_once // packed) * packed
        for first in range(0, shape[0], at_once):
            last = min(first + at_once, shape[0])
            block = self._block(item, first, last, (last - first + 2 * packed) * row)
            values[first:last] = block if columns is None else block[:, columns]
            report(last / shape[0])
        return values

    def texts(self, place: str, field: str | None = None) -> list[str] | np.ndarray:
        """The values of a list as Python texts where it holds text, otherwise as numbers.

        ``field`` is one of an array of records.

        Raises:
            UserError: it is no list, holds values of a kind that is not read, or is damaged.
        """
        item = self._array(place)
        kind = item.kind if field is None else (item.fields or {}).get(field, "other")
        what = f"{self._name}: '{place}'" + (f", field '{shown(field)}'" if field else "")
        if item.shape is None or len(item.shape) > 1:
            raise UserError(f"{what} has the shape {item.shape}; expected one value per row")
        if kind == "other" or (item.fields is not None and field is None):
            raise UserError(f"{what} holds values of a kind that is not read; write them as text or numbers")
        if kind != "text" and field is None:
            return self.numbers(place)
        count = prod(item.shape)
        ensure_room(what, count * max(item.size, _TEXT), item.stored)
        answer, blocks = self._values(item, 0, count, count * max(item.size, _TEXT), field)
        if answer["shape"] != list(item.shape):
            raise self._damaged(place, "other values than declared")
        if kind != "text":
            return np.frombuffer(blocks[0], kind)
        lengths = np.frombuffer(blocks[0], "<i8")
        ends = np.cumsum(lengths)
        if len(lengths) != count or (count and (lengths.min() < 0 or ends[-1] != len(blocks[1]))):
            raise self._damaged(place, "other values than declared")
        return [text_of(bytes(blocks[1][end - size : end])) for end, size in zip(ends, lengths, strict=True)]

    def close(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def _array(self, place: str) -> Item:
        item = self.items.get(place)
        if item is None or item.is_group:
            raise UserError(f"{self._name}: '{place}' is {'missing' if item is None else 'a group'}; expected an array")
        return item

    def _block(self, item: Item, first: int, last: int, touched: int) -> np.ndarray:
        answer, blocks = self._values(item, first, last, touched)
        shape = tuple(answer["shape"])
        if shape[1:] != (item.shape or ())[1:] or len(blocks[0]) != prod(shape) * np.dtype(item.kind).itemsize:
            raise self._damaged(item.place, "other values than declared")
        return np.frombuffer(blocks[0], item.kind).reshape(shape)

    def _values(
        self, item: Item, first: int, last: int, touched: int, field: str | None = None
    ) -> tuple[dict[str, Any], list[bytearray]]:
        request = {"do": "values", "place": item.place, "field": field, "first": first, "last": last}
        answer = self._ask(request, _SECONDS + touched / _BYTES_A_SECOND)
        return answer, [self._read(size) for size in answer["bytes"]]

    def _ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None, "both are pipes"
        place = request.get("place", "")
        try:
            self._process.stdin.write(json.dumps(request | {"seconds": seconds}).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise self._ended(place) from None
        while True:
            line = self._process.stdout.readline(_LONGEST)
            if not line.endswith(b"\n"):
                raise self._ended(place)
            answer = json.loads(line)
            if "at" not in answer:
                break
            place = answer["at"]
        if "reason" not in answer:
            return answer
        if answer.get("lacks"):
            raise UserError(f"{self._name}: an HDF5 file needs h5py; install it: pip install h5py")
        if answer.get("refused"):
            raise UserError(f"{self._name}: '{shown(answer['place'])}': {shown(answer['reason'], 200)}")
        raise self._damaged(place, answer["reason"])

    def _read(self, size: int) -> bytearray:
        assert self._process.stdout is not None, "it is a pipe"
        content = bytearray(size)
        done, view = 0, memoryview(content)
        while done < size:
            count = self._process.stdout.readinto(view[done:])  # type: ignore[attr-defined]
            if not count:
                raise self._ended("")
            done += count
        return content

    def _ended(self, place: str) -> UserError:
        """What to say when the process has ended in the middle of a request."""
        status = self._process.wait()
        if status == -getattr(signal, "SIGPROF", 0):
            return self._damaged(place, "reading it does not end")
        return self._damaged(place, "the HDF5 library failed on it")

    def _damaged(self, place: str, reason: str) -> UserError:
        where = f" at '{shown(place)}'" if place else ""
        return UserError(
            f"{self._name}: the HDF5 file is damaged or cut short{where} ({shown(reason, 100)}); copy or download it "
            "again"
        )


def _item(place: str, found: dict[str, Any]) -> Item:
    if "kind" not in found:
        return Item(place, None, "group", None, 0, 0, None, found["attributes"])
    shape, chunk = (None if found[name] is None else tuple(found[name]) for name in ("shape", "chunk"))
    return Item(
        place, shape, found["kind"], found["fields"], found["size"], found["stored"], chunk, found["attributes"]
    )


def _words(item: Item) -> str:
    """The kind of an array's values, for messages."""
    if item.fields:
        return f"records ({listed(item.fields)})"
    return "values of another kind" if item.kind == "other" else item.kind


def is_hdf5(source: Source) -> bool:
    """Whether a file starts as an HDF5 file does."""
    return source.head.startswith(HDF5)


def opened(source: Source) -> Hdf5File:
    """The open file; it is opened once for a source, and closed with it.

    Raises:
        UserError: as for ``Hdf5File``.
    """
    if source.reader is None:
        source.reader = Hdf5File(source)
    assert isinstance(source.reader, Hdf5File), "nothing else is read so"
    return source.reader


def text_of(raw: bytes) -> str:
    """A text without what fills it up: UTF-8, or else latin-1, in which older programs write µ."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return text.rstrip("\0 ")


def name_of(name: str) -> str:
    """The name of an object as text; in a file it may be of any bytes."""
    return text_of(name.encode("utf-8", "surrogateescape"))
