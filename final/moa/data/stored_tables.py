"""Tables that this package writes, each row with its sig_id: parquet files, and csv files written in parts."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.csv

from moa.data.schema import SIG_ID
from moa.errors import StoreError, UserError
from moa.files import regular, replacing


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table indexed by sig_id as parquet, atomically."""
    table = table.rename_axis(SIG_ID)
    with replacing(path, int(table.memory_usage().sum())) as temporary:
        # Probabilities rarely repeat: dictionary encoding makes the file a third larger and twice as slow to write.
        table.to_parquet(temporary, use_dictionary=False)


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
    pyarrow.csv.write_csv(pa.Table.from_pandas(table, preserve_index=False), file, options)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if set(name) & set('",\r\n') else name
