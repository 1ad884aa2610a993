"""Read text tables with one row per well, as pycytominer, KNIME and spreadsheets write them."""

from __future__ import annotations

from moa.importing.columns import text_columns
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.profiles import WellTable
from moa.importing.source import Source
from moa.importing.text_tables import parse_text

NAME, ORDER = "csv or tsv", 90  # any text: asked last


def recognises(source: Source) -> bool:
    """Any text, whatever the file is called."""
    return b"\x00" not in source.head or source.head[:2] in (b"\xff\xfe", b"\xfe\xff")


def read(source: Source, options: ImportOptions, notes: Notes) -> WellTable:  # noqa: ARG001
    """Read the table.

    Raises:
        UserError: the file is damaged, or no table.
    """
    table, first_line = parse_text(source, lambda columns: text_columns(columns, options))
    return WellTable(source.name, table, first_line)
