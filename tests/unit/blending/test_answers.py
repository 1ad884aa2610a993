"""Answers for compounds and treatments, and the compounds of each mechanism, by hand."""

import numpy as np
import pandas as pd
import pytest

from moa.blending.answers import Pooling, answered, pooled_answers, rank_compounds, rank_mechanisms
from moa.blending.reliability import measured
from moa.metrics.pooling import pool

TARGETS = ["kinase", "HDAC", "actin"]


@pytest.fixture
def wells():
    """Nine wells of three compounds at two doses, one well of no known compound, and their probabilities."""
    rng = np.random.default_rng(0)
    index = pd.Index([f"w{number}" for number in range(10)], name="sig_id")
    p = pd.DataFrame(rng.dirichlet(np.ones(3), 10), index, TARGETS)
    names = ["Aspirin", "aspirin", "ASPIRIN", "B", "B", "B", "C", "C", "C", None]
    doses = ["1", "1", "10", "1", "1", "10", "1", "10", "10", None]
    known = pd.DataFrame({"compound": names}, index, dtype=object)
    known["treatment"] = [f"{each.lower()} @ {dose}" if each else None for each, dose in zip(names, doses, strict=True)]
    return p, known


@pytest.fixture
def known(wells):
    """Out-of-fold predictions of training wells: w3 and w4 of B, and two of C that are not in the file."""
    index = pd.Index(["w3", "w4", "t1", "t2"], name="sig_id")
    oof = pd.DataFrame([[0.1, 0.1, 0.8], [0.2, 0.2, 0.6], [0.6, 0.2, 0.2], [0.5, 0.25, 0.25]], index, TARGETS)
    y = pd.DataFrame([[0, 0, 1], [0, 0, 1], [1, 0, 0], [1, 0, 0]], index, TARGETS)
    return measured(y, oof, pd.Series(["b", "b", "C", "C"], index))


def test_compounds_are_the_mean_evidence_of_their_wells_however_they_are_spelt(wells):
    p, about = wells
    found = pooled_answers([(p, about)], None)
    key = about["compound"].str.lower()
    expected = pool(p, key, one=True)
    assert list(found.compounds.index) == ["Aspirin", "B", "C"] and list(found.about["wells"]) == [3, 3, 3]
    np.testing.assert_allclose(found.compounds, expected)
    np.testing.assert_allclose(found.treatments, pool(p, about["treatment"], one=True))
    assert list(found.about["treatments"]) == [2, 2, 2]
    assert found.about_treatments.loc["aspirin @ 1", "compound"] == "Aspirin"
    first = p.loc[["w3", "w4", "w5"]].idxmax(axis=1)
    assert found.agree.loc["B"].to_dict() == pytest.approx({name: (first == name).mean() for name in TARGETS})


def test_parts_of_any_size_are_the_whole(wells):
    p, about = wells
    whole = pooled_answers([(p, about)], None)
    parts = pooled_answers([(p.iloc[i : i + 3], about.iloc[i : i + 3]) for i in range(0, 10, 3)], None)
    pd.testing.assert_frame_equal(whole.compounds, parts.compounds)
    pd.testing.assert_frame_equal(whole.about, parts.about)
    pd.testing.assert_frame_equal(whole.agree_treatments, parts.agree_treatments)
    assert pooled_answers([(p, about[[]])], None) is None and pooled_answers([], None) is None
    assert Pooling(TARGETS).answers() is None


def test_wells_that_were_in_training_are_answered_out_of_fold(wells, known):
    p, about = wells
    found, source = answered(p, about["compound"], known)
    assert list(source) == ["", "", "", "well", "well", "compound", "compound", "compound", "compound", ""]
    np.testing.assert_allclose(found.loc["w3"], known.oof.loc["w3"])
    np.testing.assert_allclose(found.loc["w5"], known.by_compound.loc["b"])
    np.testing.assert_allclose(
        found.loc["w6"], pool(known.oof.loc[["t1", "t2"]], pd.Series("c", ["t1", "t2"])).loc["c"]
    )
    pd.testing.assert_frame_equal(found.loc[source == ""], p[source == ""])
    answers = pooled_answers([(p, about)], known)
    assert answers.about["in_training"].to_dict() == {"Aspirin": "", "B": "compound", "C": "compound"}
    assert answers.compounds.loc["B"].idxmax() == "actin" and answers.compounds.loc["C"].idxmax() == "kinase"
    assert answered(p, about["compound"], None)[0] is p


def test_compounds_of_a_mechanism_are_ranked_with_the_precision_to_be_expected():
    p = pd.DataFrame({"x": [0.9, 0.2, 0.6], "y": [0.05, 0.7, 0.3]}, pd.Index(["a", "b", "c"], name="compound"))
    found = rank_compounds(p, pd.Series({"x": "2 training compounds"}))
    rows = found.to_dict("list")
    assert rows["moa"] == ["y"] * 3 + ["x"] * 3, "those without a caution first"
    assert rows["compound"] == ["b", "c", "a", "a", "c", "b"] and rows["rank"] == [1, 2, 3] * 2
    np.testing.assert_allclose(found["expected_precision"][:3], [0.7, 0.5, 0.35])
    assert set(found.loc[found["moa"] == "x", "caution"]) == {"2 training compounds"}
    assert len(rank_compounds(p, most=2)) == 4


def test_tables_of_answers(wells, known):
    found = pooled_answers([wells], known)
    tables = found.tables(pd.Series(0.25, TARGETS), 2, pd.Series({"actin": "maybe chance"}))
    compounds = tables["compounds"]
    assert list(compounds["compound"]) == ["Aspirin", "Aspirin", "B", "B", "C", "C"]
    first = compounds[compounds["rank"] == 1].set_index("compound")
    assert first.loc["B", ["moa", "caution", "in_training"]].tolist() == ["actin", "maybe chance", "compound"]
    np.testing.assert_allclose(first["times_prevalence"], 4 * first["probability"], atol=0.01)
    assert (first["wells_agree"] == [found.agree.loc[name, moa].round(3) for name, moa in first["moa"].items()]).all()
    assert list(tables["treatments"])[-3:] == ["compound", "wells", "in_training"]
    assert set(tables["mechanisms"]["moa"]) == set(TARGETS) and "in_training" in tables["mechanisms"]


def test_ranked_wells_and_treatments_have_the_same_columns():
    p = pd.DataFrame([[0.2, 0.8]], pd.Index(["a @ 1"], name="treatment"), ["x", "y"])
    assert list(rank_mechanisms(p, None, 1)) == [
        "treatment", "rank", "moa", "probability", "times_prevalence", "caution"
    ]  # fmt: skip
