"""A small screen of an assay of its own, as a data set in memory."""

import numpy as np
import pandas as pd

from moa.data.assay import Assay
from moa.data.dataset import Dataset

#: Settings that make each recipe train in a second, and the stage that predicts from the features.
SMALL = {
    "simple-nn-old-cv": {"learner": {"hidden": 16, "epochs": 3}, "gene_clusters": 4},
    "simple-nn-new-cv": {"learner": {"hidden": 16, "epochs": 3}},
    "three-stage-nn-5fold": {
        "gene_umap": 0,
        **{f"stage{number}": {"hidden": 16, "epochs": 3} for number in (1, 2, 3)},
    },
    "two-stage-nn-tabnet": {"tabnet": {"learner": {"epochs": 3}, "gene_clusters": 4}},
    "two-heads": {"phase2": {"width": 16, "epochs": 3, "loop_epochs": 2, "loop_rounds": 1}, "gene_components": 2},
    "two-heads-v2": {"phase2": {"width": 16, "epochs": 3, "loop_epochs": 2, "loop_rounds": 1}, "gene_components": 3},
    "deepinsight-resnest-v1": {"learner": {"resolution": 16, "layout": "pca", "epochs": 2, "hidden": 16}},
    "deepinsight-efficientnet-b3": {"learner": {"resolution": 16, "layout": "pca", "epochs": 2, "hidden": 16}},
}


def screen(compounds=24, wells=4, controls=8, seed=0):
    """Wells of compounds at doses: two groups of features, a third of the compounds with each of two mechanisms."""
    rng = np.random.default_rng(seed)
    names = [f"f{number}" for number in range(14)]
    assay = Assay.model_validate(
        {
            "name": "screen",
            "groups": {"Cells": {"columns": names[:8]}, "Nuclei": {"columns": names[8:]}},
            "conditions": [
                {"name": "time", "column": "time", "levels": ["24 hours in the incubator", "24 hours in the dark"]},
                {"name": "dose", "column": "dose", "numeric": "log10"},
            ],
            "control": {"column": "cp_type", "values": ["ctl_vehicle"]},
            "targets": ["kinase", "HDAC"],
            "compound": True,
        }
    )
    rows = compounds * wells + controls
    index = pd.Index([f"w{number:03d}" for number in range(rows)], name="sig_id")
    compound = np.r_[np.repeat(np.arange(compounds), wells), np.full(controls, -1)]
    treated = compound >= 0
    scored = pd.DataFrame({"kinase": treated & (compound % 3 == 1), "HDAC": treated & (compound % 3 == 2)}, index)
    values = rng.normal(size=(rows, 14)) + 2 * scored["kinase"].to_numpy()[:, None] * (np.arange(14) < 5)
    features = pd.DataFrame(
        {
            "cp_type": np.where(treated, np.where(compound == 0, "trt_poscon", "trt_cp"), "ctl_vehicle"),
            "time": rng.choice(assay.levels["time"], rows),
            "dose": np.where(treated, rng.choice([0.1, 1.0, 10.0], rows), np.nan),
        },
        index,
    ).join(pd.DataFrame(values, index, names))
    drugs = pd.Series(compound, index).map(lambda number: f"drug {number:02d}" if number >= 0 else "DMSO")
    hashes = {"train_features.csv": "", "train_targets_scored.csv": "", "train_drug.csv": ""}
    return Dataset(features, scored.astype(np.uint8), None, features.iloc[:0], drugs, None, hashes, assay)
