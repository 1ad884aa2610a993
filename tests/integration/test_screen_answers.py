"""A small screen, from the laboratory's table to scores, leaks, answers for compounds and files for other tools."""

import json

import numpy as np
import pandas as pd
import pytest

from moa.importing.formats import gct
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.source import Source
from support.assays import cell_painting, write_h5ad
from support.invoking import invoke

NAME = "any-assay"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two of three plates to train on, the third new; each compound on every plate, so that plates and wells leak."""
    folder, screen = tmp_path_factory.mktemp("screen"), cell_painting(wells=300, plates=3)
    old = screen.table.iloc[:200].copy()
    old["Metadata_Count_Cells"] = np.random.default_rng(0).integers(100, 900, 200)
    old["Metadata_Batch"] = np.repeat(["b1", "b2"], 100)
    old.to_csv(folder / "old.csv", index=False)
    new = screen.wells.iloc[200:].drop(columns="Metadata_moa").reset_index(drop=True)
    write_h5ad(folder / "new.h5ad", screen.values.iloc[200:].reset_index(drop=True), new)
    invoke("data", "import", folder / "old.csv", "--out", folder / "data")
    options = ["--hold-out", "compound", "--parts", "3", "--seeds", "1"]
    invoke("train", NAME, "--data", folder / "data", "--weights", folder / "weights", *options)
    return folder


@pytest.fixture(scope="module")
def places(folder):
    return ["--data", folder / "data", "--weights", folder / "weights"]


def test_a_model_stands_beside_every_simple_method(places):
    rows = json.loads(invoke("score", NAME, *places, "--by", "treatment", "--format", "json"))
    assert (rows[0]["prediction"], rows[0]["kind"], rows[0]["by"]) == (NAME, "model", "treatment")
    kinds = [row["kind"] for row in rows]
    for kind in ("prevalence", "training prevalence", "cell count", "neighbours", "exchanged profiles"):
        assert kind in kinds
    control = next(row for row in rows if row["kind"] == "exchanged profiles")
    assert control["roc_auc_micro"] <= 0.53 < rows[0]["roc_auc_micro"]
    assert rows[0]["log_loss"] < min(row["log_loss"] for row in rows if row["kind"].endswith("prevalence"))
    assert rows[0]["log_loss"] == json.loads(invoke("score", NAME, *places, "--by", "treatment", "--no-baselines",
                                                  "--format", "json"))[0]["log_loss"]  # fmt: skip


def test_what_leaks_is_shown_side_by_side(folder, places):
    rows = json.loads(invoke("score", NAME, *places, "--leaks", "--format", "json"))
    by = {row["level"]: row for row in rows}
    assert list(by) == ["wells", "plates", "batches", "compounds"]
    assert by["wells"]["top_1"] > by["compounds"]["top_1"]
    alone = json.loads(invoke("score", NAME, *places, "--no-baselines", "--format", "json"))[0]
    assert by["compounds"]["log_loss"] == alone["log_loss"], "the trained model itself"
    kept = {path: path.stat().st_mtime_ns for path in (folder / "weights-leaks").rglob("unit.json")}
    assert kept and json.loads(invoke("score", NAME, *places, "--leaks", "--format", "json")) == rows
    assert kept == {path: path.stat().st_mtime_ns for path in (folder / "weights-leaks").rglob("unit.json")}
    assert "compounds held out: " in invoke("score", NAME, *places, "--leaks", "--by", "compound")
    said = " ".join(invoke("score", NAME, *places, "--leaks").split())
    figure = f"{by['compounds']['average_precision_micro']:.3f}"
    gain = by["plates"]["average_precision_micro"] - by["compounds"]["average_precision_micro"]
    assert f"{NAME}: average precision {figure}, with compounds held out, is what holds for new compounds" in said
    assert (
        f"it is higher with plates by {gain:.3f} [" in said
        and "held out instead (95 % intervals over compounds)" in said
    )


@pytest.mark.parametrize("kind", ["gct", "obs"])
def test_a_new_plate_goes_to_other_tools(folder, kind):
    out = folder / kind
    output = invoke(
        "predict",
        "--features",
        folder / "new.h5ad",
        NAME,
        "--weights",
        folder / "weights",
        "--out",
        out,
        "--format",
        kind,
    )
    p = pd.read_csv(out / "probabilities.csv", index_col="sig_id")
    assert list(p.index) == [f"well-{number}" for number in range(100)], "the names of obs"
    first = pd.read_csv(out / "ranked.csv").query("rank == 1").set_index("sig_id")
    if kind == "gct":
        assert "probabilities.gct" in output
        found = gct.read(Source(out / "probabilities.gct"), ImportOptions(), Notes())
        np.testing.assert_allclose(found.values.to_numpy(), p, rtol=1e-6)
        return
    obs = pd.read_csv(out / "obs.csv", index_col=0)
    assert list(obs.index) == list(p.index)
    assert obs["moa_1"].dropna().equals(first["moa"].reindex(obs.index).dropna())
    compounds = pd.read_csv(out / "compounds.csv", keep_default_na=False)
    assert set(compounds["in_training"]) <= {"", "compound"} and (compounds["in_training"] == "compound").any()
    mechanisms = pd.read_csv(out / "mechanisms.csv")
    assert mechanisms.groupby("moa")["probability"].apply(lambda each: each.is_monotonic_decreasing).all()
