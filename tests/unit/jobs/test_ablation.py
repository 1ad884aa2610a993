"""Ablations: arms differ only in what they name, and are compared on the same rows."""

import numpy as np
import pandas as pd
import pytest

from moa.data.assay import COMPETITION
from moa.errors import UserError
from moa.jobs.ablation import compare
from moa.jobs.writeup_claims import ABLATIONS, Arm
from moa.metrics.losses import log_loss
from moa.models.registry import recipe

COMPARISONS = [(each.name, arms) for each in ABLATIONS.values() for arms in each.comparisons]
IDS = [f"{name}-{arms[0].model}" for name, arms in COMPARISONS]


def stages_of(arm, profile="kaggle"):
    model = recipe(arm.model)
    found = {stage.name: stage for stage in model.stages(model.configure(profile, arm.overlay), COMPETITION)}
    return dict(list(found.items())[: list(found).index(arm.stage) + 1]) if arm.stage else found


@pytest.mark.parametrize(("name", "arms"), COMPARISONS, ids=IDS)
def test_arms_are_valid_and_the_base_is_the_published_model(name, arms):
    assert not arms[0].overlay and arms[0].stage is None
    for profile in ("kaggle", "demo"):
        for arm in arms:
            assert list(stages_of(arm, profile).values())[-1].targets == "scored"
    assert len({arm.label for arm in arms}) == len(arms) > 1
    if name in ("meta-features", "smoothing", "umap"):
        assert recipe(arms[1].model).configure("kaggle", arms[1].overlay) != recipe(arms[0].model).config


@pytest.mark.parametrize("arms", ABLATIONS["umap"].comparisons, ids=lambda arms: arms[0].model)
def test_without_umap_there_is_none(arms):
    with_umap, without = (
        [step.name for stage in stages_of(arm).values() for step in stage.features().steps] for arm in arms
    )
    assert {"g-umap", "c-umap"} <= set(with_umap) and not {"g-umap", "c-umap"} & set(without)


def test_without_meta_features_no_stage_reads_nonscored_targets():
    for _, without in ABLATIONS["meta-features"].comparisons:
        assert all(stage.targets == "scored" for stage in stages_of(without).values())


def test_names_of_folders_tell_the_changes():
    assert Arm("", "m").name == "m"
    assert Arm("", "m", {"a": {"b": 0}, "c": False}, "stage2").name == "m+a.b=0,c=False"
    arms = [arm for _, arms in COMPARISONS for arm in arms]
    settings = {(arm.name, str(recipe(arm.model).configure("kaggle", arm.overlay))) for arm in arms}
    assert len(settings) == len({name for name, _ in settings}), "a folder for each configuration"


@pytest.fixture
def made_up():
    """60 rows of ten drugs, equal within a drug; a base, and an arm that is better on some drugs, worse on others."""
    rng = np.random.default_rng(0)
    index = pd.Index([f"id_{i:02d}" for i in range(60)], name="sig_id")
    drugs = pd.Series(np.repeat([f"drug_{i}" for i in range(10)], 6), index)
    y = pd.DataFrame(np.repeat(rng.random((10, 4)) < 0.3, 6, axis=0).astype(np.uint8), index, list("abcd"))
    base = pd.DataFrame(np.full(y.shape, 0.3), index, y.columns)
    return y, drugs, base, base + np.repeat(rng.normal(0, 0.1, (10, 4)), 6, axis=0).clip(-0.25, 0.25)


def test_differences_are_those_of_the_log_loss_on_the_rows_that_all_cover(made_up):
    y, drugs, base, other = made_up
    table = compare({"base": base.iloc[:50], "same": base.iloc[::-1], "other": other.iloc[6:]}, y, drugs)
    rows = y.index[6:50]
    assert list(table["variant"]) == ["base", "same", "other"] and (table["rows"] == 44).all()
    assert table["log_loss"][2] == pytest.approx(log_loss(y.loc[rows], other.loc[rows]))
    assert table["difference"][2] == pytest.approx(table["log_loss"][2] - table["log_loss"][0])
    assert table.loc[1, ["difference", "low", "high"]].eq(0).all() and table.loc[0, ["difference", "low"]].isna().all()
    assert table["low"][2] < table["difference"][2] < table["high"][2]


def test_rows_of_a_drug_are_drawn_together(made_up):
    y, drugs, base, other = made_up
    width = [
        compare({"base": base, "other": other}, y, groups).iloc[1][["high", "low"]].diff().abs().iloc[1]
        for groups in (None, drugs)
    ]
    assert 1.8 < width[1] / width[0] < 3.0, "six alike rows weigh as one: the interval is sqrt(6) as wide"


def test_arms_without_a_common_row_are_refused(made_up):
    y, _, base, other = made_up
    with pytest.raises(UserError, match="base, other: no treated row"):
        compare({"base": base.iloc[:10], "other": other.iloc[10:]}, y)
