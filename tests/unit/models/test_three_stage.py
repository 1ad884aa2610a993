"""The 3-stage NN: widths of the write-up."""

from moa.data.assay import COMPETITION
from moa.models import three_stage
from moa.models.registry import recipe

THREE = "three-stage-nn-5fold"


def test_three_stage_widths_are_the_published_ones(tables, joined):
    config = recipe(THREE).configure()
    first = three_stage.features(config, COMPETITION)
    x, test = first.fit_transform(*tables)
    assert first.widths_["treated rows"] == 1085 and x.shape[1] == test.shape[1] == 1087
    without_umap = recipe(THREE).configure(overlay={"gene_umap": 0})
    second = three_stage.features(without_umap, COMPETITION, "stage1")
    x, _ = second.fit_transform(*joined("stage1", 331))
    assert second.widths_["treated rows"] == 1416 - 70 and x.shape[1] == 1418 - 70
