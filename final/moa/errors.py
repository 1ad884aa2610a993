"""Errors that a user can fix. The command line prints them without a traceback and exits with status 2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from moa.words import counted, listed, printable, shown, size_in_words


class UserError(Exception):
    """A mistake in what the user gave; the message names the file, the location and the fix in one line.

    Several arguments are several lines. Control characters, which cells and names of files can hold, become escapes.
    """

    exit_code = 2

    def __str__(self) -> str:
        return "\n".join(printable(str(line)) for line in self.args)


class DataError(UserError):
    """One or more problems in the competition's files.

    Attributes:
        problems: one line each, with file, column, row and what was expected.
    """

    def __init__(self, problems: list[str]):
        self.problems = list(problems)
        super().__init__(self.problems)  # an argument, so that an error of another process keeps them

    def __str__(self) -> str:
        head = f"{counted(len(self.problems), 'problem')} in the data:"
        return "\n".join([head, *(f"  - {printable(problem)}" for problem in self.problems)])


class StoreError(UserError):
    """A stored file is missing, damaged, or was made with other data, columns or settings."""


class WriteError(UserError, OSError):
    """Something could not be written: the disk is full, or the folder is read-only.

    It is an ``OSError`` too, like the error that it replaces, so that a caller can do without a cache, for example.

    Attributes:
        path: what could not be written.
        reason: in words.
        needed: bytes that it takes; None where that does not matter, or is not known.
        free: bytes that are left.
        partly: whether ``needed`` is only what was written before the disk was full.
        kept: what is kept, in words.
        errno: the operating system's number of the reason, given as ``number``.
    """

    def __init__(
        self,
        path: Path | str,
        reason: str,
        needed: int | None = None,
        free: int | None = None,
        partly: bool = False,
        kept: str = "what was there before is kept",
        number: int | None = None,
    ):
        self.path, self.reason, self.kept = Path(path), reason, kept
        self.needed, self.free, self.partly = needed, free, partly
        room, fix = "", "give a folder that can be written"
        if free is not None:
            fix = "make room"
            least = "more than" if partly else "about"
            room = f" ({size_in_words(free)} free" + (f", {least} {size_in_words(needed)} needed)" if needed else ")")
        super().__init__(f"{path}: cannot be written, {reason}{room}; {kept}; {fix}, and run the same command again")
        self.errno = number

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self.reason, self.needed, self.free, self.partly, self.kept, self.errno)

    def during(self, kept: str, times: int = 1) -> WriteError:
        """The same error in a larger task: ``kept`` says what is kept, ``times`` such parts are still to be written."""
        needed = self.needed and self.needed * times
        return WriteError(self.path, self.reason, needed, self.free, self.partly, kept, self.errno)


def in_words(error: Any, most: int = 3) -> str:
    """What a pydantic ``ValidationError`` reports, in one line: the first ``most`` problems, each with its place."""
    problems = [
        ": ".join(filter(None, (".".join(map(str, each["loc"])), each["msg"].removeprefix("Value error, "))))
        for each in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    return listed([shown(problem, 200) for problem in problems], most, "; ")
