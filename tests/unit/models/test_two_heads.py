"""The two-heads recipes: the published columns, widths of the write-up, and what each fold standardises."""

import numpy as np
import pytest

from moa.data.assay import COMPETITION
from moa.data.schema import CELLS, GENES
from moa.features.pipeline import FeaturePipeline
from moa.learners.two_heads.settings import SECOND
from moa.models.registry import recipe
from moa.models.two_heads import PUBLISHED

V1, V2 = "two-heads", "two-heads-v2"
ONE_HOT = ["cp_time_24", "cp_time_48", "cp_time_72", "cp_dose_D1", "cp_dose_D2"]


def inputs(name, tables, y=None, **overlay):
    """A first stage's table for its units, and the pipeline of a unit."""
    model = recipe(name)
    stage = model.stages(model.configure("kaggle", overlay), COMPETITION)[0]
    return stage.features().fit_transform(*tables, y=y)[0], stage.unit_features(23)


def second_input(table):
    return [column.removeprefix(SECOND) for column in table if column.startswith(SECOND)]


def test_the_published_list_of_columns_is_the_default(tables):
    assert len(PUBLISHED) == len(set(PUBLISHED)) == 447
    assert PUBLISHED[:2] == ("g-0", "g-7") and PUBLISHED[346] == "g-771"
    assert PUBLISHED[347:] == CELLS and set(PUBLISHED[:347]) <= set(GENES)
    for name in (V1, V2):
        assert second_input(inputs(name, tables)[0]) == list(PUBLISHED)


def test_a_t_test_selects_columns_where_it_is_chosen(tables, dataset):
    x, unit = inputs(V1, tables, selection="t-test")
    y = dataset.scored.loc[x.index].to_numpy().any(axis=1).astype(int)
    assert not second_input(x), "it is a part of each unit, so that it sees no label of a validation fold"
    found = second_input(unit.fit(x, y).transform(x))
    assert len(found) == 447 and found != list(PUBLISHED)
    x, unit = inputs(V1, tables, selection="t-test", selected=None)
    assert len(second_input(unit.fit(x, y).transform(x))) == 218
    assert len(second_input(unit.fit(x, np.ones(len(x))).transform(x))) == 872, "nothing to compare with"


def test_features_have_the_published_widths(tables):
    widths = {}
    for name in (V1, V2):
        x, unit = inputs(name, tables)
        assert {"g_mean", "c_mean"} <= set(x) and "gc_mean" not in x
        x = unit.fit(x).transform(x)
        second = x.columns.str.startswith(SECOND)
        widths[name] = ((~second).sum(), second.sum())
    assert widths == {V1: (872 + 2 + 2 + 100, 447), V2: (872 + 2 + 50 + 50 + 5, 447)}


@pytest.mark.parametrize(("name", "conditions", "counts"), [(V1, [], (2, 100)), (V2, ONE_HOT, (50, 50))])
def test_the_first_input_has_the_originals_order_of_columns(tables, name, conditions, counts):
    x, unit = inputs(name, tables)
    first = [column for column in unit.fit(x).transform(x) if not column.startswith(SECOND)]
    components = [f"{group}-pca-{i}" for group, count in zip("gc", counts, strict=True) for i in range(count)]
    assert first == [*GENES, *CELLS, *conditions, "g_mean", "c_mean", *components]


@pytest.mark.parametrize("name", [V1, V2])
def test_a_unit_standardises_by_its_own_training_rows(tables, name):
    x, unit = inputs(name, tables)
    train, valid = x.iloc[::2], x.iloc[1::2]
    fitted = unit.fit(train)
    assert isinstance(fitted, FeaturePipeline)
    one_hot = [column for column in x if column.startswith("cp_")]
    assert one_hot == (ONE_HOT if name == V2 else [])
    columns = [
        *COMPETITION.values,
        "g_mean",
        "c_mean",
        *one_hot,
        *(column for column in x if column.startswith(SECOND)),
    ]
    mean, deviation = train[columns].mean(), train[columns].std(ddof=0)
    assert (deviation > 0).all()
    for table in (train, valid):
        found = fitted.transform(table)[columns].astype(np.float64)
        np.testing.assert_allclose(found, (table[columns] - mean) / deviation, rtol=1e-3, atol=1e-4)


def test_principal_components_follow_from_the_model_seed(tables):
    model = recipe(V2)
    stage = model.stages(model.configure(), COMPETITION)[0]
    x = stage.features().fit_transform(*tables)[0]
    found = [stage.unit_features(seed).fit(x).transform(x).filter(like="-pca-") for seed in (23, 23, 404)]
    assert found[0].equals(found[1]) and not np.allclose(found[0].abs(), found[2].abs(), rtol=1e-6)
