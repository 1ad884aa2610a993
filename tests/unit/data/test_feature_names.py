"""The competition's features have names, and any data folder can name its own."""

import os
from pathlib import Path

import pandas as pd
import pytest

from moa.data.assay import COMPETITION
from moa.data.feature_names import competition_features, display_names, identities_of, read_identities
from moa.data.schema import CELLS, GENES
from moa.errors import UserError

OTHER = COMPETITION.model_copy(update={"name": "another assay"})


def test_every_feature_of_the_competition_has_a_name():
    table = competition_features()
    assert list(table.index) == [*GENES, *CELLS]
    genes, cells = table.loc[list(GENES)], table.loc[list(CELLS)]
    entrez = genes["entrez_id"].astype(int)
    assert entrez.is_monotonic_increasing and entrez.is_unique  # the organisers' order
    assert genes["symbol"].is_unique and (genes["symbol"] != "").all() and genes["probe_id"].is_unique
    assert cells["cell_line"].is_unique and (cells["cell_line"] != "").all()
    assert (table.loc["g-0", "symbol"], table.loc["g-771", "entrez_id"]) == ("AARS1", "388650")
    assert table.loc["g-0", "former_symbol"] == "AARS" and table.loc["c-0", "cell_line"] == "HEYA8_OVARY"


@pytest.mark.skipif("MOA_FIELD_DATA" not in os.environ, reason="needs the organisers' published tables")
def test_names_are_those_that_the_organisers_published():
    folder, table = Path(os.environ["MOA_FIELD_DATA"]), competition_features()
    genes = pd.read_csv(folder / "genes.csv", dtype=str).set_index("column")
    assert table.loc[genes.index, ["entrez_id", "symbol"]].equals(genes.rename_axis("feature"))
    cells = pd.read_csv(folder / "cells.csv", dtype=str).set_index("column")
    assert list(table.loc[cells.index, "cell_line"]) == list(cells["ccle_name"])


def test_a_copy_is_returned():
    table = competition_features()
    table["symbol"] = "changed"
    assert competition_features()["symbol"].iloc[0] == "AARS1"


def test_names_for_display(tmp_path):
    found = display_names(["g-0", "c-0", "g_mean"], competition_features())
    assert found == {"g-0": "AARS1", "c-0": "HEYA8_OVARY", "g_mean": "g_mean"}
    assert display_names(["g-0"], None) == {"g-0": "g-0"}, "of another assay, whose features nobody named"
    (tmp_path / "features.csv").write_text("feature,symbol\n1_at,ABC\n2_at,ABC\n3_at,\n4_at,X\n")
    names = display_names(["1_at", "2_at", "3_at", "4_at"], identities_of(tmp_path, OTHER))
    assert names == {"1_at": "ABC (1_at)", "2_at": "ABC (2_at)", "3_at": "3_at", "4_at": "X"}
    assert identities_of(tmp_path / "none", OTHER) is None
    assert identities_of(tmp_path, COMPETITION).equals(competition_features())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("symbol\nA\n", "missing column 'feature'"),
        ("feature\na\nb\na\n", "line 4: 'a' is repeated"),
        ("", "not a csv file"),
    ],
)
def test_a_bad_table_of_features_is_refused(tmp_path, text, message):
    (tmp_path / "features.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        read_identities(tmp_path / "features.csv")
