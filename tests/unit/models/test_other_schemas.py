"""The recipes on another schema: one feature group, other conditions or none."""

import numpy as np
import pandas as pd
import pytest

from moa.data.assay import Assay, Condition, Control, FeatureGroup
from moa.errors import UserError
from moa.models.registry import recipe, recipes

TREATMENT = Control(column="kind", values=("vehicle",), treated=("drug",))
GENES = FeatureGroup(name="genes", prefix="g", columns=tuple(f"gene {i}" for i in range(40)))
CONDITIONS = (Condition(column="dose", levels=(0.5, 10.0, 20.0, 40.0)),)
# The published list of columns is of the competition's genes and cells.
SMALLER = {name: {"selection": "t-test", "selected": 10} for name in ("two-heads", "two-heads-v2")}


@pytest.fixture(params=[(), CONDITIONS], ids=["no conditions", "a condition"])
def schema(request):
    return Assay(name="genes alone", control=TREATMENT, conditions=request.param, groups=(GENES,))


def frame(schema, rows, prefix, seed):
    generator = np.random.default_rng(seed)
    columns = {"kind": generator.choice(["drug", "vehicle"], rows)}
    columns |= {each.column: generator.choice(each.levels, rows) for each in schema.conditions}
    columns |= {column: generator.normal(size=rows) for column in schema.values}
    return pd.DataFrame(columns, pd.Index([f"{prefix}{i}" for i in range(rows)], name="sig_id"))


@pytest.mark.parametrize("name", list(recipes()))
def test_the_stages_of_a_recipe_follow_the_schema(name, schema):
    stages = recipe(name).stages(recipe(name).configure("demo", SMALLER.get(name)), schema)
    train, test = frame(schema, 120, "a", 0), frame(schema, 30, "b", 1)
    for stage in stages:
        joined = [
            table.join(pd.DataFrame(0.5, table.index, [f"{each}:moa" for each in stage.uses]))
            for table in (train, test)
        ]
        pipeline = stage.features()
        x, z = pipeline.fit_transform(*joined, y=np.arange(len(train)) % 2)
        assert np.isfinite(x.to_numpy()).all() and list(x) == list(z) and x.columns.is_unique
        assert "g_mean" not in x or x.filter(like="_mean").shape[1] == 1
        assert not [name for name in pipeline.widths_ if name.startswith("c-")], "steps over cells are left out"
        if not schema.conditions:
            assert not {"conditions", "codes", "no conditions"} & set(pipeline.widths_)


@pytest.mark.parametrize("name", list(SMALLER))
def test_the_published_columns_are_refused_where_the_data_lack_them(name, schema):
    with pytest.raises(UserError, match="'g-0', which genes alone lacks; choose selection=\"t-test\"") as caught:
        recipe(name).stages(recipe(name).configure(), schema)[0].features()
    assert "\n" not in str(caught.value)


def test_learners_get_the_number_of_conditions(schema):
    tabnet = recipe("two-stage-nn-tabnet")
    learner = tabnet.stages(tabnet.configure(), schema)[-1].learner
    assert learner.cat_dims == tuple(4 for _ in schema.conditions)
    assert learner.cat_emb_dim == tuple(1 for _ in schema.conditions)
    set_by_hand = tabnet.configure(overlay={"tabnet": {"learner": {"cat_emb_dim": (3,)}}})
    assert tabnet.stages(set_by_hand, schema)[-1].learner.cat_emb_dim == (3,)
    cnn = recipe("deepinsight-resnest-v1")
    stage = cnn.stages(cnn.configure(), schema)[-1]
    assert stage.learner.swap_first == 1 + len(schema.conditions)
    train = frame(schema, 50, "a", 0)
    x = stage.features().fit(train).transform(train)
    assert list(x) == ["kind", *schema.condition_columns, *GENES.columns]
    scaled = stage.unit_features(0).fit(x.iloc[:40]).transform(x)
    assert set(scaled.dtypes) == {np.dtype(np.float64)} and scaled.iloc[:40].to_numpy().max() == 1
    assert scaled.to_numpy().min() >= 0 and scaled.to_numpy().max() <= 1
