"""Columns of text, and absent names, in the steps of a recipe: the error names step and column."""

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from moa.errors import UserError
from moa.features.pipeline import FeaturePipeline, Step, drop, excluding, named

FRAME = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 2)), columns=["a", "b"]).assign(dose="D1")


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([Step("pc", PCA(1), excluding("a"))], "step 'pc' cannot take the column 'dose', which holds text .*'D1'"),
        ([Step("scale", StandardScaler(), named("a"), "in place")], "'dose' still holds text after the last step"),
        ([Step("pc", PCA(1), named("a", "g-7"))], "step 'pc' takes the column 'g-7', which is not there"),
        ([drop("x", named("z"))], "step 'x' takes the column 'z'"),
    ],
)
def test_it_is_reported_in_one_line(steps, message):
    with pytest.raises(UserError, match=message) as caught:
        FeaturePipeline(steps).fit_transform(FRAME, FRAME)
    assert "\n" not in str(caught.value)


def test_other_mistakes_of_a_transformer_are_its_own():
    with pytest.raises(ValueError, match="n_components=9"):
        FeaturePipeline([Step("pc", PCA(9), named("a", "b"))]).fit(FRAME)
