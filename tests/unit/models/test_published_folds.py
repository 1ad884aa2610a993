"""The folds of the published models, row by row: the original's procedure replayed on synthetic labels."""

import numpy as np
import pandas as pd
import pytest
from iterstrat.ml_stratifiers import MultilabelStratifiedKFold, RepeatedMultilabelStratifiedKFold
from sklearn.model_selection import KFold

from moa.data.assay import COMPETITION
from moa.models.registry import recipe
from support import naive_folds

FIVE, TEN = "three-stage-nn-5fold", "three-stage-nn-10fold"
CLIPPED = (0.0005, 0.9995)


@pytest.fixture(scope="module")
def labels():
    """Rare labels of drugs, 6 rows each and some drugs larger, in shuffled order; most rows have none."""
    rng = np.random.default_rng(0)
    sizes = [*[6] * 60, *[1, 7, 13, 18] * 5, 19, 45]
    drugs = np.repeat([f"drug-{i:03d}" for i in rng.permutation(len(sizes))], sizes)
    of_drug = {drug: rng.random(206) < 0.01 for drug in dict.fromkeys(drugs)}
    order = rng.permutation(len(drugs))
    index = pd.Index([f"id_{i:05d}" for i in rng.permutation(len(drugs))], name="sig_id")
    y = pd.DataFrame(np.array([of_drug[drug] for drug in drugs[order]]), index).add_prefix("t")
    return y.astype(np.float32), pd.Series(drugs[order], index)


def folds_of(model, stage, labels, seed=None):
    y, drugs = labels
    stages = {each.name: each for each in recipe(model).stages(recipe(model).configure(), COMPETITION)}
    return stages[stage].folds.split(y, drugs, seed).to_numpy()


@pytest.mark.parametrize(
    ("model", "stage", "n_splits", "seed", "clip"),
    [
        ("simple-nn-old-cv", "nn", 5, 42, None),
        (FIVE, "stage1", 5, 1903, CLIPPED),
        (FIVE, "stage2", 5, 4, None),
        (FIVE, "stage3", 5, 4, CLIPPED),
        (TEN, "stage1", 10, 1903, CLIPPED),
        (TEN, "stage2", 10, 4, None),
        (TEN, "stage3", 10, 4, CLIPPED),
    ],
)
def test_unshuffled_folds_are_those_of_numpys_own_generator(labels, model, stage, n_splits, seed, clip):
    expected = naive_folds.replayed(labels[0], n_splits, seed, clip)
    np.testing.assert_array_equal(folds_of(model, stage, labels), expected)
    other = naive_folds.replayed(labels[0], n_splits, seed + 1, clip)
    assert not np.array_equal(expected, other), "the seed decides"


def test_folds_of_stages_with_clipped_targets_do_not_know_the_labels(labels):
    y, drugs = labels
    shuffled = y.sample(frac=1, random_state=0).set_axis(y.index), drugs
    for stage, known in (("stage1", False), ("stage2", True), ("stage3", False)):
        same = np.array_equal(folds_of(FIVE, stage, labels), folds_of(FIVE, stage, shuffled))
        assert same != known


def test_drugs_enter_the_stratification_by_their_number_of_rows(labels):
    y, drugs = labels
    found = folds_of("simple-nn-new-cv", "nn", labels)
    np.testing.assert_array_equal(found, naive_folds.by_drug(y, drugs))
    # Renaming the drugs changes their alphabetical order and must change nothing; the rows' order does.
    renamed = drugs.map({drug: f"{drug[::-1]}-{drug}" for drug in set(drugs)})
    np.testing.assert_array_equal(folds_of("simple-nn-new-cv", "nn", (y, renamed)), found)
    backwards = folds_of("simple-nn-new-cv", "nn", (y[::-1], drugs[::-1]))[::-1]
    assert not np.array_equal(backwards, found)


def test_folds_of_stage_1_of_the_2_stage_nn_are_drawn_from_the_generator_as_seeded_last(labels):
    found = []
    for seed, seeded_last in enumerate((512, 0, 1, 2, 3)):  # the features are seeded with 512, then each network
        np.random.seed(seeded_last)
        expected = naive_folds.numbered(
            RepeatedMultilabelStratifiedKFold(n_splits=10, n_repeats=1), labels[0].to_numpy()
        )
        found.append(folds_of("two-stage-nn-tabnet", "stage1", labels, seed))
        np.testing.assert_array_equal(found[-1], expected)
    assert len({folds.tobytes() for folds in found}) == 5, "redrawn for each seed"
    other = folds_of("two-stage-nn-tabnet", "stage1", labels, 7)
    assert other.tobytes() not in {folds.tobytes() for folds in found}, "other model seeds split by themselves"


def test_folds_of_tabnet_are_shuffled_stratified_and_redrawn_for_each_seed(labels):
    y, _ = labels
    found = {seed: folds_of("two-stage-nn-tabnet", "tabnet", labels, seed) for seed in (0, 1)}
    for seed, folds in found.items():
        splitter = MultilabelStratifiedKFold(n_splits=10, shuffle=True, random_state=seed)
        np.testing.assert_array_equal(folds, naive_folds.numbered(splitter, y.to_numpy()))
    assert not np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], naive_folds.replayed(y, 10, 0)), "unshuffled ones are others"


@pytest.mark.parametrize("stage", ["phase1", "phase2"])
def test_two_heads_folds_are_shuffled_by_the_model_seed(labels, stage):
    found = folds_of("two-heads", stage, labels, 404)
    expected = naive_folds.numbered(KFold(10, shuffle=True, random_state=404), labels[0])
    np.testing.assert_array_equal(found, expected)


def test_cnn_folds_are_shuffled_by_1120(labels):
    splitter = MultilabelStratifiedKFold(n_splits=10, shuffle=True, random_state=1120)
    found = folds_of("deepinsight-resnest-v1", "cnn", labels)
    np.testing.assert_array_equal(found, naive_folds.numbered(splitter, labels[0].to_numpy()))
