"""Tables that this package writes, each row with its sig_id: parquet files, and csv files written in parts."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from moa.data.schema import SIG_ID
from moa.errors import StoreError, UserError
from moa.files import regular, replacing


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table indexed by sig_id as parquet, atomically."""
    table = table.rename_axis(SIG_ID)
    plain = _with_index(table)
    with replacing(path, int(table.memory_usage().sum()) if plain is None else plain.nbytes) as temporary:
        # Probabilities rarely repeat: dictionary encoding makes the file a third larger and twice as slow to write.
        if plain is not None:
            pyarrow.parquet.write_table(plain, temporary, use_dictionary=False)
        else:
            table.to_parquet(temporary, use_dictionary=False)


def arrow_table(table: pd.DataFrame) -> pa.Table:
    """The columns of a table, without its index and pandas' notes; a missing number becomes null.

    Numbers of one type are taken column by column from one array: ``pa.Table.from_pandas`` takes four to ten times as
    long for hundreds of columns, since it asks pandas for each several times.
    """
    if not _named(table) or table.shape[1] == 0:
        return pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    places: dict[Any, list[int]] = {}
    for place, kind in enumerate(table.dtypes):
        places.setdefault(kind if _numbers(kind) else None, []).append(place)
    found: dict[int, pa.Array] = {}
    for kind, those in places.items():
        part = table if len(places) == 1 else table.iloc[:, those]
        plain = pa.Table.from_pandas(part, preserve_index=False).columns if kind is None else _columns(part)
        found |= zip(those, plain, strict=True)
    names = table.columns.tolist()
    return pa.Table.from_arrays([found[place] for place in range(len(names))], names)


def _named(table: pd.DataFrame) -> bool:
    return isinstance(table.columns.dtype, pd.StringDtype) and table.columns.is_unique


def _numbers(kind: Any) -> bool:
    return isinstance(kind, np.dtype) and kind.kind in "fiu"


def _columns(table: pd.DataFrame) -> list[pa.Array]:
    """The columns of a table whose columns are numbers of one type."""
    values = table.to_numpy()
    return [pa.array(values[:, place], from_pandas=True) for place in range(values.shape[1])]


def _with_index(table: pd.DataFrame) -> pa.Table | None:
    """What ``DataFrame.to_parquet`` would write, to the byte, where all columns are numbers of one type; else None."""
    kinds, index, columns = set(table.dtypes), table.index, table.columns
    named = _named(table) and isinstance(index.dtype, pd.StringDtype)
    if len(kinds) != 1 or not named or table.attrs or not _numbers(next(iter(kinds))):
        return None
    schema = _schema(tuple(columns.tolist()), columns.dtype, columns.name, kinds.pop(), index.dtype, index.name)
    return pa.Table.from_arrays([*_columns(table), pa.array(index, schema.field(-1).type)], schema=schema)


@lru_cache(maxsize=16)
def _schema(names: tuple[Any, ...], labels: Any, title: Any, kind: Any, index: Any, index_title: Any) -> pa.Schema:
    """The schema, with pandas' notes, of a table of these columns and index: the same for all units of a model."""
    columns, rows = pd.Index(names, dtype=labels, name=title), pd.Index([], dtype=index, name=index_title)
    return pa.Schema.from_pandas(pd.DataFrame(index=rows, columns=columns, dtype=kind))


def read_table(path: Path) -> pd.DataFrame:
    """Read a table written by ``write_table``.

    Raises:
        StoreError: the file is missing or damaged, or has no sig_id index.
    """
    try:
        table = pd.read_parquet(regular(path))
    except FileNotFoundError:
        raise StoreError(f"{path}: not found; run `moa predict` first") from None
    except (UserError, MemoryError):
        raise
    except Exception as error:  # pyarrow raises many types of error for a damaged file
        raise StoreError(f"{path}: damaged or not a parquet table ({type(error).__name__}); make it again") from None
    if table.index.name != SIG_ID:
        raise StoreError(f"{path}: has no {SIG_ID} index")
    return table


def append_csv(file: BinaryIO, table: pd.DataFrame, header: bool) -> None:
    """Append a table's rows to a csv file without the index; numbers as the shortest text that reads back equal.

    ``DataFrame.to_csv`` calls Python for every number and takes seven times as long.
    """
    if header:
        file.write((",".join(_quoted(name) for name in table.columns) + "\n").encode())
    text = table.select_dtypes(exclude="number")
    # pyarrow can only quote all text or none.
    special = any(text[column].str.contains('[",\r\n]').any() for column in text)
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed" if special else "none")
    pyarrow.csv.write_csv(arrow_table(table), file, options)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if set(name) & set('",\r\n') else name
