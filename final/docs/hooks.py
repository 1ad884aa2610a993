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
    command = [sys.executable, "-m", "typer", "moa.cli.commands", "utils", "docs", "--name", "moa"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    summaries = dict(re.findall(r"^#+ `(.+?)`\n\n(.+?)$", text, flags=re.MULTILINE))
    lines, above = [], ""
    for line in text.splitlines():
        if heading := re.fullmatch(r"#+ `(.+)`", line):
            above = heading[1]
        name = re.match(r"\* `([^`-][^`]*)`: ", line)
        below = f"{above} {name[1]}" if name else ""
        if below in summaries:  # typer cuts what it says of a command in the list of a group
            line = f"* [`{name[1]}`](#{below.replace(' ', '-')}): {summaries[below]}"
        lines.append(line)
    return re.sub(r"^#", "##", "\n".join(lines[1:]), flags=re.MULTILINE)
