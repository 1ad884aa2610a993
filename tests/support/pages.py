"""The pages that people read: README.md and the sources of the documentation site."""

import re
from pathlib import Path
from typing import NamedTuple

from support import ROOT

README = ROOT / "README.md"
DOCS = ROOT / "final" / "docs"
PAGES = (README, *sorted(DOCS.glob("*.md")))
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    text: str


def blocks(page: Path, *languages: str) -> list[Block]:
    """The fenced blocks of a page, in its order; all of them, or those of some languages."""
    found = [Block(*each) for each in _FENCE.findall(page.read_text(encoding="utf-8"))]
    return [each for each in found if not languages or each.language in languages]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> list[str]:
    """Targets of the links and pictures of a page."""
    return re.findall(r"\]\(([^)\s]+(?: [^)\s]+)*)\)", prose(page))
