"""Steps of the build: the page of commands comes from the command line itself."""

import re
import subprocess
import sys

MARKER = "<!-- commands -->"


def on_page_markdown(markdown: str, **_) -> str:
    """Put the documentation that typer writes in the place of the marker."""
    return markdown.replace(MARKER, _commands()) if MARKER in markdown else markdown


def _commands() -> str:
    """Every command with its arguments and options, as Markdown below the page's title."""
    command = [sys.executable, "-m", "typer", "moa.cli", "utils", "docs", "--name", "moa"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return re.sub(r"^#", "##", re.sub(r"^# .*\n", "", text, count=1), flags=re.MULTILINE)
