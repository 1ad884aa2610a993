"""What has been pushed and submitted, in ``pushed.json`` beside the packed folders."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from moa.files import write_json


class Note(BaseModel):
    """What is known of a folder that was pushed.

    Attributes:
        content: hash of its files.
        version: number that Kaggle gave to a kernel; empty where it is not known.
        submitted: the version that was submitted to the competition; empty where none was.
    """

    model_config = ConfigDict(frozen=True)

    content: str
    version: str = ""
    submitted: str = ""


class Notes:
    """The notes of one packed folder, by the name that Kaggle knows a data set or kernel by."""

    def __init__(self, folder: Path):
        self.file = folder / "pushed.json"
        self._notes: dict[str, Note] = {}
        try:
            found = json.loads(self.file.read_text())
            for name, note in found.items():  # up to version 0.3.0 a note was the hash alone
                self._notes[name] = Note(content=note) if isinstance(note, str) else Note.model_validate(note)
        except (OSError, ValueError, AttributeError):  # it only means that all is pushed again
            self._notes = {}

    def of(self, name: str) -> Note:
        """The note of a data set or kernel; an empty one where there is none."""
        return self._notes.get(name, Note(content=""))

    def write(self, name: str, note: Note) -> None:
        """Keep a note, in the place of an earlier one."""
        self._notes[name] = note
        write_json(self.file, {name: note.model_dump() for name, note in self._notes.items()})
