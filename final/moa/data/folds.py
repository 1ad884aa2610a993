"""The cross-validation schemes of the solution. Each returns one fold number per row, indexed by sig_id.

Every command imports this module with the recipes, so numpy, pandas and scikit-learn are imported where rows are split.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from moa.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

#: Number of treated rows up to which the drug-aware scheme keeps a drug in one fold; larger drugs are split by rows.
SMALL_DRUG_ROWS = 18


class Folds(BaseModel):
    """The settings of a cross-validation scheme.

    Attributes:
        scheme: "multilabel": rows stratified by labels ("old CV"); "drug-aware": small drugs stay in one fold ("new
            CV"); "kfold": shuffled rows.
        n_splits: number of folds.
        seed: seed of the split; None uses the seed of the model, so that each model seed has its own split.
        shuffle: only for "multilabel": shuffle the rows first.
        all_positive: only for "multilabel": every target counts as positive in every row, so that nothing is
            stratified. In the original, targets were clipped to 0.0005 before the split, and 0.0005 counts as True.
        split_seeds: only without ``seed``: seeds of the splits of the model seeds 0, 1, 2, …; further model seeds split
            by themselves.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scheme: Literal["multilabel", "drug-aware", "kfold"]
    n_splits: int
    seed: int | None = 0
    shuffle: bool = False
    all_positive: bool = False
    split_seeds: tuple[int, ...] = ()

    @property
    def per_seed(self) -> bool:
        """Whether each model seed has its own split."""
        return self.seed is None

    @property
    def needs_drugs(self) -> bool:
        """Whether train_drug.csv is needed."""
        return self.scheme == "drug-aware"

    @property
    def label(self) -> str:
        """Short name, such as "drug-aware-5"."""
        return f"{self.scheme}-{self.n_splits}"

    def split(self, y: pd.DataFrame, drugs: pd.Series | None = None, seed: int | None = None) -> pd.Series:
        """Assign a fold to each row of ``y``.

        Args:
            y: 0/1 targets, shape (rows, targets), indexed by sig_id.
            drugs: drug_id of the rows, for the drug-aware scheme.
            seed: the model's seed, used if the scheme has no seed.

        Returns:
            fold numbers 0 … n_splits-1, indexed like ``y``.

        Raises:
            UserError: there are fewer rows than folds, or the drug-aware scheme got no ``drugs``.
        """
        if len(y) < self.n_splits:
            raise UserError(f"{self.n_splits} folds need at least as many training rows, and there are {len(y)}")
        state = self._split_seed(seed)
        if self.scheme == "kfold":
            return shuffled_folds(y, self.n_splits, state)
        if self.scheme == "multilabel":
            labels = y >= 0 if self.all_positive else y
            return multilabel_folds(labels, self.n_splits, state, self.shuffle)
        if drugs is None:
            raise UserError("the drug-aware folds (new CV) need train_drug.csv in the data folder")
        return drug_aware_folds(y, drugs, self.n_splits, state)

    def _split_seed(self, seed: int | None) -> int | None:
        """The seed of the split for a model seed."""
        if seed is None or self.seed is not None:
            return self.seed
        return self.split_seeds[seed] if 0 <= seed < len(self.split_seeds) else seed


def _fold_numbers(splits: Iterable[tuple[np.ndarray, np.ndarray]], index: pd.Index) -> pd.Series:
    """The number of the split in which each row of ``index`` is validated."""
    import pandas as pd

    folds = pd.Series(-1, index=index, name="fold", dtype="int64")
    for number, (_, valid) in enumerate(splits):
        folds.iloc[valid] = number
    return folds


def shuffled_folds(y: pd.DataFrame, n_splits: int, seed: int | None) -> pd.Series:
    """K folds over shuffled rows, whatever their labels.

    ``y`` is any table of the rows; ``n_splits`` and ``seed`` are as for `multilabel_folds`, and so is what it returns.
    """
    from sklearn.model_selection import KFold

    return _fold_numbers(KFold(n_splits, shuffle=True, random_state=seed).split(y), y.index)


def multilabel_folds(y: pd.DataFrame, n_splits: int, seed: int | None, shuffle: bool = False) -> pd.Series:
    """Stratify rows by their labels (Sechidis et al. 2011, iterative stratification): the "old CV".

    Without shuffling, the library breaks ties with numpy's global generator. Here a generator seeded with ``seed``
    breaks them, which gives the folds of a notebook that seeds numpy and splits with nothing drawn between.

    Args:
        y: 0/1 targets, shape (rows, targets), indexed by sig_id.
        n_splits: number of folds.
        seed: of the shuffle or of the ties; None: different ones at each call.
        shuffle: shuffle the rows first.

    Returns:
        fold numbers 0 … n_splits-1, indexed like ``y``.
    """
    import numpy as np
    import pandas as pd
    from iterstrat.ml_stratifiers import IterativeStratification, MultilabelStratifiedKFold
    from sklearn.utils import check_random_state

    if shuffle:
        splitter = MultilabelStratifiedKFold(n_splits=n_splits, shuffle=True, random_state=seed)
        labels = np.repeat(y.to_numpy(), 2 if y.shape[1] == 1 else 1, axis=1)  # the library refuses a single target
        return _fold_numbers(splitter.split(labels, labels), y.index)
    ratios = np.full(n_splits, 1 / n_splits)
    folds = IterativeStratification(y.to_numpy().astype(bool), ratios, check_random_state(seed))
    return pd.Series(np.asarray(folds, dtype=np.int64), index=y.index, name="fold")


def drug_aware_folds(y: pd.DataFrame, drugs: pd.Series, n_splits: int = 5, seed: int | None = 34) -> pd.Series:
    """Keep each drug of at most ``SMALL_DRUG_ROWS`` rows in one fold, stratified by the drug's targets: the "new CV".

    A drug is stratified by the targets of any of its rows. Drugs enter in the order of their number of rows, the
    largest first and equal ones by first appearance, which decides the random draws. In the original, equal ones
    entered in the hash order of pandas 1.1's ``value_counts``, and hashes of text differ from process to process: the
    winners' folds cannot be reproduced, not even by their own code. With another order of ties 22 % of the rows are in
    the fold of the same number, and chance gives 20 %. The test set has drugs that are
    not in the training data, so folds that hold out whole drugs measure what the leaderboard measures. Drugs with many
    rows are assumed to be in the test set too, so their rows are stratified one by one.

    ``y`` with ``n_splits`` and ``seed`` are as for `multilabel_folds`, and so is what it returns. ``drugs`` holds the
    drug_id of each row, indexed by sig_id.

    Raises:
        UserError: a row has no drug_id.
    """
    import pandas as pd

    drugs = drugs.reindex(y.index)
    if drugs.isna().any():
        lost = drugs.index[drugs.isna()][0]
        raise UserError(f"train_drug.csv: no drug_id for sig_id {lost}, which the drug-aware folds need")
    rows_of_drug = drugs.map(drugs.value_counts())
    small = rows_of_drug <= SMALL_DRUG_ROWS
    folds = pd.Series(-1, index=y.index, name="fold")
    if small.any():
        # By first appearance among equal counts, as value_counts has it since pandas 1.2.
        rows = drugs[small].groupby(drugs[small], sort=False).size().sort_values(ascending=False, kind="stable")
        by_drug = y[small].groupby(drugs[small]).mean().loc[rows.index]
        fold_of_drug = multilabel_folds((by_drug > 0).astype("int8"), n_splits, seed, shuffle=True)
        folds[small] = drugs[small].map(fold_of_drug).to_numpy()
    if (~small).any():
        folds[~small] = multilabel_folds(y[~small], n_splits, seed, shuffle=True).to_numpy()
    return folds
