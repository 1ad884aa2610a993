"""What the page about plates warns of, and its data of compounds and mechanisms."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from moa.blending.answers import pooled_answers
from moa.blending.reliability import measured
from moa.data.assay import COMPETITION
from moa.reporting import plate_answers
from moa.reporting.plate_answers import answers_data, cautions_data, warnings
from support.screens import screen

TARGETS = ["kinase", "HDAC"]
WELLS = {"wells": [{"id": "a", "p": [0.5]}, {"id": "b", "control": 1}]}


@pytest.fixture
def known():
    """Out-of-fold predictions of 96 wells of 24 compounds, eight with each mechanism."""
    data, rng = screen(), np.random.default_rng(0)
    y = data.scored[data.treated]
    p = 0.6 * y + 0.2 + 0.1 * rng.random(y.shape)
    return replace(measured(y, p, data.drugs[data.treated]), held_out=("compound",))


def warned(known, schema=None, data=WELLS):
    return warnings(SimpleNamespace(reliability=known), schema or screen().schema, data)


def test_a_page_without_reasons_warns_of_nothing(known):
    assert warned(known) == [] and warned(None) == []


def test_each_reason_is_named(known):
    y, p = (known.oof > 0.5).astype(int), known.oof
    (worse, marked) = warned(replace(measured(y, 1 - p, known.compounds), held_out=("compound",)))
    assert worse.startswith("Out of fold, these probabilities are worse") and marked.startswith("2 of 2 mechanisms")
    mixed = p.assign(**{p.columns[0]: 1 - p.iloc[:, 0]})
    found = warned(replace(measured(y, mixed, known.compounds), held_out=("compound",)))
    assert found[-1].startswith("1 of 2 mechanisms is marked")
    (rows,) = warned(replace(known, held_out=()))
    assert "did not hold out whole compounds" in rows and "--hold-out compound" in rows
    few = known.oof.index[:40]
    (count, marked) = warned(replace(measured(y.loc[few], p.loc[few], known.compounds[few]), held_out=("compound",)))
    assert count.startswith("The training data have 10 compounds") and marked.startswith("2 of 2 mechanisms are marked")
    without = screen().schema.model_copy(update={"control": None})
    assert warned(known, without)[0].startswith("The training data have no controls")
    assert warned(known, data={"wells": WELLS["wells"][:1]})[0].startswith("This file has no controls")
    trained = {"wells": [*WELLS["wells"], {"id": "c", "trained": "well"}]}
    assert warned(known, data=trained) == [
        "1 sample is of compounds that were in training: marked, and shown with out-of-fold predictions."
    ]


def test_the_winners_folds_and_marks_are_no_warnings_in_the_competition(known):
    assert warned(replace(known, held_out=()), COMPETITION, {"wells": []}) == []


@pytest.fixture
def answers():
    rng = np.random.default_rng(1)
    rows = pd.Index([f"w{number}" for number in range(12)])
    p = pd.DataFrame(rng.random((12, 2)), rows, TARGETS)
    names = np.repeat(["a", "b", "c"], 4)
    doses = [f"{name} @ {number % 2}" for number, name in enumerate(names)]
    return pooled_answers([(p, pd.DataFrame({"compound": names, "treatment": doses}, rows))], None)


def test_compounds_have_their_doses_and_mechanisms_their_compounds(answers):
    found = answers_data(answers, 2)
    json.dumps(found, allow_nan=False)
    first = found["compounds"][0]
    assert first["name"] == "a" and first["wells"] == 4 and "trained" not in first
    order = answers.compounds.loc["a"].sort_values(ascending=False)
    assert [TARGETS[place] for place in first["moa"]] == list(order.index)
    np.testing.assert_allclose(first["p"], order, rtol=6e-3)
    assert [(dose["name"], dose["wells"]) for dose in first["doses"]] == [("a @ 0", 2), ("a @ 1", 2)]
    np.testing.assert_allclose(
        [dose["p"] for dose in first["doses"]], answers.treatments.loc[["a @ 0", "a @ 1"], order.index[0]], rtol=6e-3
    )
    best = answers.compounds["HDAC"].sort_values(ascending=False)
    places, chances, precisions = zip(*found["mechanisms"][1], strict=True)
    assert [found["compounds"][place]["name"] for place in places] == list(best.index)
    np.testing.assert_allclose(precisions, best.expanding().mean(), rtol=6e-3)
    assert list(chances) == sorted(chances, reverse=True)


def test_of_many_compounds_the_likeliest_are_listed(answers, monkeypatch):
    monkeypatch.setattr(plate_answers, "MOST_COMPOUNDS", 2)
    found = answers_data(answers, 1)
    kept = answers.compounds.max(axis=1).sort_values(ascending=False).index[:2]
    assert {each["name"] for each in found["compounds"]} == set(kept) and found["left_out"] == 1
    assert all(len(each) == 2 for each in found["mechanisms"])


def test_cautions_go_by_the_place_of_the_target(known):
    few = replace(known, table=known.table.assign(caution=["", "3 training compounds"]))
    assert cautions_data(few, TARGETS) == {"1": "3 training compounds"} and cautions_data(None, TARGETS) == {}
