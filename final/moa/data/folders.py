"""The folder of a data set: whether it is there, and how to get one."""

from __future__ import annotations

from pathlib import Path

from moa.errors import UserError
from moa.whole_folders import put_back

#: How a data folder is made.
_MADE = (
    "make one: `moa data import PLATES --out DIR` (of your own plates), `moa data synthesize DIR` (made up) or "
    "`moa data download DIR` (the competition's)"
)


def check_data_folder(folder: Path | str) -> None:
    """Check that a data folder is there; one that a killed import left aside is put back.

    Raises:
        UserError: it is not, or is a file; says how to get one.
    """
    folder = Path(folder)
    put_back(folder)
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: a file, where the folder of a data set is expected; {_MADE}")
    if not folder.exists():
        raise UserError(f"{folder}: there is no such folder; name one that holds data, or {_MADE}")
