"""Plain technical English: words that this repository does not use, in no text file of it."""

import json
import re
from pathlib import Path

import pytest

from support import ROOT

#: What is not written, and what is written in its place.
BANNED = {
    r"(?<![a-z])told(?![a-z])": "reported, named, distinguished",
    r"process a core": "one process per core",
    r"is there above already": "in the features already",
    r"without tabs too many": "without surplus tabs",
}
PLACES = ("final", "tests", "data/README.md", "README.md", "pyproject.toml", "requirements.txt")
TEXT = {".css", ".html", ".ipynb", ".js", ".json", ".md", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml"}


def text_files():
    for place in (ROOT / each for each in PLACES):
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.suffix in TEXT and path != Path(__file__) and not path.is_symlink() and path.is_file():
                yield path


def words(path):
    """The words of a file in lower case, one blank apart, also where a comment or a cell goes on in another line."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    return re.sub(r"\s+(#:? *)?", " ", text).lower()


@pytest.fixture(scope="module")
def texts():
    return {path.relative_to(ROOT).as_posix(): words(path) for path in text_files()}


def test_every_kind_of_file_is_read(texts):
    assert len(texts) > 500 and "final/moa/words.py" in texts and "README.md" in texts
    assert {Path(name).suffix for name in texts} >= {".py", ".md", ".ipynb", ".html", ".sh", ".yaml"}


@pytest.mark.parametrize("pattern", BANNED)
def test_plain_words_are_used(pattern, texts):
    found = [
        f"{name}: …{text[max(0, match.start() - 40) : match.end() + 40]}…"
        for name, text in texts.items()
        for match in re.finditer(pattern, text)
    ]
    assert found == [], f"write instead: {BANNED[pattern]}"


def test_a_phrase_is_found_over_the_end_of_a_line(tmp_path):
    (tmp_path / "a.py").write_text("# One process a\n    # core, and it was\n#: Told so.\n")
    text = words(tmp_path / "a.py")
    assert [pattern for pattern in BANNED if re.search(pattern, text)] == list(BANNED)[:2]
