"""The 2-stage NN + TabNet: widths of the write-up."""

import pandas as pd

from moa.data.schema import COMPETITION
from moa.models import two_stage_tabnet
from moa.models.registry import recipe

THREE, TABNET = "three-stage-nn-5fold", "two-stage-nn-tabnet"


def test_tabnet_reads_1397_columns_with_the_condition_codes_first(frames):
    config = recipe(TABNET).configure()
    x, _ = two_stage_tabnet.tabnet_features(config.tabnet, COMPETITION, True).fit_transform(*frames[1])
    assert x.shape[1] == 1397 and list(x.columns[:2]) == ["cp_time", "cp_dose"]
    assert set(x["cp_time"]) == {0, 1, 2} and set(x["cp_dose"]) == {0, 1}
    assert sum(column.endswith("_sum") for column in x) == 0


def test_stage_one_of_tabnet_keeps_the_columns_that_vary(frames):
    config = recipe(TABNET).configure(overlay={"nonscored": {"gene_umap": 0}})
    x, test = two_stage_tabnet.nonscored_features(config.nonscored, COMPETITION).fit_transform(*frames[0])
    kept = x.drop(columns=[column for column in x if column.startswith("cp_")])
    both = pd.concat([kept, test])
    assert both[kept.columns].var().min() > 0.5
    assert x.filter(like="-pca-").shape[1] > 0
