"""The documentation site is built without a warning; links, quoted messages and figures of pages are right."""

import re
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from click.testing import CliRunner

from moa.environment import FINAL
from moa.models.registry import recipes
from support import ROOT
from support.pages import DOCS, PAGES, README, links, prose

pytest.importorskip("mkdocs", reason="builds the documentation")


class Page(HTMLParser):
    """What a built page links to, loads, and can be linked at."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loads, self.anchors = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors |= {found["id"]} if "id" in found else set()
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        elif tag in ("img", "script") and found.get("src"):
            self.loads.append(found["src"])
        elif tag == "link" and found.get("rel") in ("stylesheet", "icon"):
            self.loads.append(found["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    from mkdocs.__main__ import cli

    folder = tmp_path_factory.mktemp("site")
    command = ["build", "--strict", "-f", str(FINAL / "mkdocs.yml"), "-d", str(folder)]
    done = CliRunner().invoke(cli, command, env={"NO_MKDOCS_2_WARNING": "1"})
    assert done.exit_code == 0 and "Documentation built" in done.output and "WARNING" not in done.output, done.output
    return folder


@pytest.fixture(scope="module")
def built(site):
    return {path.name: Page(path.read_text(encoding="utf-8")) for path in site.glob("*.html")}


def test_every_page_is_built_and_wrong_links_are_warnings(built):
    assert {f"{page.stem}.html" for page in PAGES if page != README} <= built.keys()
    checked = yaml.safe_load((FINAL / "mkdocs.yml").read_text(encoding="utf-8"))["validation"]
    assert {each for group in checked.values() for each in group.values()} == {"warn"} and "anchors" in checked["links"]


def test_links_between_built_pages_lead_somewhere(built, site):
    broken = []
    for name, page in built.items():
        if name == "404.html":  # its links are absolute, since it is shown at any address
            continue
        for link in (*page.links, *page.loads):
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = unquote(parts.path) or name
            known = built.get(target)
            if not (site / target).exists() or (parts.fragment and known and parts.fragment not in known.anchors):
                broken.append(f"{name}: {link}")
    assert not broken and len(built["python.html"].links) > 50


def test_nothing_is_fetched_from_the_network_to_read_it(built):
    assert not [f"{name}: {link}" for name, page in built.items() for link in page.loads if urlsplit(link).scheme]


def test_the_reference_shows_commands_and_functions(built, site):
    assert {"moa-train", "moa-data-import", "moa-kaggle-package"} <= built["commands.html"].anchors
    assert {"moa.train", "moa.load", "moa.predict", "moa.score", "moa.report"} <= built["python.html"].anchors
    assert "moa.models.base.Recipe" in built["building-blocks.html"].anchors
    listed = {link.split("#")[1] for link in built["commands.html"].links if link.startswith("#moa-")}
    assert {"moa-train", "moa-data-import"} <= listed, "typer's cut summaries are replaced"
    assert "...</li>" not in (site / "commands.html").read_text(encoding="utf-8")


def test_links_of_the_readme_lead_somewhere(built):
    broken = []
    for link in links(README):
        parts = urlsplit(link)
        if parts.scheme:
            continue
        path = ROOT / unquote(parts.path)
        if not path.exists() or not path.resolve().is_relative_to(ROOT):
            broken.append(link)
        elif parts.fragment:
            anchors = built[f"{path.stem}.html"].anchors if path.parent == DOCS else headings(README)
            broken += [] if parts.fragment in anchors else [link]
    assert not broken


def headings(page):
    """The anchors that a page's headings get where it is shown."""
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_to_other_sites_are_well_formed(page):
    for link in links(page):
        parts = urlsplit(link)
        if parts.scheme:
            assert parts.scheme == "https" and re.fullmatch(r"[\w.-]+\.[a-z]{2,}", parts.netloc), link


def test_weights_of_the_blends_are_those_of_the_published_files():
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in prose(DOCS / "solution.md").splitlines()]
    rows = [row for row in cells if len(row) == 3 and row[0] in recipes()]
    for column, blend in ((1, "Best LB"), (2, "Best CV")):
        members = yaml.safe_load((FINAL / blend / "blend.yaml").read_text(encoding="utf-8"))["members"]
        shown = {row[0]: float(row[column]) for row in rows if row[column]}
        assert shown == {each["model"]: each["weight"] for each in members}


def test_messages_of_troubleshooting_are_the_packages():
    quoted = re.findall(r"^- \*([^*]+)\*", prose(DOCS / "troubleshooting.md"), re.MULTILINE)
    source = "\n".join(path.read_text(encoding="utf-8") for path in sorted(FINAL.glob("moa/**/*.py")))
    source = re.sub(r'"\s*\n\s*f?"', "", source)  # strings that go on in the next line
    assert len(quoted) > 5
    assert not [text for text in quoted if not all(part.strip() in source for part in text.split("…"))]


def test_environment_variables_are_all_explained():
    shown = set(re.findall(r"^\| `(MOA_\w+)` \|", prose(DOCS / "troubleshooting.md"), re.MULTILINE))
    read = set(re.findall(r'^_?[A-Z_]+ = "(MOA_\w+)"', (FINAL / "moa" / "environment.py").read_text(), re.MULTILINE))
    assert read and shown >= read
