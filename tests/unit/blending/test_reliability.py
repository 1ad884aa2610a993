"""Out-of-fold reliability by mechanism, counted by hand."""

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, roc_auc_score

from moa.blending.reliability import EDGES, Trust, measured


def test_ranges_count_every_row_once_and_hits_are_labels():
    p = pd.DataFrame({"a": [0.0005, 0.001, 0.2, 0.2, 0.9], "b": [0.3, 0.299, 0.5, 0.02, 1.0]})
    y = pd.DataFrame({"a": [0, 0, 1, 0, 1], "b": [0, 0, 0, 0, 0]})
    found = measured(y, p)
    assert EDGES == (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.5) and found.rows == 5 and found.share == 1
    assert found.counts.tolist() == [[1, 1, 0, 0, 0, 2, 0, 1], [0, 0, 0, 1, 0, 1, 1, 2]]
    assert found.hits.tolist() == [[0, 0, 0, 0, 0, 1, 0, 1], [0] * 8]
    assert found.table["positives"].tolist() == [2, 0]
    np.testing.assert_allclose(found.table.loc["a", "roc_auc"], roc_auc_score(y["a"], p["a"]))
    np.testing.assert_allclose(found.table.loc["a", "average_precision"], average_precision_score(y["a"], p["a"]))
    assert found.table.loc["b", ["roc_auc", "average_precision"]].isna().all()


def compounds_of(count, seed=0):
    """Three wells for each of 30 compounds: x has ``count`` compounds, y half of them, and z is predicted by chance."""
    rng = np.random.default_rng(seed)
    code = np.repeat(np.arange(30), 3)
    rows = pd.Index([f"r{number}" for number in range(90)])
    y = pd.DataFrame({"x": code < count, "y": code % 2 == 0, "z": code % 3 == 0}, rows).astype(int)
    p = pd.DataFrame(
        {"x": 0.8 * y["x"] + 0.1, "y": 0.5 * y["y"] + 0.4 * rng.random(90), "z": rng.random(30)[code]}, rows
    )
    return y, p, pd.Series([f"Drug {number}" for number in code], rows)


def test_mechanisms_of_few_compounds_or_no_better_than_chance_are_marked():
    y, p, compounds = compounds_of(4)
    found = measured(y, p, compounds)
    assert found.table["compounds"].tolist() == [4, 15, 10]
    cautions = found.trust.cautions
    assert list(cautions.index) == ["x", "z"] and cautions["x"] == "4 training compounds"
    assert cautions["z"].startswith("maybe chance: AUC 0.")
    assert list(measured(*compounds_of(5)).trust.cautions.index) == ["z"]
    assert "x" not in measured(y, p).trust.cautions.index, "where compounds are not known, rows count"


def test_areas_are_over_compounds_and_not_over_their_wells():
    y, p, compounds = compounds_of(6)
    found = measured(y, p, compounds)
    z = p["z"].groupby(compounds).first(), y["z"].groupby(compounds).first()
    np.testing.assert_allclose(found.table.loc["z", "roc_auc"], roc_auc_score(z[1], z[0]))
    narrow, wide = measured(y, p).table.loc["z"], found.table.loc["z"]
    assert wide["high"] - wide["low"] > 1.5 * (narrow["high"] - narrow["low"]), "wells of a compound are no evidence"


def test_losses_beside_the_prevalence_and_the_compounds_by_their_keys():
    y, p, compounds = compounds_of(6)
    found = measured(y, p, compounds)
    assert (
        found.loss < measured(y, 1 - p, compounds).loss and measured(y, 1 - p, compounds).loss > found.prevalence_loss
    )
    assert found.by_compound.shape == (30, 3) and "drug7" in found.by_compound.index
    assert found.trust.in_training(pd.Index(["r3", "new", "other"]), pd.Series(["?", "DRUG-7", None])).tolist() == [
        "well", "compound", ""
    ]  # fmt: skip


def test_what_is_right_at_a_distance():
    trust = Trust(distances=np.array([[0.9, 50], [0.7, 30], [0.5, 15], [np.nan, 0], [0.1, 1]]))
    assert trust.right_at(np.array([0.0, 0.6, 0.9, 0.999])).tolist() == [0.9, 0.7, 0.5, 0.1]
    assert np.isnan(trust.right_at(np.array([0.96]))).all() and np.isnan(Trust().right_at(np.zeros(2))).all()
