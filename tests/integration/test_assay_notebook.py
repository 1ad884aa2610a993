"""The notebook that takes a plate from the laboratory's file to ranked mechanisms, at small size."""

import os

import pandas as pd
import pytest

from moa.environment import FINAL
from support.notebooks import run

NOTEBOOK = FINAL / "Your assay" / "your-assay.ipynb"


@pytest.mark.parametrize("real", [False, True])
def test_it_goes_the_whole_way(real, tmp_path, monkeypatch):
    if real and "MOA_FIELD_DATA" not in os.environ:
        pytest.skip("needs a real plate of the field")
    if not real:
        monkeypatch.delenv("MOA_FIELD_DATA", raising=False)
    words, kinds = run(NOTEBOOK, tmp_path, out=str(tmp_path), profile="demo", seeds=1, parts=2, device="cpu")
    assert ("a public plate of LINCS" if real else "a plate made up here: plate.gct.gz") in words
    assert kinds.count("image/png") == 2, "strength of the wells, and learning curves"
    assert "robust z-scores of 1 plate against the plate's vehicle wells" in words
    scores = words[words.index("shuffled labels") - 400 :]
    assert "5-NN, folds compound-2" in scores and "prevalence" in scores and "10.00" in scores
    ranked = pd.read_csv(tmp_path / "predictions" / "ranked.csv", keep_default_na=False)
    wells = pd.read_csv(tmp_path / "predictions" / "samples.csv", index_col="sig_id")
    treated = wells.index[wells["cp_type"] != "ctl_vehicle"]
    assert set(ranked["sig_id"]) == set(treated) and ranked.groupby("sig_id").size().eq(3).all()
    assert ranked.loc[ranked["rank"] == 1, "strongest_features"].str.contains(r"[A-Z0-9]+ [+-]\d").all(), "symbols"
    assert "@ 10 µM" in words
