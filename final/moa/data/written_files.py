"""What an import wrote, with sizes and hashes: noted in its record, and compared by ``moa data check``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from moa.errors import DataError, StoreError, in_words
from moa.files import read_json, regular, sha256
from moa.words import shown

#: The record of an import in its data folder.
RECORD = "import.json"


class WrittenFile(BaseModel):
    """A file of a data folder, as it was written.

    Attributes:
        name: in the folder.
        size: bytes.
        sha256: 64 hex digits.
    """

    model_config = ConfigDict(frozen=True)

    name: Annotated[str, Field(pattern=r"^[^/\\:\x00-\x1f.][^/\\:\x00-\x1f]*$", max_length=255)]
    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class _Record(BaseModel):
    written: list[WrittenFile] | None = None  # None: of a version that did not note them


def written_files(folder: Path) -> list[dict[str, Any]]:
    """What the record says of the files of a folder; the record itself is left out."""
    return [
        WrittenFile(name=path.name, size=path.stat().st_size, sha256=sha256(path)).model_dump()
        for path in sorted(folder.iterdir())
        if path.name != RECORD
    ]


def check_written(folder: Path) -> None:
    """Compare the files of a folder with the record of the import that wrote them, where there is one.

    Raises:
        DataError: the record is damaged, or files are missing or have changed.
    """
    path = Path(folder) / RECORD
    if not os.path.lexists(path):
        return
    again = "import the plates again, or remove import.json if the change is yours"
    try:
        record = _Record.model_validate(read_json(path))
    except StoreError as error:
        raise DataError([str(error).replace("delete it and train again", "import the plates again")]) from None
    except ValidationError as error:
        raise DataError([f"{path}: not as `moa data import` writes it ({in_words(error)}); {again}"]) from None
    problems = []
    for file in record.written or ():
        there = Path(folder) / file.name
        name = shown(file.name)
        if not there.is_file():
            problems.append(f"{name}: missing, and {RECORD} lists it; {again}")
        elif (size := regular(there).stat().st_size) != file.size:
            problems.append(f"{name}: has {size:,} bytes, and {file.size:,} were imported; {again}")
        elif sha256(there) != file.sha256:
            problems.append(f"{name}: its content is not what was imported (sha256 differs); {again}")
    if problems:
        raise DataError(problems)
