"""The report: its figures against the metrics, any part of the models, nothing from outside the page."""

import dataclasses
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.metrics import log_loss as sklearn_log_loss

from moa.data.dataset import load_dataset
from moa.data.folds import SMALL_DRUG_ROWS
from moa.data.stored_tables import write_table
from moa.errors import UserError
from moa.metrics.correlation import prediction_correlation
from moa.metrics.losses import column_log_loss, competition_log_loss, log_loss, prevalence_baseline
from moa.metrics.neighbours import neighbour_votes
from moa.metrics.ranking import measures
from moa.models.registry import recipe
from moa.plots.charts import INK, SERIES
from moa.reporting.inputs import TRUTH, collect
from moa.reporting.page import Section, Table, Text
from moa.reporting.report import write_report
from moa.reporting.scores import ReportScores
from moa.reporting.sections import SECTIONS
from support.report_pages import Page, fake, write_weights

OLD, NEW, FIVE = "simple-nn-old-cv", "simple-nn-new-cv", "three-stage-nn-5fold"
TITLES = {name: recipe(name).title for name in (OLD, NEW, FIVE)}
FAKE = "a <new> model"


@pytest.fixture(scope="module")
def data(data_dir):
    return load_dataset(data_dir, drugs=True, nonscored=False)


@pytest.fixture(scope="module")
def truth(data_dir):
    return pd.read_csv(data_dir / TRUTH, index_col="sig_id")


@pytest.fixture(scope="module")
def run(tmp_path_factory, data_dir, data, truth):
    """Four models: one over all rows, one with leaking variants, one over half of the rows, one of unknown name."""
    folder = tmp_path_factory.mktemp("run")
    treated = data.scored[data.treated]
    oofs = {
        OLD: fake(treated, 1),
        NEW: fake(data.scored, 2).sample(frac=1, random_state=0),
        FIVE: fake(treated, 3).iloc[: len(treated) // 2],
        FAKE: fake(treated, 4),
    }
    for seed, (name, oof) in enumerate(oofs.items()):
        test = fake(truth.loc[data.test.index], 10 + seed)
        test[~data.test_treated] = 0
        write_table(folder / "predictions" / name / "oof.parquet", oof)
        write_table(folder / "predictions" / name / "test.parquet", test)
    write_weights(folder / "weights", OLD, oofs[OLD], leaky=True)
    write_weights(folder / "weights", FIVE, oofs[FIVE], profile="kaggle")
    page = write_report(data_dir, folder / "weights", folder / "predictions", folder)
    tests = {name: pd.read_parquet(folder / "predictions" / name / "test.parquet") for name in oofs}
    return folder, oofs, tests, Page(page.read_text(encoding="utf-8"))


def test_scores_are_those_of_the_metrics(run, data, truth):
    _, oofs, tests, page = run
    table, treated = page.table("scores"), data.scored[data.treated]
    for name in (OLD, NEW, FIVE, FAKE):
        row = table.loc[TITLES.get(name, name)]
        y = treated.loc[treated.index.isin(oofs[name].index)]
        assert row["OOF, treated rows"] == f"{log_loss(y, oofs[name].loc[y.index]):.5f}"
        baseline = log_loss(y, prevalence_baseline(treated, y.index))
        assert row["prevalence alone"] == f"{baseline:.5f}"
        assert row["gain"] == f"{1 - log_loss(y, oofs[name].loc[y.index]) / baseline:.1%}"
        assert row["test, all rows"] == f"{competition_log_loss(truth, tests[name], data.test_treated):.5f}"
        if name == FIVE:
            assert row["OOF, all rows"] == "–"
        else:
            assert row["OOF, all rows"] == f"{competition_log_loss(data.scored, oofs[name], data.treated):.5f}"
    assert list(table.loc[TITLES.values(), "published"]) == [
        "0.01585 (treated)",
        "0.01572 (all) †",
        "0.01561 (treated) §",
    ]
    same = [table.loc[TITLES[name], "OOF, same rows"] for name in (OLD, NEW, FIVE)]
    assert same == [
        table.loc[TITLES[name], f"OOF, {rows} rows"]
        for name, rows in ((OLD, "treated"), (NEW, "all"), (FIVE, "treated"))
    ]
    assert table.loc[FAKE, "published"] == table.loc[FAKE, "OOF, same rows"] == "–"
    assert "† The winners printed 0.01564 (Simple NN, new CV)" in page.words["scores"]
    clipped = oofs[FIVE].clip(0.0005, 0.9995)
    assert table.loc["↳ clipped §", "OOF, same rows"] == f"{log_loss(treated.loc[clipped.index], clipped):.5f}"
    assert "§ The winners clipped" in page.words["scores"] and "‡" not in page.words["scores"]


def test_the_fields_measures_are_scikit_learns_and_beside_its_baselines(run, data):
    _, oofs, _, page = run
    table, y = page.table("measures"), data.scored[data.treated]
    p = oofs[OLD].loc[y.index]
    both = y.columns[y.any() & ~y.all()]
    row = table.loc[TITLES[OLD]].tolist()
    assert row[:4] == [
        f"{roc_auc_score(y, p, average='micro'):.3f}",
        f"{roc_auc_score(y[both], p[both], average='macro'):.3f}",
        f"{average_precision_score(y, p, average='micro'):.3f}",
        f"{average_precision_score(y[both], p[both], average='macro'):.3f}",
    ]
    assert table.loc["prevalence alone"].tolist()[1] == "0.500"
    near = [name for name in table.index if "nearest" in name]
    assert near == ["5 nearest neighbours, folds multilabel-3", "5 nearest neighbours, folds multilabel-5"]
    folds = pd.DataFrame({0: np.arange(len(p)) % 3}, p.index)  # as the planted units have them
    votes = neighbour_votes(data.features.loc[y.index, list(data.schema.values)], y, folds)
    expected = measures(y, votes, probabilities=False)
    assert table.loc[near[0]].tolist()[0] == f"{expected['roc_auc_micro']:.3f}"
    parts = page.table("measures", 1)
    assert list(parts.index) == ["dose D1", "dose D2", "treatments"]
    assert f"{(~y.any() | y.all()).sum()} of 206 targets" not in page.words["measures"]  # of the reference's rows
    half = y.loc[y.index.isin(oofs[FIVE].index)]
    assert f"{(~half.any() | half.all()).sum()} of 206 targets" in page.words["measures"]


def test_remarks_name_what_is_not_as_published(run):
    *_, page = run
    remarks = page.table("scores")["remarks"]
    assert remarks[TITLES[OLD]] == "demo profile, 2 of 6 seeds, 3 folds instead of 5"
    assert remarks[TITLES[FIVE]].startswith("50% of the treated rows") and "profile" not in remarks[TITLES[FIVE]]
    assert remarks["Best LB"] == "50% of the treated rows, 3 of 7 members"
    assert "learner.hidden" in page.words["cost"] and "2048" in page.words["cost"], "every setting in the long list"


def test_leaking_variants_are_shown_beside_the_honest_oof_and_nowhere_else(run, data):
    _, oofs, _, page = run
    table = page.table("scores")
    place = table.index.get_loc("↳ looped (leaks)")
    assert table.index[place - 1] == TITLES[OLD]
    treated = data.scored[data.treated]
    assert table.iloc[place]["OOF, treated rows"] == f"{log_loss(treated, oofs[OLD] * np.float32(0.5)):.5f}"
    assert "fitted on the validation fold" in page.words["scores"]
    others = "".join(words for name, words in page.words.items() if name != "scores")
    assert "looped" not in others


def test_blend_is_the_renormalised_mean_on_the_rows_shared(run, data, truth):
    _, oofs, tests, page = run
    weights = {OLD: 0.09, NEW: 0.09, FIVE: 0.333}
    total = sum(weights.values())
    rows = [row for row in data.scored.index[data.treated] if row in set(oofs[FIVE].index)]
    mixed = sum(w / total * oofs[name].loc[rows].astype(float) for name, w in weights.items())
    assert page.table("scores").loc["Best LB", "OOF, treated rows"] == f"{log_loss(data.scored.loc[rows], mixed):.5f}"
    test = sum(w / total * tests[name].astype(float) for name, w in weights.items())
    expected = f"{competition_log_loss(truth, test, data.test_treated):.5f}"
    assert page.table("scores").loc["Best LB", "test, all rows"] == expected
    table = page.table("blends")
    for name, weight in weights.items():
        assert table.loc[TITLES[name], "published weight"] == f"{weight:.4f}"
        assert table.loc[TITLES[name], "used here"] == f"{weight / total:.4f}"
        single = log_loss(data.scored.loc[rows], oofs[name].loc[rows])
        assert table.loc[TITLES[name], "OOF, treated rows"] == f"{single:.5f}", "members on the same rows"
    absent = table[table["used here"] == "–"]
    assert len(absent) == 4 and all("(absent)" in name for name in absent.index)
    assert (absent["OOF, treated rows"] == "–").all()
    assert len(page.sections["blends"]) == 1, "Best CV has no member here"


def test_published_scores_of_all_models_stand_beside_each_other(run):
    *_, page = run
    table = page.table("leaderboard")
    table.index = table.index.str.replace(r"^\d+\. ", "", regex=True)
    assert len(table) == 12 and list(table.loc["Best LB"]) == ["–", "0.01808", "0.01599"]
    assert list(table.loc["DeepInsight ResNeSt V2"]) == ["0.01576 (treated)", "0.01854", "0.01636"], "trained or not"


def test_the_first_section_is_open_and_the_others_are_closed(run):
    *_, page = run
    assert page.text.count('<details class="fold" open>') == 1 and page.text.count('<details class="fold">') > 8


def test_correlations(run, data):
    _, oofs, tests, page = run
    treated = data.test.index[data.test_treated]
    expected = prediction_correlation({name: table.loc[treated] for name, table in tests.items()})["mean_with_others"]
    table = page.table("correlation")
    assert table.loc[TITLES[NEW], "test"] == f"{expected[NEW]:.2f}"
    assert table.loc[TITLES[NEW], "published (test)"] == "0.82"
    assert f"OOF predictions, {len(oofs[FIVE])} treated rows" in page.words["correlation"]


def test_learning_curves_and_costs_come_from_the_units(run):
    *_, page = run
    assert f"{TITLES[OLD]}, nn: 6 units" in page.words["curves"]
    assert f"{TITLES[FIVE]}, stage1: 25 units" in page.words["curves"]
    table = page.table("cost")
    assert list(table.index) == [TITLES[OLD]] + [TITLES[FIVE]] * 3
    assert list(table["stage"]) == ["nn", "stage1", "stage2", "stage3"], "in the order of training"
    assert table["added up"].iloc[0] == "3 min" and table["added up"].iloc[1] == "12 min"
    assert "side by side take less by the clock" in page.words["cost"]


def test_the_page_needs_nothing_from_outside(run):
    *_, page = run
    page.check_self_contained()
    identities = [value for _, name, value in page.attributes if name == "id"]
    assert len(identities) == len(set(identities)) > 100
    anchors = {value[1:] for tag, name, value in page.attributes if tag == "a" and name == "href"}
    assert anchors == set(page.sections) and anchors <= set(identities)


def test_it_says_that_data_are_synthetic_and_escapes_names(run):
    *_, page = run
    assert "Synthetic data" in page.text and "nothing about the competition" in page.text
    assert FAKE not in page.text and "a &lt;new&gt; model" in page.text
    drawings = page.text.split("</head>")[1]
    assert INK not in drawings and SERIES[0] not in drawings and "var(--series-1)" in drawings, "the page's colours"
    assert "prefers-color-scheme: dark" in page.text and "width=device-width" in page.text


def test_target_figures(run, data_dir, data):
    folder, oofs, _, page = run
    scores = ReportScores(collect(data_dir, folder / "weights", folder / "predictions"))
    assert scores.reference.key == "best-lb", "a blend of several members is looked at closely"
    treated = data.scored[data.treated]
    single = scores.models[OLD]
    pd.testing.assert_series_equal(single.losses, column_log_loss(treated, oofs[OLD]))
    half = scores.models[FIVE]
    expected = column_log_loss(half.y, prevalence_baseline(treated, half.y.index))
    np.testing.assert_allclose(half.baseline_losses, expected, rtol=1e-12, atol=1e-17)  # 1e-15 without a positive
    table = scores.targets
    assert (table["positives"] == treated.sum()).all()
    # The bucket table, from the labels alone.
    rate = treated.mean()
    chosen = rate.index[(rate > 0.005) & (rate <= 0.01)]
    assert len(chosen)
    cell = page.table("targets").loc[TITLES[OLD], f"0.5 – 1 % ({len(chosen)})"]
    assert cell == f"{single.losses[chosen].mean():.5f}"
    buckets = page.table("targets")
    assert sum(int(re.search(r"\((\d+)\)", name)[1]) for name in buckets.columns) == 206


def test_drugs(run, data_dir, data):
    folder, *_ = run
    scores = ReportScores(collect(data_dir, folder / "weights", folder / "predictions"))
    reference, table = scores.reference, scores.drugs
    drug = table.index[3]
    rows = reference.y.index[data.drugs.loc[reference.y.index] == drug]
    labels = reference.y.loc[rows].to_numpy().ravel()
    expected = sklearn_log_loss(labels, reference.table.loc[rows].to_numpy().ravel(), labels=[0, 1])
    assert table.loc[drug, "log_loss"] == pytest.approx(expected, rel=1e-6)
    alone = np.tile(scores.prevalence, len(rows))
    assert table.loc[drug, "baseline"] == pytest.approx(sklearn_log_loss(labels, alone, labels=[0, 1]), rel=1e-6)
    assert table.loc[drug, "moa"] == ", ".join(reference.y.columns[reference.y.loc[rows].any()])
    # Nineteen treated rows of one drug, and more of another, as of a positive control: rows of large ones count apart.
    together, control = scores.y.index[5:24], scores.y.index[30:90]
    merged = data.drugs.mask(data.drugs.index.isin(together), "large").mask(data.drugs.index.isin(control), "control")
    scores = ReportScores(dataclasses.replace(scores.inputs, data=dataclasses.replace(data, drugs=merged)))
    whole = scores.models[OLD]
    drug = merged.loc[whole.y.index]
    small = drug.map(drug.value_counts()) <= SMALL_DRUG_ROWS
    assert small.any() and (~small[~small.index.isin(together)]).any()
    large = log_loss(whole.y[~small], whole.table[~small])
    assert scores.by_drug_size(whole)["large"] == pytest.approx(large, rel=1e-9)
    assert scores.by_drug_size(whole)["small"] == pytest.approx(log_loss(whole.y[small], whole.table[small]), rel=1e-9)


def test_one_model_alone_without_weights_drugs_or_truth(run, data_dir, tmp_path):
    folder, oofs, _, _ = run
    real = tmp_path / "data"
    shutil.copytree(data_dir, real, ignore=shutil.ignore_patterns("truth", "SYNTHETIC.json", "train_drug.csv"))
    write_table(tmp_path / "predictions" / OLD / "oof.parquet", oofs[OLD])
    text = write_report(real, tmp_path / "none", tmp_path / "predictions", tmp_path).read_text(encoding="utf-8")
    page = Page(text)
    parts = {"scores", "measures", "mechanisms", "blends", "leaderboard", "targets", "calibration"}
    assert set(page.sections) == parts
    assert "Synthetic data" not in text and "test, all rows" not in page.table("scores").columns
    assert page.table("scores").loc["Best LB", "remarks"] == "1 of 7 members"


def test_a_further_section_is_one_function(run, data_dir, tmp_path):
    folder, *_ = run
    seen = []

    def more(scores):
        seen.append(scores)
        table = Table.of(pd.DataFrame({"pixel": ["a", "b"], "weight": [0.25, np.nan]}), {"weight": ".2f"})
        return Section("map", "Feature map", "lead", [Text("words"), table])

    sections = [SECTIONS[0], more, lambda _: None]
    path = write_report(data_dir, folder / "weights", folder / "predictions", tmp_path, sections)
    page = Page(path.read_text(encoding="utf-8"))
    assert list(page.sections) == ["scores", "map"] and isinstance(seen[0], ReportScores)
    assert page.table("map")["weight"].tolist() == ["0.25", "–"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda oof: None, "holds no <model>/oof.parquet"),
        (lambda oof: oof.rename(index={oof.index[2]: "id_elsewhere"}), "'id_elsewhere' is no row of train_targets"),
        (lambda oof: oof.rename(columns={oof.columns[5]: "other_moa"}), "'other_moa' is no scored target"),
        (lambda oof: oof.iloc[:, :-1], "is missing; predict again"),
        (lambda oof: pd.concat([oof, oof.iloc[:1]]), "is there twice"),
        (lambda oof: oof.iloc[:0], "holds no rows"),
        (lambda oof: oof.mask(oof.index.to_series() == oof.index[7]), "expected a probability"),
        ("not parquet", "damaged or not a parquet table"),
    ],
)
def test_mistakes_are_reported(run, data_dir, tmp_path, spoil, message):
    _, oofs, _, _ = run
    path = tmp_path / "predictions" / OLD / "oof.parquet"
    path.parent.mkdir(parents=True)
    if isinstance(spoil, str):
        path.write_text(spoil)
    elif (table := spoil(oofs[OLD])) is not None:
        write_table(path, table)
    with pytest.raises(UserError, match=re.escape(message)):
        write_report(data_dir, tmp_path / "weights", tmp_path / "predictions", tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_controls_alone_and_lost_test_rows_are_reported(run, data_dir, data, tmp_path):
    _, oofs, tests, _ = run
    controls = oofs[NEW].loc[data.treated.index[~data.treated]]
    write_table(tmp_path / "predictions" / NEW / "oof.parquet", controls)
    with pytest.raises(UserError, match="cover no treated row"):
        write_report(data_dir, tmp_path, tmp_path / "predictions", tmp_path)
    write_table(tmp_path / "predictions" / NEW / "test.parquet", tests[NEW][data.test_treated].iloc[1:])
    with pytest.raises(UserError, match="1 treated test rows are missing"):
        write_report(data_dir, tmp_path, tmp_path / "predictions", tmp_path)
