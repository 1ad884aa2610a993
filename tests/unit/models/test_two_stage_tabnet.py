"""The 2-stage NN + TabNet: widths of the write-up."""

from moa.data.assay import COMPETITION
from moa.data.schema import CP_TYPE
from moa.models import two_stage_tabnet
from moa.models.registry import recipe

TABNET = "two-stage-nn-tabnet"


def test_tabnet_reads_1397_columns_with_the_condition_codes_first(joined):
    config = recipe(TABNET).configure()
    x, _ = two_stage_tabnet.tabnet_features(config.tabnet, COMPETITION, True).fit_transform(*joined("stage1", 331))
    assert x.shape[1] == 1397 and list(x.columns[:2]) == ["cp_time", "cp_dose"]
    assert set(x["cp_time"]) == {0, 1, 2} and set(x["cp_dose"]) == {0, 1}
    assert sum(column.endswith("_sum") for column in x) == 0


def test_stage_one_of_tabnet_keeps_the_columns_that_vary_among_the_training_rows(tables):
    config = recipe(TABNET).configure(overlay={"nonscored": {"gene_umap": 0}})
    train, test = tables
    pipeline = two_stage_tabnet.nonscored_features(config.nonscored, COMPETITION)
    # Test rows are ranked with the training rows; here they lie so far out that these hardly differ in some columns.
    squeezed = list(COMPETITION.groups[1].columns[:10])
    far = test.assign(**{column: 10.0 for column in squeezed})
    train = train.assign(**{column: 1.0 for column in squeezed})
    x, _ = pipeline.fit_transform(train, far)
    (step,) = [step for step in pipeline.fitted_ if step.name == "varying"]
    ranked = pipeline.fitted_[0].transformer.transform(train[list(COMPETITION.values)].to_numpy(float))
    varying = ranked.var(axis=0) > 0.5
    kept = [column for column, varies in zip(COMPETITION.values, varying, strict=True) if varies]
    assert [column for column in step.outputs if column in COMPETITION.values] == kept
    assert set(squeezed).isdisjoint(x) and len(kept) > 700
    assert x.filter(like="-pca-").shape[1] > 0 and CP_TYPE not in x
