"""Steps of the build: commands come from the command line itself, pages of notebooks from the notebooks."""

import re
import subprocess
import sys

from mkdocs.structure.files import File

from moa.notebook.pages import as_html, notebooks

MARKER = "<!-- commands -->"


def on_files(files, config, **_):
    """Add the notebooks, with the outputs that they have."""
    for name, path in notebooks().items():
        files.append(File.generated(config, f"notebooks/{name}.html", content=as_html(path)))
    return files


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
