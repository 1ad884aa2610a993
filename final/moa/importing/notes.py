"""What an import guessed, dropped and set aside: told to the user and stored with the data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from moa.words import listed

#: Kinds of notes, in the order in which they are told.
GUESSED, DROPPED, ASIDE, NOTED = "guessed", "dropped", "set aside", "noted"
KINDS = (GUESSED, DROPPED, ASIDE, NOTED)
_SHOWN = 3


@dataclass(frozen=True)
class Note:
    """One thing the user should know.

    Attributes:
        kind: one of ``KINDS``.
        text: a sentence without its full stop.
        items: all wells, features or compounds that it is about.
    """

    kind: str
    text: str
    items: tuple[str, ...] = ()

    def line(self, shown: int = _SHOWN) -> str:
        """The note in one line, naming at most ``shown`` items."""
        return f"{self.kind}: {self.text}" + (f": {listed(self.items, shown)}" if self.items else "")


class Notes(list[Note]):
    """The notes of one import, in the order of its steps."""

    def guessed(self, text: str, items: Iterable[Any] = ()) -> None:
        """Something was inferred that the user could have stated; the text names the option."""
        self._add(GUESSED, text, items)

    def dropped(self, text: str, items: Iterable[Any] = ()) -> None:
        """Wells, features or targets are not in the data folder."""
        self._add(DROPPED, text, items)

    def aside(self, text: str, items: Iterable[Any] = ()) -> None:
        """Columns, rows or wells are kept but not used for training."""
        self._add(ASIDE, text, items)

    def noted(self, text: str, items: Iterable[Any] = ()) -> None:
        """What was done, or what looks unusual."""
        self._add(NOTED, text, items)

    def _add(self, kind: str, text: str, items: Iterable[Any]) -> None:
        note = Note(kind, text, tuple(str(item) for item in items))
        if note not in self:  # the same remark on several files is made once
            self.append(note)

    def lines(self, shown: int = _SHOWN) -> list[str]:
        """All notes, a line each, sorted by kind."""
        return [note.line(shown) for kind in KINDS for note in self if note.kind == kind]

    @property
    def plain(self) -> list[dict[str, Any]]:
        """The notes as JSON."""
        return [{"kind": note.kind, "text": note.text, "items": list(note.items)} for note in self]
