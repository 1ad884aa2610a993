"""The baselines on public data give what the field measures there; see `support.field_data`."""

import pandas as pd
import pytest

from moa.jobs.score import score
from moa.jobs.score_inputs import Case, Prediction
from moa.jobs.score_pooled import retrieve
from support.field_data import bbbc021, l1000_plate


def case_of(features, y, known):
    """Compounds held out whole; a constant takes the place of a model."""
    constant = pd.DataFrame(0.5, y.index, y.columns)
    return Case(y, y.mean(), y, features, known, [Prediction("constant", constant, known[["compound"]], "compounds")])


@pytest.fixture(scope="module")
def plate():
    return case_of(*l1000_plate())


@pytest.fixture(scope="module")
def images():
    return case_of(*bbbc021())


def line(found, kind):
    return found.table[found.table["kind"] == kind].iloc[0]


def test_nearest_neighbours_of_an_l1000_plate(plate):
    """249 wells of 42 compounds, 14 mechanisms, 5 neighbours of other compounds: 0.226, 0.593 and 0.339 elsewhere."""
    assert plate.y.shape == (249, 14) and plate.known["compound"].nunique() == 42 and plate.features.shape[1] == 772
    found = score(plate)
    table = found.table.set_index("prediction")
    nearest, prevalence = table.loc["5-NN, compounds"], line(found, "prevalence")
    assert nearest["average_precision_macro"] == pytest.approx(0.226, abs=0.02)
    assert nearest["roc_auc_macro"] == pytest.approx(0.593, abs=0.02)
    assert nearest["top_1"] == pytest.approx(0.339, abs=0.03)
    assert nearest["roc_auc_micro"] == pytest.approx(0.62, abs=0.02)
    assert nearest["average_precision_micro"] == pytest.approx(0.19, abs=0.02)
    assert prevalence["average_precision_macro"] == pytest.approx(0.069, abs=0.0005)
    assert prevalence["roc_auc_macro"] == 0.5
    doses = score(plate, by="dose").table
    assert list(doses["dose"].unique()) == ["0.04", "0.12", "0.37", "1.11", "3.33", "10"]
    top = doses[doses["prediction"] == "5-NN, compounds"].set_index("dose")["top_1"]
    assert top["3.33"] > top["0.04"]


def test_nearest_neighbours_of_bbbc021(images):
    """103 treatments of 38 compounds, each with one of 12 mechanisms: 79 are right by their nearest neighbour."""
    assert images.y.shape == (302, 12) and images.known["compound"].nunique() == 38
    found = score(images, by="treatment")
    nearest = line(found, "neighbours")
    assert nearest["prediction"] == "1-NN, compounds" and nearest["rows"] == 103
    assert nearest["accuracy"] == pytest.approx(79 / 103) and nearest["top_1"] == nearest["accuracy"]
    assert line(found, "shuffled labels")["accuracy"] == pytest.approx(1 / 12, abs=0.03)
    # What no simple method may know: exchanged profiles are at chance, and the training rows know less than all rows.
    assert line(found, "exchanged profiles")["roc_auc_micro"] <= 0.53
    assert line(found, "training prevalence")["log_loss"] > line(found, "prevalence")["log_loss"]
    sphered = found.table.set_index("prediction").loc["5-NN sphered, compounds"]
    assert (
        sphered["average_precision_micro"]
        > found.table.set_index("prediction").loc["5-NN, compounds", "average_precision_micro"]
    )


def test_mechanisms_of_bbbc021_are_retrieved(images):
    pytest.importorskip("copairs")
    found = retrieve(images)
    features = found[found["source"] == "features"]
    assert len(features) == 12 and features["mean_average_precision"].mean() > 0.5
    assert features["retrieved"].sum() >= 10
    constant = found[found["source"] == "constant"]
    assert constant["mean_average_precision"].mean() < 0.2 and constant["retrieved"].sum() <= 1
