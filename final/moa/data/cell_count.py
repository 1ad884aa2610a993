"""The cell count of each well, where a column says it: how many cells live explains much of many benchmarks."""

from __future__ import annotations

import re

import pandas as pd

_COUNT = re.compile(
    r"(cells?|nuclei|nucleus)(counts?|number)|(n|num|numberof|number|counts?|countof)(cells?|nuclei|objects?)"
)
#: Words before the count that say no more than where it was taken.
_BEFORE = re.compile(r"^(metadata|image|well|relative|mean|total|cells|nuclei)")


def is_cell_count(name: str) -> bool:
    """Whether a column's name says that it holds the number of cells, such as "Metadata_Count_Cells"."""
    plain = re.sub("[^a-z]", "", name.lower())
    while not _COUNT.fullmatch(plain):
        shorter = _BEFORE.sub("", plain)
        if shorter == plain:
            return False
        plain = shorter
    return True


def cell_count(*tables: pd.DataFrame) -> pd.Series | None:
    """The first column with cell counts of the first table that has one.

    Args:
        tables: what is known of the wells, and their features, each indexed by sig_id.

    Returns:
        numbers, indexed as that table; None where no table has such a column.
    """
    for table in tables:
        for name in table:
            if is_cell_count(str(name)):
                found = pd.to_numeric(table[name], errors="coerce")
                if found.notna().any() and found.nunique() > 1:
                    return found
    return None
