"""Parquet files as tables, whatever they hold."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from moa.errors import UserError
from moa.importing.source import Source


def read_frame(source: Source) -> pd.DataFrame:
    """The table as it is, index columns among its columns.

    Raises:
        UserError: the file is damaged, has no rows, or names a column twice.
    """
    try:
        stream = source.seekable()
        # Without pandas' own metadata an index is a column like the others.
        table = pyarrow.parquet.read_table(stream).replace_schema_metadata(None)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0][:100]
        raise UserError(f"{source.name}: the parquet file is damaged or cut short ({reason}); copy it again") from None
    names = table.column_names
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{source.name}: column '{twice}' occurs twice; give each its own name")
    if not table.num_rows:
        raise UserError(f"{source.name}: holds columns and no rows")
    return table.to_pandas()
