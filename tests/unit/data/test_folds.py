"""The cross-validation schemes: partition, stratification, whole drugs, reproducibility."""

import numpy as np
import pandas as pd
import pytest

from moa.data.folds import SMALL_DRUG_ROWS, Folds, drug_aware_folds, multilabel_folds, shuffled_folds
from moa.errors import UserError


@pytest.fixture
def labelled():
    rng = np.random.default_rng(0)
    drugs = np.repeat([f"drug-{i:03d}" for i in range(120)], 6).tolist() + ["big-1"] * 60 + ["big-2"] * 19
    label_of = {drug: rng.random(5) < 0.2 for drug in dict.fromkeys(drugs)}
    index = pd.Index([f"id_{i:05d}" for i in range(len(drugs))], name="sig_id")
    y = pd.DataFrame(np.array([label_of[drug] for drug in drugs], dtype=np.int8), index, [f"t{i}" for i in range(5)])
    order = rng.permutation(len(drugs))
    return y.iloc[order], pd.Series(drugs, index).iloc[order]


@pytest.mark.parametrize("scheme", ["multilabel", "drug-aware", "kfold"])
def test_every_row_has_one_fold_of_even_size(labelled, scheme):
    y, drugs = labelled
    folds = Folds(scheme=scheme, n_splits=5, seed=34).split(y, drugs)
    assert folds.index.equals(y.index)
    counts = folds.value_counts().sort_index()
    assert list(counts.index) == [0, 1, 2, 3, 4]
    assert counts.max() - counts.min() <= (60 if scheme == "drug-aware" else 8)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("targets", [5, 1])
def test_multilabel_folds_spread_each_label(labelled, targets, shuffle):
    y = labelled[0].iloc[:, :targets]
    folds = multilabel_folds(y, 5, seed=0, shuffle=shuffle)
    positives = y.groupby(folds).sum()
    assert (positives.max() - positives.min() <= 2).all()


def test_drug_aware_folds_keep_small_drugs_whole_and_split_large_ones(labelled):
    y, drugs = labelled
    folds = drug_aware_folds(y, drugs)
    folds_of_drug = folds.groupby(drugs).nunique()
    sizes = drugs.value_counts()
    assert (folds_of_drug[sizes[sizes <= SMALL_DRUG_ROWS].index] == 1).all()
    assert (folds_of_drug[["big-1", "big-2"]] == 5).all()


def test_drug_of_18_rows_is_small_and_of_19_is_large():
    index = pd.Index([f"id_{i}" for i in range(18 + 19 + 60)], name="sig_id")
    drugs = pd.Series(["d18"] * 18 + ["d19"] * 19 + [f"s{i // 6}" for i in range(60)], index)
    y = pd.DataFrame({"t": np.tile([0, 1], 49)[:97], "u": np.tile([1, 0, 0], 33)[:97]}, index)
    folds = drug_aware_folds(y, drugs)
    assert folds[drugs == "d18"].nunique() == 1
    assert folds[drugs == "d19"].nunique() > 1


def test_same_seed_same_folds_for_any_state_of_the_global_generator(labelled):
    y, drugs = labelled
    np.random.seed(1)
    first = [multilabel_folds(y, 5, 0), drug_aware_folds(y, drugs), shuffled_folds(y, 5, 7)]
    np.random.seed(2)
    second = [multilabel_folds(y, 5, 0), drug_aware_folds(y, drugs), shuffled_folds(y, 5, 7)]
    for a, b in zip(first, second, strict=True):
        pd.testing.assert_series_equal(a, b)
    assert not shuffled_folds(y, 5, 8).equals(first[2])


def test_kfold_with_the_models_own_seed_differs_by_seed(labelled):
    y, _ = labelled
    scheme = Folds(scheme="kfold", n_splits=5, seed=None)
    assert scheme.per_seed
    assert not scheme.split(y, seed=1).equals(scheme.split(y, seed=2))


def test_splits_of_the_first_model_seeds_can_have_seeds_of_their_own(labelled):
    y, _ = labelled
    scheme = Folds(scheme="kfold", n_splits=5, seed=None, split_seeds=(512, 0))
    assert scheme.per_seed
    for seed, split_seed in ((0, 512), (1, 0), (2, 2)):
        pd.testing.assert_series_equal(scheme.split(y, seed=seed), shuffled_folds(y, 5, split_seed))
    fixed = scheme.model_copy(update={"seed": 7})
    pd.testing.assert_series_equal(fixed.split(y, seed=0), shuffled_folds(y, 5, 7))


def test_drug_aware_without_drugs_says_what_is_missing(labelled):
    y, drugs = labelled
    with pytest.raises(UserError, match="train_drug.csv"):
        Folds(scheme="drug-aware", n_splits=5).split(y)
    with pytest.raises(UserError, match=str(y.index[3])):
        drug_aware_folds(y, drugs.drop(y.index[3]))


def test_more_folds_than_rows_is_refused():
    with pytest.raises(UserError, match="5 folds"):
        Folds(scheme="kfold", n_splits=5).split(pd.DataFrame({"t": [0, 1]}))
