"""A features file of any size in parts of some rows: csv or parquet, read once and never held in memory as a whole.

A part is the bytes that were read, so that another process can parse and check it.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from io import BufferedIOBase
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from moa.data.assay import COMPETITION, Assay
from moa.data.checks import Unusual, checked_features
from moa.data.csv_files import parse_csv
from moa.data.input_tables import GZIP, PARQUET, from_arrow
from moa.data.problems import Problems
from moa.data.schema import SIG_ID
from moa.errors import UserError
from moa.files import regular
from moa.words import shown

_MIB = 2**20
#: Bytes of a csv file's first line in which sig_id is looked for.
_LONGEST_HEADER = 2**24


@dataclass(frozen=True)
class Part:
    """Some rows of a features file."""

    number: int  # from 0
    first: int  # line number of the first row in a csv file, whose header is line 1; in a parquet file its row number
    content: bytes  # csv text below a copy of the header, or an Arrow stream
    parquet: bool  # whether the file is a parquet file
    size: float  # MiB of the file that these rows take; estimated for a parquet file

    @property
    def digest(self) -> str:
        """A hash of the rows and of where they are in the file."""
        return blake2b(self.content + f"{self.number} {self.first}".encode(), digest_size=16).hexdigest()


def read_parts(features: Path, rows_at_a_time: int) -> Iterator[Part]:
    """Read a file part by part: at least one part, which has no rows where the file has none.

    Raises:
        UserError: the file cannot be read.
    """
    with _open(features) as file:
        if _is_parquet(file):
            yield from _parquet_parts(file, features, rows_at_a_time)
        else:
            yield from _csv_parts(file, rows_at_a_time)


class Parsed(NamedTuple):
    """The rows of a part, as from ``moa.data.dataset.read_features``, then ``Metadata_`` columns as text."""

    rows: pd.DataFrame | None  # None where there are problems
    problems: list[str]  # with their places in the whole file
    notes: list[str]  # on columns that are set aside
    unusual: Unusual


def parse_part(part: Part, name: str, schema: Assay = COMPETITION) -> Parsed:
    """Parse and check the rows of a part of the file ``name``, which must have the columns of the assay ``schema``."""
    problems = Problems(part.first, "row" if part.parquet else "line")
    if part.parquet:
        table = None
        try:
            with pa.ipc.open_stream(part.content) as reader:
                table = from_arrow(name, reader.read_all(), schema.text_columns, problems)
        except (pa.ArrowException, LookupError, TypeError, ValueError) as error:  # text that is none, for example
            problems.append(f"{name}: from row {part.first}: damaged ({shown(error, 100)}); copy the file again")
    else:
        parsed = parse_csv(part.content, name, list(schema.text_columns), problems)
        table = None if parsed is None else parsed.to_pandas()
    rows, unusual = None, Unusual()
    if table is not None:
        rows, metadata, unusual = checked_features(name, table, problems, schema)
        rows = None if rows is None else rows.join(metadata)
    return Parsed(None if problems else rows, list(problems), problems.notes, unusual)


def file_size(features: Path) -> int:
    """Size in MiB, rounded up; of a packed file, unpacked.

    Raises:
        UserError: the file cannot be read.
    """
    with _open(features) as file:
        if isinstance(file, gzip.GzipFile):
            with features.open("rb") as packed:
                packed.seek(-4, 2)  # a gzip file ends with its size, modulo 4 GiB
                return int.from_bytes(packed.read(4), "little") // _MIB + 1
        return file.seek(0, 2) // _MIB + 1


def id_hashes(ids: Iterable[str]) -> np.ndarray:
    """A 64-bit hash of each sig_id, shape (rows,): 8 bytes instead of the text."""
    digests = (blake2b(sig_id.encode(), digest_size=8).digest() for sig_id in ids)
    return np.frombuffer(b"".join(digests), np.int64)


class SeenIds:
    """Finds ids that were added before, by their hashes; 8 bytes per id."""

    def __init__(self) -> None:
        self._runs: list[np.ndarray] = []  # sorted, each at least twice as long as the next

    def add(self, hashes: np.ndarray) -> np.ndarray:
        """Whether each of ``hashes`` was added by an earlier call, same shape; adds them."""
        again = np.zeros(len(hashes), bool)
        for run in self._runs:
            places = np.minimum(np.searchsorted(run, hashes), len(run) - 1)
            again |= run[places] == hashes
        if len(hashes):
            self._runs.append(np.sort(hashes))
        while len(self._runs) > 1 and len(self._runs[-2]) < 2 * len(self._runs[-1]):
            self._runs.append(np.sort(np.concatenate([self._runs.pop(), self._runs.pop()]), kind="stable"))
        return again


def _csv_parts(file: BufferedIOBase, rows_at_a_time: int) -> Iterator[Part]:
    """Parts of some lines, each below a copy of the header."""
    header = file.readline()
    first, number = 2, 0
    while True:
        lines = list(islice(file, rows_at_a_time))
        # Blank lines are an error between rows but not at the end of the file, so a part must not end in one.
        while lines and not lines[-1].strip() and (more := file.readline()):
            lines.append(more)
        if number and not any(line.strip() for line in lines):
            return
        text = b"".join(lines)
        yield Part(number, first, header + text, False, len(text) / _MIB)
        if not lines:
            return
        first, number = first + len(lines), number + 1


def _parquet_parts(file: BufferedIOBase, features: Path, rows_at_a_time: int) -> Iterator[Part]:
    try:
        # Otherwise the whole file is read ahead, and kept in memory to the end.
        table = pyarrow.parquet.ParquetFile(file, pre_buffer=False, buffer_size=_MIB)
        # Without pandas' own metadata an index is a column like the others.
        schema = table.schema_arrow.remove_metadata()
        size, rows, done, number = file.seek(0, 2) / _MIB, max(table.metadata.num_rows, 1), 0, 0
        for batch in table.iter_batches(rows_at_a_time):
            yield Part(number, done + 1, _arrow(batch, schema), True, size * batch.num_rows / rows)
            done, number = done + batch.num_rows, number + 1
        if not number:
            yield Part(0, 1, _arrow(schema.empty_table(), schema), True, size)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = shown(" ".join(str(error).split()), 100)
        raise UserError(f"{features}: the parquet file is damaged or cut short ({reason}); copy it again") from None


def _arrow(rows: pa.RecordBatch | pa.Table, schema: pa.Schema) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write(rows.replace_schema_metadata(None))
    return sink.getvalue().to_pybytes()


def is_features_file(features: Path, schema: Assay) -> bool:
    """Whether a file is a features file of this project, by its header; otherwise it is a laboratory's own file.

    A table without sig_id that has the columns of controls and conditions counts as one, and so does a file that is
    damaged, empty or has another separator: reading it reports what is wrong.

    Raises:
        UserError: the file cannot be read.
    """
    marks = {*schema.control_columns, *schema.condition_columns}
    with _open(features) as file:
        if _is_parquet(file):
            try:
                names = set(pyarrow.parquet.ParquetFile(file).schema_arrow.names)
            except (pa.ArrowException, OSError, ValueError):
                return True
        else:
            header = file.readline(_LONGEST_HEADER)
            if not header.strip():
                return True
            plain = re.sub(rb"[\"\s\xef\xbb\xbf]", b"", re.sub(rb"\t", b",", header))
            names = {name.decode("utf-8", "replace") for name in re.split(rb"[,;|]", plain)}
    return SIG_ID in names or (bool(marks) and marks <= names)


def _is_parquet(file: BufferedIOBase) -> bool:
    start = file.read(len(PARQUET))
    file.seek(0)
    return start == PARQUET


def _open(features: Path) -> BufferedIOBase:
    try:
        file = regular(features).open("rb")
        packed = file.read(2) == GZIP
        file.seek(0)
        return gzip.open(file) if packed else file
    except FileNotFoundError:
        raise UserError(f"{features}: not found; give a csv file with the columns of test_features.csv") from None
    except OSError as error:
        raise UserError(f"{features}: cannot be read ({error.strerror})") from None
