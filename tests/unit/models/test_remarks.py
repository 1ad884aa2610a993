"""Published figures say what they contain: marks beside them, and a footnote for each mark, wherever they stand."""

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from moa.blending.blend import BlendSpec, load_blend
from moa.blending.catalogue import BLENDS
from moa.environment import FINAL
from moa.learners.two_heads.settings import AFTER
from moa.models.registry import package_recipes, recipe
from moa.models.remarks import Remark, footnotes
from moa.weights.trained import Trained

FIVE, TWO_HEADS, V2 = "three-stage-nn-5fold", "two-heads", "two-heads-v2"
#: What stands beside a published figure, and in which pages of the notebooks a model's own is in the text.
LEAKY, CLIPPED = Remark.LEAKY.value, Remark.CLIPPED.value
PAGES = (FINAL.parent / "README.md", *sorted((FINAL / "notebooks").rglob("*.md")))
#: The figures with remarks, in each number of digits that is printed.
FIGURES = {"0.01589": LEAKY, "0.01566": LEAKY, "0.015660": LEAKY, "0.015107": LEAKY, "0.01561": CLIPPED}


def blend(name):
    return load_blend(BLENDS[name])


def test_figures_after_phase_3_and_of_clipped_predictions_are_marked():
    marks = {name: model.published.remarks for name, model in package_recipes().items()}
    assert {name for name, found in marks.items() if Remark.LEAKY in found} == {TWO_HEADS, V2}
    assert {name for name, found in marks.items() if Remark.CLIPPED in found} == {FIVE}, "not the one of ten folds"
    assert recipe(FIVE).cv_text == "0.01561 (treated) §" and recipe(V2).cv_text == "0.01566 (treated) ‡"


def test_a_blend_leaks_where_the_figure_of_a_member_does():
    assert blend("best-cv").oof_text == "0.015107 (treated) ‡" and blend("best-lb").oof_text == "–"
    assert not blend("best-lb").remarks, "nothing was published of its OOF"
    members = [{"model": FIVE, "weight": 1.0}, {"model": V2, "weight": 0.0}]
    spec = BlendSpec(name="mix", title="Mix", members=members, published={"oof": 0.015})
    assert spec.oof_text == "0.015 (treated)", "without a weight it is not in it"


def test_there_is_one_footnote_for_each_mark():
    corrected, leaky, clipped = footnotes([*package_recipes().values(), blend("best-cv")])
    assert corrected.startswith("† The winners printed") and "207 columns" in corrected
    figures = "0.01589 (2-heads ResNet) and 0.01566 (2-heads ResNet V2) and 0.015107 (Best CV, of 2-heads ResNet V2)"
    assert leaky.startswith("‡ After phase 3, which was fitted on the validation fold") and figures in leaky
    assert clipped.startswith("§") and "to [0.0005, 0.9995] for 0.01561 (3-stage NN (5 folds))" in clipped
    assert footnotes([recipe("simple-nn-old-cv"), recipe("three-stage-nn-10fold"), blend("best-lb")]) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_mark_the_figures_and_explain_the_marks(page):
    text = page.read_text(encoding="utf-8")
    for figure, mark in FIGURES.items():
        places = [text[found.end() :] for found in re.finditer(rf"(?<!\d){re.escape(figure)}(?!\d)", text)]
        assert all(after.startswith(f" {mark}") for after in places), figure
        footnote = {LEAKY: r"‡ .*phase 3.*validation\s+fold", CLIPPED: r"§ .*clipped"}[mark]
        assert not places or re.search(footnote, text, re.DOTALL), mark


@pytest.mark.parametrize("name", [TWO_HEADS, V2, FIVE])
def test_the_page_of_a_model_shows_its_figure(name):
    (mark,) = (remark.value for remark in recipe(name).published.remarks)
    text = (FINAL / "notebooks" / "models" / f"{name}.md").read_text(encoding="utf-8")
    assert f"CV {recipe(name).published.cv} {mark}" in text


def test_the_readme_shows_every_published_score_with_its_marks():
    rows = {}
    for line in PAGES[0].read_text(encoding="utf-8").splitlines():
        cells = [cell.strip().replace("*", "") for cell in line.strip("|").split("|")]
        if len(cells) == 5:
            rows[re.sub(r", \d models|[(),]", "", cells[0])] = cells[1]
    for model in package_recipes().values():
        marks = [remark.value for remark in model.published.remarks]
        cell = rows[re.sub(r"[(),]", "", model.title)]
        assert cell.startswith(f"{model.published.cv:.5f}") and re.findall("[†‡§]", cell) == marks, model.title
    assert rows["Best CV"] == "0.015107 ‡" and rows["Best LB"] == "–"


def stored(folder, name, *variants):
    """A trained model with two units: OOF of 0 to 1, and of 0.25 in each of the variants that its units have."""
    trained = Trained(recipe(name), folder)
    units = dict(zip(trained.last.units()[:2], variants, strict=True))
    rows = pd.Index(["id_1", "id_2"], name="sig_id")
    table = pd.DataFrame({"a": [0.0, 0.5], "b": [0.5, 1.0]}, rows)
    trained.store = SimpleNamespace(
        has_unit=lambda stage, seed, fold: (seed, fold) in units,
        unit_facts=lambda stage, seed, fold: SimpleNamespace(variants=units[seed, fold]),
        load_oof=lambda stage, seed, fold, variant: table * 0 + 0.25 if variant in units[seed, fold] else table,
        stage=lambda name: SimpleNamespace(targets=["a", "b"]),
        check_once=lambda *_: None,
    )
    return trained


def test_predictions_are_made_as_the_published_figure_has_them(tmp_path):
    leaky = stored(tmp_path, V2, [AFTER], [AFTER])
    assert (leaky.oof_as_published() == 0.25).all(axis=None) and leaky.oof().iloc[0, 1] == 0.5
    clipped = stored(tmp_path, FIVE, [], []).oof_as_published()
    assert clipped.to_numpy() == pytest.approx(np.array([[0.0005, 0.5], [0.5, 0.9995]]))
    assert stored(tmp_path, V2, [AFTER], []).oof_as_published() is None, "one was trained with phase 3 on other rows"
    assert stored(tmp_path, "three-stage-nn-10fold", [], []).oof_as_published() is None
    assert stored(tmp_path, "two-stage-nn-tabnet", [], []).oof_as_published() is None
