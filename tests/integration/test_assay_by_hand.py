"""Another assay is one file: an assay.json beside tables that nobody imported."""

import json

import numpy as np
import pandas as pd

from support.screens import SMALL


def test_viabilities_of_cell_lines_at_two_temperatures(tmp_path, moa_here):
    """No genes, no dose, controls called "blank", a numeric condition of its own: no code knows this assay."""
    rng, folder = np.random.default_rng(0), tmp_path / "data"
    lines = [f"line {letter}" for letter in "ABCDEFGHIJKL"]
    rows = pd.Index([f"well {number}" for number in range(100)], name="sig_id")
    compound = np.r_[np.repeat(np.arange(18), 5), np.full(10, -1)]
    toxic = (compound >= 0) & (compound % 3 == 0)
    features = pd.DataFrame({"kind": np.where(compound >= 0, "sample", "blank")}, rows)
    features["light"] = rng.choice(["dark", "lit"], 100)
    features["minutes"] = rng.choice([5.0, 50.0, 500.0], 100)
    features[lines] = rng.normal(size=(100, 12)) - 4 * toxic[:, None]
    labels = pd.DataFrame({"kills cells": toxic, "something else": (compound >= 0) & (compound % 3 == 1)}, rows)
    folder.mkdir()
    features.to_csv(folder / "train_features.csv")
    labels.astype(int).to_csv(folder / "train_targets_scored.csv")
    pd.DataFrame({"drug_id": [f"drug {number}" for number in compound]}, rows).to_csv(folder / "train_drug.csv")
    (folder / "assay.json").write_text(
        json.dumps(
            {
                "format": 1,
                "name": "eleventh",
                "groups": {"viabilities": {"columns": lines}},
                "conditions": [
                    {"column": "light", "levels": ["dark", "lit"]},
                    {"column": "minutes", "numeric": "log10"},
                ],
                "control": {"column": "kind", "values": ["blank"]},
                "targets": list(labels),
                "compound": True,
            }
        )
    )
    assert "12 viabilities" in " ".join(moa_here("data", "check", folder).stdout.split())
    name, common = "simple-nn-new-cv", ("--weights", tmp_path / "weights")
    small = [f"--set=learner.{key}={value}" for key, value in SMALL[name]["learner"].items()]
    moa_here("train", name, "--data", folder, *common, "--seeds", "1", "--parts", "3", *small, "--device", "cpu")
    new = (
        features.iloc[[0, 20, 95]]
        .sample(frac=1, axis=1, random_state=0)
        .set_axis(["x", "y", "z"])
        .rename_axis("sig_id")
    )
    new.to_csv(tmp_path / "new.csv")
    moa_here("predict", "--features", tmp_path / "new.csv", name, *common, "--out", tmp_path / "out", "--device", "cpu")
    found = pd.read_csv(tmp_path / "out" / "probabilities.csv", index_col="sig_id")
    assert list(found) == list(labels) and (found.loc["z"] == 0).all() and (found.loc[["x", "y"]] > 0).all(axis=None)
    assert found.loc["x", "kills cells"] > found.loc["y", "kills cells"], "compound 0 kills, compound 4 does not"
    ranked = pd.read_csv(tmp_path / "out" / "ranked.csv", keep_default_na=False)
    assert ranked.loc[ranked["rank"] == 1, "strongest_features"].str.contains("line ").all()
