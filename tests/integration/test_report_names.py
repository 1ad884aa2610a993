"""Names in a report come from files of others: whatever they hold, they are text on the page."""

import numpy as np
import pandas as pd
import pytest

from moa.data.dataset import load_dataset
from moa.data.stored_tables import write_table
from moa.data.synthetic import synthesize
from moa.plots.images import class_panels
from moa.reporting.page import svg
from moa.reporting.report import write_report
from support.browser import chromium
from support.report_pages import Page, fake

SCRIPT, IMAGE = "<script>alert(1)</script>", '"><img src=x onerror=alert(2)>'
MATH = r"$\nonsense{$ & <b>"
#: A folder's name holds no slash.
MODEL = "<script>alert(3)<b>$x^$"
BLEND = "<svg onload=alert(4)> $\\frac$"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A report on data, drugs, models and a blend with such names."""
    folder = tmp_path_factory.mktemp("names")
    data, predictions = folder / "data", folder / "predictions"
    synthesize(data, rows=200, test_rows=20, seed=2)
    scored = pd.read_csv(data / "train_targets_scored.csv", index_col="sig_id")
    common = scored.sum().nlargest(3).index
    names = dict(zip(common, (SCRIPT, IMAGE, MATH), strict=True))
    for name in ("train_targets_scored.csv", "sample_submission.csv", "truth/test_targets_scored.csv"):
        path = data / name
        pd.read_csv(path, index_col="sig_id").rename(columns=names).to_csv(path)
    drugs = pd.read_csv(data / "train_drug.csv", index_col="sig_id")["drug_id"]
    (drugs + SCRIPT).to_csv(data / "train_drug.csv")
    read = load_dataset(data, drugs=True, nonscored=False)
    for seed, name in enumerate((MODEL, "simple-nn-old-cv")):
        write_table(predictions / name / "oof.parquet", fake(read.scored[read.treated], seed))
    (predictions / "own.yaml").write_text(
        f"name: own\ntitle: '{BLEND}'\nmembers: [{{model: '{MODEL}', weight: 1.0}}]\n", encoding="utf-8"
    )
    write_report(data, folder / "weights", predictions, folder)
    return folder


@pytest.fixture(scope="module")
def page(folder):
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_names_are_text(page):
    words = " ".join(page.words.values())
    for name in (SCRIPT, IMAGE, MATH, MODEL, BLEND):
        assert name in words, name
    assert SCRIPT in " ".join(page.table("drugs", 1).index)
    assert "img" not in page.tags and len(page.scripts) == 1
    page.check_self_contained()


def test_names_in_data_are_text(page):
    data = page.data["mechanisms.js"]
    found = {each["name"]: each for each in data["mechanisms"]}
    assert {SCRIPT, IMAGE, MATH} <= set(found) and {MODEL, BLEND} & set(data["predictions"])
    assert all(name.endswith(SCRIPT) for name, *_ in found[SCRIPT]["carriers"])
    raw = page.text.split('id="data-mechanisms.js">')[1].split("</script>")[0]
    assert not set("<>&'") & set(raw), "as the browser's parser sees it"


def test_names_are_text_in_a_browser(folder):
    with chromium() as browser:
        browser.open(folder / "report.html")
        browser.one('nav a[href="#mechanisms"]').click()
        browser.settle()
        browser.one("#mechanisms input[type=search]").send_keys("<script>")
        (line,) = (each for each in browser.all("#mechanisms tr.item button") if each.text == SCRIPT)
        line.click()
        assert SCRIPT in browser.one("#mechanisms td.open").text
        assert not browser.all("td.open img, td.open script") and browser.errors() == []


def test_dollars_in_a_figure_are_dollars():
    image = np.eye(4)
    text = svg(class_panels({"mean $x$": ({MATH: image, SCRIPT: image}, False)}), "f0")
    assert "nonsense{$ &amp; &lt;b&gt;" in text and "<script" not in text and "mean $x$" in text
