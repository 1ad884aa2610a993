"""Parts of sentences that messages share: lists that are cut, numbers with their nouns, sizes, and unknown text."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


def listed(items: Iterable[Any], most: int = 3, joint: str = ", ", count: int | None = None) -> str:
    """The first ``most`` items, with ``joint`` between them, and the number of the others: "a, b, c and 4 more".

    ``count`` is the number of all items, where ``items`` are only the first.
    """
    items = list(items)
    rest = (len(items) if count is None else count) - most
    return joint.join(map(str, items[:most])) + (f" and {rest:,} more" if rest > 0 else "")


def counted(number: int, noun: str) -> str:
    """A number with its noun: "1 well", "1,200 wells"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size_in_words(size: int) -> str:
    """A size in bytes as people read it."""
    amount, unit = float(size), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if unit == "bytes" or amount >= 100 else f"{amount:.1f} {unit}"


def printable(text: str, kept: str = "") -> str:
    """Text with control characters as escapes, so that it cannot steer a terminal; ``kept`` are those that stay."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in kept else each.encode("unicode_escape").decode() for each in text
    )


def shown(text: object, most: int = 60) -> str:
    """Text of unknown origin on one line: control characters are escaped, and a long text is cut."""
    line = printable(str(text))
    return line if len(line) <= most else f"{line[: most - 3]}..."


def unknown(name: str, known: Iterable[str]) -> str:
    """The name, that it is unknown, and the known ones that are nearly the same."""
    near = _similar(name, known)
    return f"'{shown(name)}' is unknown" + (f" (did you mean {' or '.join(near)}?)" if near else "")


def not_named(what: str, name: str, known: Iterable[str], own: str) -> str:
    """That nothing is named so; the known names that are nearly the same, or else all of them.

    Args:
        what: what could be named so, such as "model or blend".
        name: what was typed.
        known: the names that there are.
        own: how one is given that has no such name.
    """
    known = list(known)
    near = [f"'{each}'" for each in _similar(name, known)]
    choice = f"did you mean {' or '.join(near)}?" if near else f"choose one of: {', '.join(known)}"
    return f"no {what} is named '{shown(name)}'; {choice} ({own})"


def _similar(name: str, known: Iterable[str]) -> list[str]:
    return get_close_matches(name.lower(), list(known), n=2)
