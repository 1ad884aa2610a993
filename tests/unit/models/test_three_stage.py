"""The 3-stage NN: widths of the write-up."""

from moa.data.schema import COMPETITION
from moa.models import three_stage
from moa.models.registry import recipe

THREE, TABNET = "three-stage-nn-5fold", "two-stage-nn-tabnet"


def test_three_stage_widths_are_the_published_ones(frames):
    config = recipe(THREE).configure()
    first = three_stage.features(config, COMPETITION)
    x, _ = first.fit_transform(*frames[0])
    assert first.widths_["rank"] == 1085 and x.shape[1] == 1085 - 1 - 2 + 5
    without_umap = recipe(THREE).configure(overlay={"gene_umap": 0})
    second = three_stage.features(without_umap, COMPETITION, "stage1")
    second.fit_transform(*frames[1])
    assert second.widths_["stage1 rank"] == 1416 - 70
