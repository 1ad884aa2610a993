"""Which rows each transformer of the recipes is fitted on: training rows, test rows, and control rows or not."""

import numpy as np
import pytest

from moa.data.assay import COMPETITION
from moa.data.schema import CELLS, CP_TYPE, GENES, TREATED
from moa.features import GaussianRank, UMAPEmbedding
from moa.models.registry import recipe
from support.recording import fits_of

TABNET, THREE = "two-stage-nn-tabnet", "three-stage-nn-5fold"
TRAIN, BOTH, TREATED_TRAIN = "train with controls", "train and test with controls", "treated train"
#: Rows of each fit, by model, stage and step. A step's encoders of conditions learn nothing.
ROWS = {
    ("simple-nn-old-cv", "nn"): {
        "rank": TRAIN,
        "g-fa": BOTH,
        "c-fa": BOTH,
        "second rank": BOTH,
        "g-cluster": BOTH,
        "c-cluster": BOTH,
    },
    ("simple-nn-new-cv", "nn"): {"rank": TRAIN, "g-fa": BOTH, "c-fa": BOTH, "second rank": BOTH},
    (THREE, "stage1"): {"g-fa": BOTH, "c-fa": BOTH, "g-umap": BOTH, "c-umap": BOTH, "rank": BOTH},
    (THREE, "stage2"): {
        "g-fa": BOTH,
        "c-fa": BOTH,
        "g-umap": BOTH,
        "c-umap": BOTH,
        "rank": BOTH,
        "stage1 rank": TREATED_TRAIN,
    },
    (THREE, "stage3"): {"stage2 rank": TREATED_TRAIN},
    (TABNET, "stage1"): {
        "rank": BOTH,
        "g-pca": TRAIN,
        "c-pca": TRAIN,
        "g-umap": TRAIN,
        "c-umap": TRAIN,
        "varying": TRAIN,
    },
    (TABNET, "tabnet"): {
        "rank": TRAIN,
        "g-fa": BOTH,
        "c-fa": BOTH,
        "g-cluster": BOTH,
        "c-cluster": BOTH,
        "stage1 rank": TREATED_TRAIN,
    },
}
LEARN_NOTHING = {"treated rows", "conditions", "codes", "statistics"}


@pytest.fixture(scope="module")
def fits(tables, joined):
    """A function: a model and a stage to its fits, those of frames with predictions of the earlier stage."""
    kept = {}

    def fitted(model, stage):
        if (model, stage) not in kept:
            stages = {each.name: each for each in recipe(model).stages(recipe(model).configure(), COMPETITION)}
            uses = stages[stage].uses
            frames = joined(*uses, 331 if uses == ("stage1",) else 206) if uses else tables
            kept[model, stage] = fits_of(stages[stage].features(), *frames)
        return kept[model, stage]

    return fitted


@pytest.fixture(scope="module")
def counts(tables):
    train, test = tables
    return {TRAIN: len(train), BOTH: len(train) + len(test), TREATED_TRAIN: (train[CP_TYPE] == TREATED).sum()}


@pytest.mark.parametrize(("model", "stage"), list(ROWS))
def test_rows_of_each_fit(fits, counts, model, stage):
    found = {name: len(fit.X) for name, fit in fits(model, stage).items() if name not in LEARN_NOTHING}
    assert found == {name: counts[rows] for name, rows in ROWS[model, stage].items()}
    assert len(set(counts.values())) == 3


@pytest.mark.parametrize(("model", "stage"), list(ROWS))
def test_controls_leave_the_table_before_folds_and_training(tables, joined, model, stage):
    stages = {each.name: each for each in recipe(model).stages(recipe(model).configure(), COMPETITION)}
    steps = stages[stage].features().steps
    (place,) = [number for number, step in enumerate(steps) if step.output == "rows"]
    later = {step.name for step in steps[place + 1 :]}
    assert later <= {"stage1 rank", "stage2 rank", "all but predictions", "conditions"}


def test_pca_and_umap_of_tabnets_first_stage_see_ranks_of_the_training_rows(fits, tables):
    train, test = tables
    found, values = fits(TABNET, "stage1"), list(COMPETITION.values)
    rank = GaussianRank().fit(np.vstack([train[values], test[values]]))
    ranks = dict(zip(values, rank.transform(train[values].to_numpy(float)).T, strict=True))
    for step, columns in (("pca", {"g": GENES, "c": CELLS}), ("umap", {"g": GENES, "c": CELLS})):
        for group, names in columns.items():
            fit = found[f"{group}-{step}"]
            np.testing.assert_array_equal(fit.X, np.column_stack([ranks[name] for name in names]))
            assert fit.transformer.random_state == 512
    for step in ("g-umap", "c-umap"):
        assert isinstance(found[step].transformer, UMAPEmbedding)
        assert not found[step].transformer.keep_fitted, "training rows are placed like new ones"


def test_umap_of_the_three_stages_sees_raw_values_and_keeps_the_fitted_places(fits, tables):
    for step, columns in (("g-umap", GENES), ("c-umap", CELLS)):
        fit = fits(THREE, "stage1")[step]
        np.testing.assert_array_equal(fit.X, np.vstack([table[list(columns)] for table in tables]))
        assert fit.transformer.random_state == 1903 and fit.transformer.keep_fitted


def test_predictions_of_earlier_stages_are_ranked_by_themselves(fits, joined):
    train, _ = joined("stage1", 331)
    for model, stage in ((THREE, "stage2"), (TABNET, "tabnet")):
        np.testing.assert_array_equal(fits(model, stage)["stage1 rank"].X, train.filter(like="stage1:").dropna())


@pytest.mark.parametrize("model", ["two-heads", "two-heads-v2"])
def test_two_heads_fit_scalers_and_pca_on_treated_rows_of_a_folds_training_part(tables, model):
    stage = recipe(model).stages(recipe(model).configure(), COMPETITION)[0]
    treated = tables[0][tables[0][CP_TYPE] == TREATED]
    pipeline = stage.features()
    assert set(fits_of(pipeline, *tables)) <= LEARN_NOTHING | {"selected", "means"}, "nothing else is fitted before"
    inputs = pipeline.transform(tables[0])
    assert inputs.index.equals(treated.index)
    train = inputs.iloc[::2]
    fits = {seed: fits_of(stage.unit_features(seed), train) for seed in (23, 404)}
    for seed, found in fits.items():
        assert set(found) == {"head 1 scale", "head 2 scale", "g-pca", "c-pca"}
        assert all(len(fit.X) == len(train) for fit in found.values())
        assert {found[step].transformer.random_state for step in ("g-pca", "c-pca")} == {seed}
        scaled = (train[list(GENES)] - train[list(GENES)].mean()) / train[list(GENES)].std(ddof=0)
        np.testing.assert_allclose(found["g-pca"].X, scaled, rtol=1e-3, atol=1e-4)
