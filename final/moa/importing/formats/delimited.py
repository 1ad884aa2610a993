"""Read text tables with one row per well, as pycytominer, KNIME and spreadsheets write them."""

from __future__ import annotations

from moa.importing.feature_columns import metadata_columns, profiles_of
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.profiles import Profiles
from moa.importing.source import Source
from moa.importing.text_tables import parse_text

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
