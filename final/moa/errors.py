"""Errors that a user can fix. The command line prints them without a traceback and exits with status 2."""

from __future__ import annotations


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
