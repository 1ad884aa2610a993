"""Errors that a user can fix. The command line prints them without a traceback and exits with status 2."""

from __future__ import annotations

from typing import Any


class UserError(Exception):
    """A mistake in what the user gave; the message names the file, the location and the fix in one line."""

    exit_code = 2


class DataError(UserError):
    """One or more problems in the competition's files.

    Attributes:
        problems: one line each, with file, column, row and what was expected.
    """

    def __init__(self, problems: list[str]):
        self.problems = list(problems)
        count = len(self.problems)
        head = f"{count} problem{'s' if count != 1 else ''} in the data:"
        super().__init__("\n".join([head, *(f"  - {problem}" for problem in self.problems)]))


class StoreError(UserError):
    """A stored file is missing, damaged, or was made with other data, columns or settings."""


def in_words(error: Any, most: int = 3) -> str:
    """What a schema found wrong, in one line: the first few problems, each with its place.

    Args:
        error: a pydantic ``ValidationError``.
        most: number of problems to name.
    """
    problems = [
        ": ".join(filter(None, (".".join(map(str, each["loc"])), each["msg"].removeprefix("Value error, "))))
        for each in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    more = f" and {len(problems) - most} more" if len(problems) > most else ""
    return "; ".join(shown(problem, 200) for problem in problems[:most]) + more


def shown(text: object, most: int = 60) -> str:
    """Text of unknown origin on one line: control characters are escaped, and a long text is cut."""
    line = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in str(text))
    return line if len(line) <= most else f"{line[: most - 3]}..."
