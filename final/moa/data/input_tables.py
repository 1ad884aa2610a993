"""Find and read a table of a data folder: csv, packed csv or parquet, by the file's content and not by its name.

Columns that laboratories and programs add (row numbers, ``Metadata_`` columns) are set aside with a note, see
``set_aside``. A csv file that has not changed is parsed once: a copy of what was parsed is kept in the cache folder.
Tables that this package writes are in ``moa.data.stored_tables``.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import zlib
from collections.abc import Collection, Iterable
from functools import partial
from io import BytesIO, RawIOBase
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet

from moa.data.csv_files import METADATA, MOST_COLUMNS, parse_csv, too_wide
from moa.data.problems import COLUMNS_SHOWN, Problems
from moa.data.schema import SIG_ID
from moa.environment import cache_folder
from moa.errors import UserError
from moa.files import digest, regular, replacing
from moa.memory import ensure_room, with_room
from moa.words import listed, shown

#: The first bytes of a parquet file, and of a file that is packed with gzip.
PARQUET, GZIP = b"PAR1", b"\x1f\x8b"
_SPLIT = "use a machine with more"
_FORMAT = "2.feather"  # of a copy; increase the number when parsing changes: older copies are then not used
_HEAD = 64  # length of the sha256 of the rest, in hex, which starts a copy; 64 bytes keep the rest aligned
#: Names that pandas and spreadsheets give to the column of row numbers.
_INDEX = re.compile(r"|index|level_0|Unnamed: ?\d+(_level_\d+)?")


def find_table(folder: Path, name: str) -> Path:
    """The file of a data folder that holds a table: ``name``, packed as ``name.gz``, or parquet instead of csv.

    Returns:
        the first that exists, even if it is a link that leads nowhere; ``folder / name`` if none does.
    """
    folder = Path(folder)
    candidates = [folder / name, folder / f"{name}.gz", (folder / name).with_suffix(".parquet")]
    return next((path for path in candidates if os.path.lexists(path)), candidates[0])


def has_table(folder: Path, name: str) -> bool:
    """Whether a data folder has a table of that name; a link that leads nowhere counts, so that it is reported."""
    return os.path.lexists(find_table(folder, name))


def read_input_table(path: Path, text_columns: Iterable[str], problems: Problems) -> tuple[pd.DataFrame | None, str]:
    """Read a csv file, a csv file packed with gzip, or a parquet file; ``text_columns`` hold text, all others numbers.

    Returns:
        the table, with a sig_id column (None if it cannot be read), and the file's sha256.
    """
    path = Path(path)
    try:
        ensure_room(f"{path.name}: the file", regular(path).stat().st_size, fix=_SPLIT)
        raw = path.read_bytes()
    except UserError as error:
        problems.append(str(error))
        return None, ""
    except FileNotFoundError:
        problems.append(_missing(path))
        return None, ""
    except OSError as error:
        problems.append(f"{path}: cannot be read ({error.strerror})")
        return None, ""
    fingerprint = hashlib.sha256(raw).hexdigest()
    if not raw.startswith(PARQUET):
        parsed = _read_csv(path.name, raw, fingerprint, sorted(text_columns), problems)
        del raw  # otherwise the file is in memory three times: as bytes, in Arrow's format and as a data frame
        table = None if parsed is None else parsed.to_pandas()
        del parsed
        pa.default_memory_pool().release_unused()  # of Arrow's own pool, which would keep it
        return table, fingerprint
    try:
        file = pyarrow.parquet.ParquetFile(BytesIO(raw))
        columns = len(file.schema_arrow.names)
        if columns > MOST_COLUMNS:
            problems.append(too_wide(path.name, columns))
            return None, fingerprint
        return from_arrow(path.name, file.read(), text_columns, problems), fingerprint
    except MemoryError:
        raise
    except Exception as error:  # pyarrow raises many types of error for a damaged file
        reason = shown(" ".join(str(error).split()), 100)
        problems.append(f"{path.name}: a parquet file that is damaged or cut short ({reason}); copy it again")
        return None, fingerprint


def _missing(path: Path) -> str:
    """What to say of a file that is missing."""
    if path.is_symlink():
        return f"{path}: a link to {os.readlink(path)}, which points to nothing; repair the link or remove it"
    packed = sorted(path.parent.glob("*.zip")) if path.parent.is_dir() else []
    if packed:
        return f"{path}: missing; unpack {packed[0].name}, which lies beside it, in {path.parent}"
    unpacked = sorted(path.parent.glob(f"*/{path.name}")) if path.parent.is_dir() else []
    if unpacked:
        return f"{path}: missing; there is one in {unpacked[0].parent}: give that folder, or move its files up"
    return f"{path}: missing; see data/README.md for how to get it"


def _read_csv(name: str, content: bytes, sha256: str, text_columns: list[str], problems: Problems) -> pa.Table | None:
    """The table of a csv file, or the cached copy from the last time it was parsed; None if it cannot be read."""
    key = digest(sha256, text_columns)
    copy = _recall(key)
    if copy is not None:
        return copy
    if content.startswith(GZIP):
        try:
            with gzip.open(BytesIO(content)) as file:
                blocks = iter(partial(file.read, 1 << 20), b"")
                content = b"".join(with_room(blocks, f"{name}: unpacked, the file", len(content), _SPLIT))
        except (OSError, EOFError, zlib.error):
            problems.append(f"{name}: a gzip file that is damaged or cut short; copy it again")
            return None
    table = parse_csv(content, name, text_columns, problems)
    if table is not None:
        _keep(key, table)
    return table


def _recall(key: str) -> pa.Table | None:
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


class _Body(RawIOBase):
    """What follows the hash in a cached copy, with its own hash; written at once, without a buffer of all of it."""

    def __init__(self, file: BinaryIO):
        super().__init__()
        self.hash = hashlib.sha256()
        self._file = file
        file.write(bytes(_HEAD))

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell() - _HEAD  # Arrow notes places in the body

    def write(self, block: Any) -> int:
        self.hash.update(block)
        return self._file.write(block)


def _keep(key: str, table: pa.Table) -> None:
    """Write the cached copy of a parsed file; do nothing if that is not possible."""
    try:
        with replacing(cache_folder() / f"{key}.{_FORMAT}") as temporary, temporary.open("wb") as file:
            body = _Body(file)
            pyarrow.feather.write_feather(table, body, compression="uncompressed")
            file.seek(0)
            file.write(body.hash.hexdigest().encode())
    except (OSError, RuntimeError, pa.ArrowException):
        pass  # the cache cannot be written, or the user has no home folder: next time the file is parsed again


def from_arrow(name: str, table: pa.Table, text_columns: Iterable[str], problems: Problems) -> pd.DataFrame | None:
    """A table of a parquet file, with a sig_id column; these columns and ``Metadata_`` columns are text."""
    table.validate(full=True)  # the library reads texts of any bytes, and fails later
    text = set(text_columns)
    for place, field in enumerate(table.schema):
        if (field.name in text or field.name.startswith(METADATA)) and not pa.types.is_string(field.type):
            table = table.set_column(place, field.name, table.column(place).cast(pa.string()))
    found = table.to_pandas()
    if found.index.name == SIG_ID:
        found = found.reset_index()
    if problems.repeated(name, found.columns):
        return None
    if SIG_ID not in found:
        problems.append(f"{name}: missing column '{SIG_ID}'")
    elif not len(found):
        problems.append(f"{name}: holds columns and no rows")
    else:
        return found
    return None


def set_aside(
    name: str,
    table: pd.DataFrame,
    known: Collection[str],
    problems: Problems,
    strict: bool = True,
    carried: bool = False,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Take out the columns that are not part of a table but often come with it, with a note for each kind.

    The columns ``known`` belong to the table, besides sig_id. With ``strict``, other columns stay in it, where they are
    reported as unknown; without, they are set aside too. ``carried`` says that ``Metadata_`` columns are copied into
    the outputs.

    Returns:
        the table without them, and its ``Metadata_`` columns, same rows, without an index of sig_ids.
    """
    own = {SIG_ID, *known}
    others = [column for column in table.columns.tolist() if column not in own]
    numbers = [name for name in others if _INDEX.fullmatch(name) and pd.api.types.is_integer_dtype(table[name])]
    described = [column for column in others if column.startswith(METADATA)]
    named = {*numbers, *described}
    rest = [] if strict else [column for column in others if column not in named]
    if numbers:
        problems.note(f"{name}: {_quoted(numbers)} holds row numbers (an index saved with the table): set aside")
    if described:
        copied = " and copied into the outputs" if carried else ""
        problems.note(f"{name}: {METADATA} columns are set aside{copied}: {_quoted(described)}")
    if rest:
        problems.note(f"{name}: columns that the assay does not have are set aside: {_quoted(rest)}")
    return table.drop(columns=[*numbers, *described, *rest]), table[described]


def _quoted(columns: list[str]) -> str:
    return ("column " if len(columns) == 1 else "") + listed((f"'{column}'" for column in columns), COLUMNS_SHOWN)
