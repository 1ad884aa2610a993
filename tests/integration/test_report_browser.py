"""The report in a real browser: search, sort, filters, what is shown of a mechanism, and its size on a phone."""

import pytest

from moa.data.dataset import load_dataset
from moa.data.stored_tables import write_table
from moa.reporting.measures import measures
from moa.reporting.report import write_report
from moa.reporting.sections import SECTIONS
from support.browser import DESK, PHONE, chromium
from support.report_pages import Page, fake, write_weights

OLD, NEW = "simple-nn-old-cv", "simple-nn-new-cv"


@pytest.fixture(scope="module")
def path(data_dir, tmp_path_factory):
    """A report on two models, without the nearest neighbours, which take longest."""
    folder = tmp_path_factory.mktemp("report")
    data = load_dataset(data_dir, drugs=True, nonscored=False)
    treated = data.scored[data.treated]
    for seed, name in enumerate((OLD, NEW)):
        write_table(folder / "predictions" / name / "oof.parquet", fake(treated, seed))
        write_weights(folder / "weights", name, fake(treated, seed))
    sections = [section for section in SECTIONS if section is not measures]
    return write_report(data_dir, folder / "weights", folder / "predictions", folder, sections)


@pytest.fixture(scope="module")
def found(path):
    """The mechanisms of the page, by name."""
    data = Page(path.read_text(encoding="utf-8")).data["mechanisms.js"]
    return {each["name"]: each for each in data["mechanisms"]}


@pytest.fixture(scope="module")
def opened():
    with chromium() as browser:
        yield browser


@pytest.fixture
def browser(opened, path):
    opened.open(path, DESK)
    opened.one('nav a[href="#mechanisms"]').click()
    opened.settle()
    yield opened
    assert opened.errors() == [] and opened.requests() == []


def names(browser):
    return [each.text for each in browser.all("#mechanisms tr.item .name button")]


def choose(browser, label, option):
    """Choose an option of a list by what stands there."""
    path = f"//section[@id='mechanisms']//label[normalize-space(text())='{label}']//option[.='{option}']"
    browser.driver.find_element("xpath", path).click()


def test_search_finds_mechanisms_and_compounds(browser, found):
    search = browser.one("#mechanisms input[type=search]")
    assert browser.one("#mechanisms .count").text == "206 mechanisms" and len(names(browser)) == 20
    search.send_keys("AGONIST")
    expected = {name for name in found if "agonist" in name}
    assert browser.one("#mechanisms .count").text == f"{len(expected)} of 206 mechanisms"
    assert set(names(browser)) <= expected
    assert len(browser.all("#mechanisms circle.dot:not(.dim)")) < len(browser.all("#mechanisms circle.dot"))
    search.clear()
    compound = next(each["carriers"][0][0] for each in found.values() if each["carriers"])
    search.send_keys(compound)
    assert set(names(browser)) == {name for name, each in found.items() if compound in [c[0] for c in each["carriers"]]}
    search.clear()
    search.send_keys("no such mechanism")
    assert names(browser) == []


@pytest.mark.parametrize(("label", "key"), [("log loss", "log_loss"), ("ROC-AUC", "auc"), ("gain", "gain")])
def test_sorting_by_heading_and_by_list(browser, found, label, key):
    known = sorted((each[key] for each in found.values() if each[key] is not None), reverse=True)
    heading = next(each for each in browser.all("#mechanisms th button") if each.text == label)
    heading.click()
    assert [found[name][key] for name in names(browser)] == known[:20]
    heading = next(each for each in browser.all("#mechanisms th button") if each.text == label)
    heading.click()
    assert [found[name][key] for name in names(browser)] == known[::-1][:20]
    choose(browser, "Sort by", "mechanism")
    assert names(browser) == sorted(found)[:20]
    more = browser.one("#mechanisms button.more")
    more.click()
    assert len(names(browser)) == 120


def test_filters(browser, found):
    choose(browser, "Show", "most likely by mistake")
    expected = {name for name, each in found.items() if each["false_first"]}
    assert browser.one("#mechanisms .count").text == f"{len(expected)} of 206 mechanisms" and 0 < len(expected) < 206
    choose(browser, "Show", "better than prevalence")
    choose(browser, "Prevalence", "over 1 %")
    expected = {name for name, each in found.items() if each["gain"] and each["gain"] > 0 and each["prevalence"] > 0.01}
    assert set(names(browser)) <= expected
    assert browser.one("#mechanisms .count").text == f"{len(expected)} of 206 mechanisms" and expected


def test_what_is_shown_of_a_mechanism(browser, found):
    name = max(found, key=lambda each: found[each]["positives"])
    browser.one("#mechanisms tr.item .name button").click()
    detail, each = browser.one("#mechanisms td.open").text, found[name]
    assert names(browser)[0] == name
    assert f"Of {each['covered']} rows with this mechanism it is the most likely one in {each['hits'][0]}" in detail
    assert f"Compounds that carry it: {len(each['carriers'])}" in detail and each["carriers"][0][0] in detail
    assert f"{each['log_loss']:.5f}" in detail
    dot = browser.all("#mechanisms td.open circle.dot")[-1]
    browser.run("arguments[0].dispatchEvent(new PointerEvent('pointermove', {clientX: 5, clientY: 5}))", dot)
    assert "on average" in browser.one("#tip").text
    browser.run("arguments[0].dispatchEvent(new PointerEvent('pointerleave'))", dot)
    assert not browser.one("#tip").is_displayed()
    browser.one("#mechanisms tr.item .name button").click()
    assert not browser.all("#mechanisms td.open")


def test_a_dot_of_the_chart_opens_its_mechanism(browser, found):
    dot = browser.all("#mechanisms circle.dot")[3]
    browser.run("arguments[0].dispatchEvent(new PointerEvent('pointermove', {clientX: 5, clientY: 5}))", dot)
    name = browser.one("#tip").text.splitlines()[0]
    assert name in found
    browser.run("arguments[0].dispatchEvent(new MouseEvent('click'))", dot)
    line = browser.one("#mechanisms td.open").find_element("xpath", "../preceding-sibling::tr[1]")
    assert name in line.text


def test_at_first_one_section_is_open_and_the_menu_fits(opened, path):
    for size in (DESK, PHONE):
        opened.open(path, size)
        assert len(opened.all("details.fold[open]")) == 1 and len(opened.all("details.fold")) > 5
        places = [opened.run("return arguments[0].getBoundingClientRect().right", each) for each in opened.all("nav a")]
        assert max(places) <= size[0], "no entry is out of sight"


def test_on_a_phone_it_is_short_and_sections_open_when_asked_for(opened, path):
    opened.open(path, PHONE)
    width, height = opened.size
    assert width == PHONE[0], "nothing makes the page wider than the screen"
    assert height < 5 * PHONE[1], height
    assert len(opened.all("details.fold[open]")) == 1
    opened.run("document.querySelector('nav a[href=\"#mechanisms\"]').click()")
    opened.settle()
    assert opened.one("#mechanisms details.fold").get_attribute("open") and len(names(opened)) == 20
    visible = [each.text for each in opened.all("#mechanisms th") if each.is_displayed()]
    assert len(visible) == 3, visible
    choose(opened, "Sort by", "gain")
    visible = [each.text for each in opened.all("#mechanisms th") if each.is_displayed()]
    assert any("gain" in each for each in visible), "what it is sorted by is shown"
    opened.one("#mechanisms tr.item .name button").click()
    assert opened.size[0] == PHONE[0]
    assert opened.errors() == [] and opened.requests() == []


def test_on_a_phone_captions_stay_in_sight(opened, path):
    opened.open(path, PHONE)
    opened.run("document.querySelectorAll('details').forEach(each => each.open = true)")
    opened.settle()
    wide = "return [...document.querySelectorAll('.scroll')].filter(each => each.scrollWidth > each.clientWidth)"
    tables = [each for each in opened.run(wide) if each.find_elements("css selector", "caption")]
    assert len(tables) >= 3, "these are wider than their place"
    for table in tables:
        for _ in range(2):
            caption = table.find_element("css selector", "caption")
            left, right = opened.run(
                "const place = arguments[0].getBoundingClientRect(); return [place.left, place.right]", caption
            )
            assert 0 <= left < right <= PHONE[0], (caption.text, left, right)
            opened.run("arguments[0].scrollLeft = arguments[0].scrollWidth", table)


def test_the_page_is_small(path):
    assert path.stat().st_size < 2_000_000
