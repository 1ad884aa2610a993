"""Collect what an import guessed, dropped and set aside, to print it and to store it with the data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from moa.words import counted, listed

#: Kinds of notes, in the order in which they are printed.
KINDS = GUESSED, DROPPED, ASIDE, NOTED = "guessed", "dropped", "set aside", "noted"


@dataclass(frozen=True)
class Note:
    """One thing the user should know."""

    kind: str  # one of ``KINDS``
    text: str  # a sentence without its full stop
    items: tuple[str, ...] = ()  # all wells, features or compounds that it is about

    def line(self, shown: int = 3) -> str:
        """The note in one line, naming at most ``shown`` items."""
        return f"{self.kind}: {self.text}" + (f": {listed(self.items, shown)}" if self.items else "")


class Notes(list[Note]):
    """The notes of one import, in the order of its steps.

    A note takes the items that it is about; a note about no items is left out, one without items (None) is not. Their
    number with a ``noun`` starts the text, if there is one.
    """

    def guessed(self, text: str, items: Iterable[Any] | None = None, noun: str = "") -> None:
        """Something was inferred that the user could have stated; the text names the option."""
        self._add(GUESSED, text, items, noun)

    def dropped(self, text: str, items: Iterable[Any] | None = None, noun: str = "") -> None:
        """Wells, features or targets are not in the data folder."""
        self._add(DROPPED, text, items, noun)

    def aside(self, text: str, items: Iterable[Any] | None = None, noun: str = "") -> None:
        """Columns, rows or wells are kept but not used for training."""
        self._add(ASIDE, text, items, noun)

    def noted(self, text: str, items: Iterable[Any] | None = None, noun: str = "") -> None:
        """What was done, or what looks unusual."""
        self._add(NOTED, text, items, noun)

    def _add(self, kind: str, text: str, items: Iterable[Any] | None, noun: str) -> None:
        named = () if items is None else tuple(map(str, items))
        note = Note(kind, f"{counted(len(named), noun)} {text}" if noun else text, named)
        if (named or items is None) and note not in self:  # the same note on several files is made once
            self.append(note)

    def lines(self, shown: int = 3) -> list[str]:
        """All notes, one line each, sorted by kind."""
        return [note.line(shown) for kind in KINDS for note in self if note.kind == kind]

    @property
    def plain(self) -> list[dict[str, Any]]:
        """The notes as JSON."""
        return [{"kind": note.kind, "text": note.text, "items": list(note.items)} for note in self]
