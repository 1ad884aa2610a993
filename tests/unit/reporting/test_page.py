"""Tables of the page, and the page as one file that needs nothing else."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from moa.plots.charts import INK, SERIES
from moa.reporting.page import Card, Details, Figures, Section, Table, Text, View, rounded, svg, versions, write_page
from support.report_pages import Page


def test_table_marks_the_best_of_the_rows_that_count():
    frame = pd.DataFrame({"model": ["a", "b", "c", "d"], "loss": [0.3, 0.1, np.nan, 0.2]})
    table = Table.of(frame, {"loss": ".1f"}, lowest=["loss"], quiet=[1])
    assert table.best == {(3, 1)} and table.numbers == {1}
    assert [row[1] for row in table.rows] == ["0.3", "0.1", "–", "0.2"]
    assert not Table.of(frame.iloc[:1], {"loss": ".1f"}, lowest=["loss"]).best, "one row alone is no best"
    with pytest.raises(dataclasses.FrozenInstanceError):
        table.caption = "other"


def page_of(tmp_path, *blocks):
    sections = [Section("first", "First", "lead", list(blocks))]
    path = write_page(tmp_path / "page.html", "A <title>", Text("banner"), ["1 fact"], [Card("a", "1")], sections)
    return Page(path.read_text(encoding="utf-8"))


def test_a_page_holds_its_data_and_the_scripts_of_its_views_once(tmp_path):
    text = "</script><b>&"
    page = page_of(tmp_path, View("map", {"names": [text, None, 0.5]}), View("wells"), View("replicates"))
    page.check_self_contained()
    assert page.data == {"plates.js": {"names": [text, None, 0.5]}} and "<b>&" not in page.text
    (script,) = page.scripts
    assert script.count("page.views.map =") == script.count("function list(") == 1 and "views.mechanisms" not in script
    assert "A &lt;title&gt;" in page.text
    with pytest.raises(ValueError, match="not JSON compliant"):
        page_of(tmp_path, View("map", {"value": float("nan")}))
    plain = page_of(tmp_path, Text("<b>words</b>"))
    assert "page.views.map =" not in plain.scripts[0] and "&lt;b&gt;words" in plain.text


def test_figures_take_the_colours_of_the_page_and_keep_their_ids_apart(tmp_path):
    figure = Figure(figsize=(2, 1))
    axes = figure.subplots()
    axes.plot([0, 1], color=SERIES[1])
    axes.set_title("words", color=INK)
    drawing = svg(figure, "f0")
    assert drawing.startswith("<svg") and "var(--series-2)" in drawing and "var(--ink)" in drawing
    assert SERIES[1] not in drawing and ">words<" in drawing and 'style="max-width:144pt"' in drawing
    page = page_of(tmp_path, Figures([(figure, "one"), (figure, "two")]))
    identities = [value for _, name, value in page.attributes if name == "id"]
    assert len(identities) == len(set(identities)) and {each[:3] for each in identities} > {"f0-", "f1-"}


def test_numbers_are_rounded_and_versions_are_hidden():
    assert rounded(0.123456) == 0.123 and rounded(123456.0, 2) == 120000 and rounded(float("nan")) is None
    assert rounded(np.array([1.2345, np.inf])) == [1.23, None]
    assert versions({"numpy": "2", "pandas": "3"}) == [Details("Versions", [Text("numpy 2, pandas 3")])]
    assert versions({}) == []
