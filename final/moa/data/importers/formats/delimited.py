"""Text tables with one row a well: csv, tsv and semicolons, as pycytominer, KNIME and spreadsheets write them."""

from __future__ import annotations

from moa.data.importers.notes import Notes
from moa.data.importers.options import ImportOptions
from moa.data.importers.profiles import Profiles
from moa.data.importers.source import Source
from moa.data.importers.tables import parse_text
from moa.data.importers.tabular import metadata_columns, profiles_of

NAME, ORDER = "csv or tsv", 90  # any text: asked last


def recognises(source: Source) -> bool:
    """Any text, whatever the file is called."""
    return b"\x00" not in source.head or source.head[:2] in (b"\xff\xfe", b"\xfe\xff")


def read(source: Source, options: ImportOptions, notes: Notes) -> Profiles:
    """Read the table.

    Raises:
        UserError: the file is damaged, or no table of profiles.
    """
    table, first_line = parse_text(source, lambda columns: metadata_columns(columns, options))
    return profiles_of(source.name, table, options, notes, first_line)
