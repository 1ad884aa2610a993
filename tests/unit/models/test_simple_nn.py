"""The Simple NNs: frame widths of the write-up, and the mistakes of the original that are kept."""

import numpy as np
import pandas as pd
import pytest

from moa.data.assay import COMPETITION
from moa.data.schema import CP_DOSE, CP_TIME, CP_TYPE, GENES, TREATED
from moa.features.pipeline import FeaturePipeline
from moa.models.registry import recipe
from moa.models.simple_nn import features

CONDITIONS = [CP_TYPE, CP_TIME, CP_DOSE]


@pytest.fixture(scope="module")
def fitted(tables):
    found = {}
    for name in ("simple-nn-old-cv", "simple-nn-new-cv"):
        pipeline = features(recipe(name).configure("kaggle"), COMPETITION)
        found[name] = (pipeline, *pipeline.fit_transform(*tables))
    return found


@pytest.mark.parametrize(("name", "width"), [("simple-nn-old-cv", 1089), ("simple-nn-new-cv", 1030)])
def test_frame_widths_before_one_hot_are_the_published_ones(fitted, tables, name, width):
    pipeline, train, test = fitted[name]
    assert pipeline.widths_["treated rows"] == width
    assert list(train.columns) == list(test.columns) and train.shape[1] == width - 1 - 2 + 5
    assert train.index.equals(tables[0].index[tables[0][CP_TYPE] == TREATED])
    assert np.isfinite(train.to_numpy()).all() and np.isfinite(test.to_numpy()).all()


def test_old_cv_loses_g0_and_new_cv_keeps_it(fitted):
    assert GENES[0] not in fitted["simple-nn-old-cv"][1].columns
    assert GENES[0] in fitted["simple-nn-new-cv"][1].columns


def test_statistics_of_the_old_cv_are_off_by_one_and_of_the_new_cv_are_not(fitted):
    _, old, _ = fitted["simple-nn-old-cv"]
    _, new, _ = fitted["simple-nn-new-cv"]
    slipped = [*GENES[1:], "c-0"]
    np.testing.assert_allclose(old["g_mean"], old[slipped].mean(axis=1), atol=1e-4)
    np.testing.assert_allclose(new["g_mean"], new[list(GENES)].mean(axis=1), atol=1e-4)
    slipped_cells = [*(f"c-{i}" for i in range(1, 100)), "g-fa-0"]
    np.testing.assert_allclose(old["c_std"], old[slipped_cells].std(axis=1), rtol=1e-3)


def test_each_column_ends_close_to_a_normal_distribution_with_the_controls_in(fitted, tables):
    pipeline, treated, _ = fitted["simple-nn-new-cv"]
    ranks = FeaturePipeline([step for step in pipeline.steps if step.name in ("rank", "second rank")])
    both = pd.concat(ranks.fit_transform(*(table.drop(columns=CONDITIONS) for table in tables)))
    both = both[[*GENES[:50], *(f"c-{i}" for i in range(50))]]
    np.testing.assert_allclose(both.loc[treated.index], treated[both.columns], rtol=1e-6)
    assert both.median().abs().max() < 0.05
    # Cells have ties at -10, which all get the lowest score: quartiles say more than the standard deviation.
    assert ((both.quantile(0.75) - both.quantile(0.25)) / 1.349).between(0.85, 1.15).all()
