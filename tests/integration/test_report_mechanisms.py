"""What the report says of each mechanism, against plain pandas and scikit-learn."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from moa.data.dataset import load_dataset
from moa.data.stored_tables import write_table
from moa.metrics.losses import column_log_loss
from moa.reporting.inputs import collect
from moa.reporting.mechanisms import TOP, WELLS, mechanism_data
from moa.reporting.scores import ReportScores
from support.report_pages import fake

OLD, NEW = "simple-nn-old-cv", "simple-nn-new-cv"


@pytest.fixture(scope="module")
def case(data_dir, tmp_path_factory):
    """Predictions of two models, the second of a part of the rows; and what is said of their targets."""
    predictions = tmp_path_factory.mktemp("predictions")
    data = load_dataset(data_dir, drugs=True, nonscored=False)
    treated = data.scored[data.treated]
    oof = fake(treated, 1)
    write_table(predictions / OLD / "oof.parquet", oof)
    write_table(predictions / NEW / "oof.parquet", fake(treated, 2).iloc[:140])
    scores = ReportScores(collect(data_dir, predictions / "none", predictions))
    return scores, data, treated, oof, mechanism_data(scores)


def test_few_rows_make_no_reference(case):
    scores, _, treated, _, data = case
    assert len(scores.blends["best-lb"].table) == 140 < len(treated) / 3
    assert scores.reference.key == OLD and data["predictions"][0] == scores.models[OLD].title
    assert set(data["predictions"]) == {p.title for p in scores.everything.values()}


def test_measures_and_places(case):
    _, dataset, y, p, data = case
    json.dumps(data, allow_nan=False)
    losses, rank = column_log_loss(y, p), p.rank(axis=1, ascending=False, method="first")
    first = p.idxmax(axis=1)
    assert [each["name"] for each in data["mechanisms"]] == list(y)
    for each in data["mechanisms"]:
        name, labels = each["name"], y[each["name"]] > 0
        assert each["positives"] == each["covered"] == labels.sum()
        assert each["log_loss"] == pytest.approx(losses[name], rel=1e-4) == each["by"][0][0]
        assert each["hits"] == [int((rank[name][labels] == 1).sum()), int((rank[name][labels] <= TOP).sum())]
        assert each["false_first"] == ((first == name) & ~labels).sum()
        assert sum(row[2] for row in each["curve"]) == len(y)
        if labels.any():
            assert each["auc"] == pytest.approx(roc_auc_score(labels, p[name]), rel=6e-3)
            assert each["ap"] == pytest.approx(average_precision_score(labels, p[name]), rel=6e-3)
        else:
            assert each["auc"] is each["ap"] is each["gain"] is None and each["carriers"] == each["found"] == []


def test_compounds_that_carry_it(case):
    _, dataset, y, p, data = case
    drug, rank = dataset.drugs.loc[y.index], p.rank(axis=1, ascending=False, method="first")
    for each in sorted(data["mechanisms"], key=lambda each: -each["positives"])[:5]:
        name = each["name"]
        rows = y.index[y[name] > 0]
        expected = pd.DataFrame({"found": rank.loc[rows, name] <= TOP, "mean": p.loc[rows, name]}).groupby(drug[rows])
        means = expected["mean"].mean().sort_values(ascending=False)
        assert [carrier[0] for carrier in each["carriers"]] == list(means.index)
        np.testing.assert_allclose([carrier[3] for carrier in each["carriers"]], means, rtol=6e-3)
        for carrier, wells, hits, _ in each["carriers"]:
            assert (wells, hits) == (expected.size()[carrier], expected["found"].sum()[carrier])


def test_wells_that_were_found_and_missed(case):
    _, dataset, y, p, data = case
    rank = p.rank(axis=1, ascending=False, method="first")
    each = max(data["mechanisms"], key=lambda each: each["positives"])
    name, labels = each["name"], y[each["name"]] > 0
    hit = labels & (rank[name] <= TOP)
    assert [row[0] for row in each["found"]] == list(p[name][hit].sort_values(ascending=False).index[:WELLS])
    false = ~labels & (rank[name] == 1)
    for kind, rows in (("found", hit), ("missed", labels & ~hit), ("false", false)):
        assert len(each[kind]) == min(WELLS, rows.sum()), kind
        for sig_id, compound, conditions, chance, place, moa, likely in each[kind]:
            assert rows[sig_id] and compound == dataset.drugs[sig_id] and place == rank.loc[sig_id, name]
            assert chance == pytest.approx(p.loc[sig_id, name], rel=6e-3) and likely == p.loc[sig_id].idxmax()
            assert moa == list(y.columns[y.loc[sig_id] > 0])[:3]
            features = dataset.features.loc[sig_id]
            assert conditions == f"{features['cp_dose']}, {features['cp_time']}"
    assert sum(len(each["missed"]) for each in data["mechanisms"]) > 0
