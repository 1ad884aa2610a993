"""The page about new plates: its data against the tables, the models and the training data, from any weights."""

import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from moa.blending.blend import BlendSpec, save_blend
from moa.blending.catalogue import plate_blend
from moa.blending.reliability import CAUTION
from moa.data.dataset import read_features
from moa.data.schema import CP_TYPE, TREATED
from moa.data.stored_tables import read_table
from moa.files import read_json
from moa.jobs import plates
from moa.jobs.options import PlateOptions
from moa.jobs.plates import predict_plates
from moa.metrics.pooling import pool
from moa.parallel import Here
from moa.reporting.plates import LACKING, write_plate_page
from moa.weights.trained import open_trained
from support.browser import DESK, PHONE, chromium
from support.demo import copy_models
from support.report_pages import Page
from support.stored import STORED, unpack_store
from support.weights import files

OLD, TWO = "simple-nn-old-cv", "two-heads"
SPEC = BlendSpec(name="two", title="Two <b>", members=[{"model": OLD, "weight": 0.25}, {"model": TWO, "weight": 0.75}])
TABLES = ("compounds", "treatments", "mechanisms")
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def weights(weights_of):
    return weights_of(OLD, TWO)


@pytest.fixture(scope="module")
def plate(dataset, tmp_path_factory):
    """Forty-eight wells of two plates: four replicates of a compound, whose names are not all tame."""
    frame = dataset.test.iloc[:48].copy()
    frame["Metadata_plate"] = np.repeat(["north", f"south {SCRIPT}"], 24)
    frame["Metadata_well"] = [f"{'ABCD'[place // 6]}{place % 6 + 1:02d}" for place in range(24)] * 2
    names = [SCRIPT, *(f"compound {number}" for number in range(11))]
    frame["Metadata_compound"] = np.tile(names, 4)
    frame["Metadata_dose"] = frame["cp_dose"]
    path = tmp_path_factory.mktemp("plates") / "my & plates.csv"
    frame.to_csv(path)
    return path


@pytest.fixture(scope="module")
def folder(plate, weights, tmp_path_factory, moa_command):
    """What the command writes."""
    out = tmp_path_factory.mktemp("written")
    save_blend(SPEC, out / "two.yaml")
    options = ["--features", plate, "--blend", out / "two.yaml", "--weights", weights, "--out", out, "--device", "cpu"]
    assert "plate.html" in moa_command("predict", *options).stdout
    return out


@pytest.fixture(scope="module")
def page(folder):
    return Page((folder / "plate.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def data(page):
    return page.data["plates.js"]


def write_page(path, spec, weights, out, **options):
    result = predict_plates(path, spec, weights, out, PlateOptions(device="cpu", **options), Here())
    return result, Page(write_plate_page(result, result.explained, weights).read_text(encoding="utf-8"))


def test_samples_are_those_of_the_tables(folder, plate, data, weights):
    probabilities = pd.read_csv(folder / "probabilities.csv", index_col="sig_id")
    ranked = pd.read_csv(folder / "ranked.csv").set_index("sig_id")
    frame = read_features(plate)
    members = [open_trained(name, weights).predict(frame) for name in (OLD, TWO)]
    assert [well["id"] for well in data["wells"]] == list(probabilities.index) and len(data["members"]) == 2
    for well in data["wells"]:
        assert ("control" in well) == (frame.loc[well["id"], CP_TYPE] != TREATED)
        if "control" in well:
            continue
        names = [data["targets"][target] for target in well["moa"]]
        lines = ranked.loc[well["id"]]
        assert names == lines["moa"].tolist() and well["strongest"] == lines["strongest_features"].iloc[0]
        np.testing.assert_allclose(well["p"], probabilities.loc[well["id"], names], rtol=6e-3)
        each = np.stack([table.loc[well["id"], names] for table in members])
        np.testing.assert_allclose([well["low"], well["high"]], [each.min(0), each.max(0)], rtol=6e-3, atol=1e-7)


def test_evidence_is_of_the_training_data(plate, data, weights, dataset):
    y = dataset.scored[dataset.treated]
    oof = [open_trained(name, weights).oof().loc[y.index, y.columns].astype(float) for name in (OLD, TWO)]
    mixed = 0.25 * oof[0] + 0.75 * oof[1]
    found = data["reliability"]
    assert found["rows"] == len(y) and found["share"] == 1 and data["targets"] == list(y.columns)
    assert found["positives"] == y.sum().tolist()
    target = int(np.argmax(y.sum()))
    expected = average_precision_score(y.iloc[:, target], mixed.iloc[:, target])
    assert found["ap"][target] == pytest.approx(expected, rel=6e-3)
    high = mixed.iloc[:, target] >= 0.5
    assert (
        found["counts"][target][-1] == high.sum()
        and found["hits"][target][-1] == (high & (y.iloc[:, target] > 0)).sum()
    )
    values, drugs = dataset.features[dataset.treated][list(dataset.schema.values)], dataset.drugs[dataset.treated]
    medians = values.groupby(drugs).median()
    new = read_features(plate)[list(dataset.schema.values)]
    well = next(well for well in data["wells"] if "p" in well)
    cosine = medians @ new.loc[well["id"]] / np.linalg.norm(medians, axis=1) / np.linalg.norm(new.loc[well["id"]])
    names = [data["compounds"][place]["name"] for place in well["near"]]
    assert names[0] == cosine.idxmax()
    np.testing.assert_allclose(well["cosine"], cosine.sort_values(ascending=False)[:5], atol=2e-3)
    moa = [data["targets"][target] for target in data["compounds"][well["near"][0]]["moa"]]
    assert moa == [name for name in y if y.loc[drugs == names[0], name].any()]


def test_the_page_holds_names_as_text_and_stays_small(folder, page, data):
    page.check_self_contained()
    assert (folder / "plate.html").stat().st_size < 500_000 and SCRIPT not in page.text
    assert {well["compound"] for well in data["wells"]} >= {SCRIPT} and data["plates"][1] == f"south {SCRIPT}"
    assert list(page.sections) == ["map", "wells", "compounds", "predicted", "replicates", "about"]
    table = page.table("about")
    assert table["weight"].tolist() == ["0.2500", "0.7500"] and "my &amp; plates.csv" in page.text


def test_the_first_samples_are_covered_and_the_tables_hold_all(plate, weights, tmp_path, monkeypatch):
    _, whole = write_page(plate, plate_blend(OLD), weights, tmp_path / "whole", rows_at_a_time=8)
    monkeypatch.setattr(plates, "MOST_EXPLAINED", 20)
    result, page = write_page(plate, plate_blend(OLD), weights, tmp_path / "part", rows_at_a_time=8)
    assert result.rows == 48 and "covers the first 20 of 48 samples; the tables hold all" in page.text
    short, long = (each.data["plates.js"]["wells"] for each in (page, whole))
    assert [well["id"] for well in short] == [well["id"] for well in long[:20]]
    assert short[19]["p"] == long[19]["p"] and "low" not in short[19], "one model has no spread"
    for name in result.files:
        assert (tmp_path / "part" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_compounds_have_one_answer_with_their_doses(folder, data, plate):
    tables = {name: pd.read_csv(folder / f"{name}.csv", keep_default_na=False) for name in TABLES}
    p = pd.read_csv(folder / "probabilities.csv", index_col="sig_id")
    wells = pd.read_csv(plate, index_col="sig_id")
    treated = wells.index[wells[CP_TYPE] == TREATED]
    pooled = pool(p.loc[treated], wells.loc[treated, "Metadata_compound"])
    first = tables["compounds"].query("rank == 1").set_index("compound")
    assert list(first.index) == list(pooled.index) and (first["moa"] == pooled.idxmax(axis=1)).all()
    np.testing.assert_allclose(first["probability"], pooled.max(axis=1), rtol=1e-4)
    shown = {each["name"]: each for each in data["answers"]["compounds"]}
    assert set(shown) == set(pooled.index) and data["answers"]["left_out"] == 0
    one = shown["compound 3"]
    assert (
        data["targets"][one["moa"][0]] == first.loc["compound 3", "moa"]
        and one["wells"] == first.loc["compound 3", "wells"]
    )
    assert sum(dose["wells"] for dose in one["doses"]) == one["wells"]
    target = data["targets"].index(first["moa"].iloc[0])
    listed = tables["mechanisms"][tables["mechanisms"]["moa"] == data["targets"][target]]
    places = [data["answers"]["compounds"][place]["name"] for place, _, _ in data["answers"]["mechanisms"][target]]
    assert places == listed["compound"].tolist() and listed["probability"].is_monotonic_decreasing
    np.testing.assert_allclose(listed["expected_precision"], listed["probability"].expanding().mean(), rtol=1e-5)


def test_wells_that_were_in_training_show_what_was_predicted_without_them(dataset, weights, tmp_path):
    rows = pd.concat([dataset.features[dataset.treated].iloc[:6], dataset.test[dataset.test_treated].iloc[:6]])
    drug = dataset.drugs[dataset.treated].iloc[-1]
    rows["Metadata_compound"] = [*dataset.drugs[rows.index[:6]], drug.upper(), *["new"] * 5]
    rows.to_csv(tmp_path / "plate.csv")
    result, page = write_page(tmp_path / "plate.csv", SPEC, weights, tmp_path)
    wells = page.data["plates.js"]["wells"]
    assert [well.get("trained") for well in wells] == ["well"] * 6 + ["compound"] + [None] * 5
    oof = [open_trained(name, weights).oof().loc[rows.index[0]].astype(float) for name in (OLD, TWO)]
    mixed = 0.25 * oof[0] + 0.75 * oof[1]
    targets = page.data["plates.js"]["targets"]
    assert targets[wells[0]["moa"][0]] == mixed.idxmax() and wells[0]["p"][0] == pytest.approx(mixed.max(), rel=6e-3)
    assert "low" not in wells[0] and "low" in wells[-1]
    assert "7 samples are of compounds that were in training: marked" in page.text
    samples = pd.read_csv(tmp_path / "samples.csv", keep_default_na=False)
    assert samples["in_training"].tolist() == ["well"] * 6 + ["compound"] + [""] * 5
    assert samples["right_at_distance"].astype(float).between(0, 1).all()
    assert result.files[3:] == ["compounds.csv", "treatments.csv", "mechanisms.csv"]
    assert set(pd.read_csv(tmp_path / "ranked.csv")["caution"].dropna()), (
        "most mechanisms of the demo have few compounds"
    )
    assert all(CAUTION in page.words[section] for section in ("wells", "compounds", "predicted"))
    assert "models" in page.sections["about"][0][0] and "predicted by models" in page.words["about"]
    assert not any("network" in words for words in (*page.words.values(), *page.scripts)), "regression is none"


def test_the_competitions_files_have_no_plates(dataset, weights, tmp_path):
    dataset.test.iloc[:12].to_csv(tmp_path / "test_features.csv")
    _, page = write_page(tmp_path / "test_features.csv", plate_blend(OLD), weights, tmp_path)
    assert list(page.sections) == ["wells", "predicted", "replicates", "about"]
    assert "names no plates and wells" in page.words["wells"] and "No two samples" in page.words["replicates"]
    assert page.data["plates.js"]["wells"][0]["time"] in ("24", "48", "72")


def test_weights_of_an_earlier_version_say_what_they_lack(tmp_path):
    weights = unpack_store(tmp_path / "stored")
    read_table(STORED / "features.parquet").to_csv(tmp_path / "test_features.csv")
    _, page = write_page(tmp_path / "test_features.csv", plate_blend(TWO), weights, tmp_path / "out")
    assert LACKING in page.words["wells"]
    data = page.data["plates.js"]
    assert data["reliability"] is data["compounds"] is None and "near" not in data["wells"][0]
    assert [well for well in data["wells"] if "p" in well]


def test_training_again_adds_what_weights_lack(dataset, weights, data_dir, moa_here, tmp_path):
    copy = copy_models(weights, tmp_path / "weights", OLD)
    before = files(copy)
    key = read_json(copy / OLD / "evidence.json")
    assert key["compounds"] == dataset.drugs[dataset.treated].nunique()
    (copy / OLD / "evidence.json").unlink()
    (copy / "shared" / f"{key['evidence']}.fit").unlink()
    moa_here("train", OLD, "--data", data_dir, "--weights", copy, "--profile", "demo", "--device", "cpu")
    assert files(copy) == before


def test_data_without_compounds(dataset, weights, tmp_path, data_dir, moa_here):
    copy = copy_models(weights, tmp_path / "weights", OLD)
    (copy / OLD / "evidence.json").unlink()
    data = tmp_path / "data"
    shutil.copytree(data_dir, data, ignore=shutil.ignore_patterns("train_drug.csv"))
    moa_here("train", OLD, "--data", data, "--weights", copy, "--profile", "demo", "--device", "cpu")
    assert read_json(copy / OLD / "evidence.json")["compounds"] == 0
    dataset.test.iloc[:12].to_csv(tmp_path / "test_features.csv")
    _, page = write_page(tmp_path / "test_features.csv", plate_blend(OLD), copy, tmp_path)
    assert "name no compounds" in page.words["wells"] and page.data["plates.js"]["reliability"]["rows"] > 0
    assert page.data["plates.js"]["compounds"] is None


def test_controls_alone(dataset, weights, tmp_path):
    controls = dataset.test[~dataset.test_treated].iloc[:3]
    controls.to_csv(tmp_path / "controls.csv")
    _, page = write_page(tmp_path / "controls.csv", SPEC, weights, tmp_path)
    assert all("p" not in well for well in page.data["plates.js"]["wells"])


def test_the_page_in_a_browser(folder, data):
    treated = [well for well in data["wells"] if "p" in well]
    with chromium() as browser:
        browser.open(folder / "plate.html", DESK)
        assert len(browser.all("#map rect.well")) == 24
        names = [option.text for option in browser.all("#map select")[0].find_elements("css selector", "option")]
        assert names == ["north", f"south {SCRIPT}"]
        first = next(well for well in treated if well["plate"] == 0)
        shape = next(
            each for each in browser.all("#map rect.well") if each.get_attribute("aria-label") == first["well"]
        )
        shape.click()
        detail = browser.one("#map .detail").text
        assert data["targets"][first["moa"][0]] in detail and data["compounds"][first["near"][0]]["name"] in detail
        browser.run("arguments[0].dispatchEvent(new PointerEvent('pointermove', {clientX: 9, clientY: 9}))", shape)
        assert first["id"] in browser.one("#tip").text

        most = max(treated, key=lambda well: well["p"][0])
        line = browser.all("#wells tr.item")[0]
        assert data["targets"][most["moa"][0]] in line.text and f"{most['p'][0]:.2f}" in line.text
        browser.one("#wells input[type=search]").send_keys("compound 3")
        assert browser.one("#wells .count").text == "4 of 48 samples"
        assert "south" in browser.one("#wells tbody").text and not browser.all("#wells img, #wells script + *:empty")
        browser.all("#compounds tr.item button")[0].click()
        likely = max(data["answers"]["compounds"], key=lambda each: each["p"][0])
        detail = browser.one("#compounds td.open").text
        assert likely["doses"][0]["name"] in detail and "caution" in browser.one("#compounds").text
        browser.all("#predicted tr.item button")[0].click()
        assert "expected precision" in browser.one("#predicted td.open").text
        browser.all("#replicates tr.item button")[0].click()
        assert browser.all("#replicates td.open tbody tr")
        assert browser.errors() == [] and browser.requests() == []
        browser.open(folder / "plate.html", PHONE)
        width, height = browser.size
        assert width == PHONE[0] and height < 6 * PHONE[1], (width, height)
        assert browser.errors() == []
