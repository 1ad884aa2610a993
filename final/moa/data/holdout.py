"""Folds that hold out whole compounds: they measure what a model predicts for a compound that it has not seen.

Rows of one compound are alike. Where some of them are trained on, a score on the others says how well a model remembers
compounds. Here every compound is held out as a whole, whatever its number of rows: in several parts, or one compound at
a time. Further columns, such as the week in which a plate was made, can be left out as well: a fold's rows share a part
of the compounds and a week, and its training rows have neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from moa.data.folds import multilabel_folds
from moa.data.schema import COMPOUND
from moa.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from moa.data.dataset import Dataset


@dataclass(frozen=True)
class Held:
    """The folds of some rows.

    Attributes:
        fold: fold of each row, shape (rows,).
        codes: values that a fold's training rows must not share with it, one column for each column that is held out,
            shape (rows, columns); -1 in controls where nothing is shared.
        groups: number of the compound of each row, shape (rows,); controls have numbers of their own.
    """

    fold: np.ndarray
    codes: np.ndarray
    groups: np.ndarray

    def train(self, fold: int) -> np.ndarray:
        """Positions of a fold's training rows.

        Raises:
            UserError: no treated row is left.
        """
        import numpy as np

        inside = self.fold == fold
        own = self.codes[inside & (self.codes[:, 0] >= 0)][0]
        rows = np.flatnonzero(~inside & (self.codes != own).all(axis=1))
        if not (self.codes[rows, 0] >= 0).any():
            raise UserError(f"fold {fold}: no treated row is left to train on; hold out fewer columns")
        return rows


class HoldOut(BaseModel):
    """A scheme that holds out whole compounds, resolved for a data set.

    Attributes:
        columns: what is held out: "compound", or another column of the data set's rows (see
            ``moa.data.dataset.Dataset.facts``), and columns that are left out of a fold's training rows as well.
        parts: number of parts over which the values of the first column are spread, so that each mechanism is in as
            many of them as possible; None: one value at a time.
        n_splits: number of folds that this gives in the data set.
        seed: of the spreading; None: the seed of the model, so that each model seed has its own parts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: tuple[str, ...] = Field((COMPOUND,), min_length=1)
    parts: int | None = Field(None, ge=2)
    n_splits: int = Field(ge=1)
    seed: int | None = 0

    @property
    def per_seed(self) -> bool:
        """Whether each model seed has its own split."""
        return self.seed is None

    @property
    def needs_drugs(self) -> bool:
        """Whether train_drug.csv is needed."""
        return COMPOUND in self.columns

    @property
    def label(self) -> str:
        """Short name, such as "compound-10" or "compound+week-38"."""
        return f"{'+'.join(self.columns)}-{self.n_splits}"

    @classmethod
    def of(cls, columns: tuple[str, ...], parts: int | None, data: Dataset) -> HoldOut:
        """The scheme for a data set.

        With parts, each model seed spreads the values anew: on a plate of few compounds a score depends more on the
        parts than on the seed, so the mean of several seeds is the better estimate, and its spread includes that of the
        parts. Where further columns are left out, the number of folds depends on the parts, so all seeds share them.

        Raises:
            UserError: a column is not known, or there are too few values to hold out.
        """
        if len(set(columns)) < len(columns):
            raise UserError(f"--hold-out {','.join(columns)}: name each column once")
        _, fold = _spread(columns, parts, 0, data)
        n_splits = int(fold.max()) + 1
        drawn = len(columns) == 1 and parts == n_splits
        return cls(columns=columns, parts=parts, n_splits=n_splits, seed=None if drawn else 0)

    def assign(self, data: Dataset, index: pd.Index, seed: int = 0) -> Held:
        """The folds of those training rows whose sig_ids are in ``index``.

        Treated rows are split by their columns, and they alone decide the folds. Controls have no mechanism that could
        be held out: their rows are spread over the folds. The model's ``seed`` is used if the scheme has none.
        """
        import numpy as np
        import pandas as pd

        treated = data.treated
        codes, fold = _spread(self.columns, self.parts, seed if self.seed is None else self.seed, data)
        compounds = data.facts(self.columns[:1], treated)[self.columns[0]]
        rows = pd.DataFrame(codes, compounds.index).assign(fold=fold, group=pd.factorize(compounds)[0])
        controls = pd.DataFrame(-1, data.features.index[~treated].sort_values(), rows.columns)
        controls["fold"] = np.arange(len(controls)) % self.n_splits
        controls["group"] = len(rows) + np.arange(len(controls))
        # Controls that share a further column with a fold are left out of its training rows too.
        for place, column in enumerate(self.columns[1:], 1):
            known = data.facts((column,), treated)[column].drop_duplicates()
            code_of = pd.Series(rows[place].loc[known.index].to_numpy(), known)
            values = data.facts((column,), ~treated)[column].loc[controls.index]
            controls[place] = values.map(code_of).fillna(-1).astype(int)
        found = pd.concat([rows, controls]).loc[index]
        return Held(found["fold"].to_numpy(), found[list(range(codes.shape[1]))].to_numpy(), found["group"].to_numpy())


def _spread(columns: tuple[str, ...], parts: int | None, seed: int, data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Codes, shape (treated rows, columns), and fold of each treated row."""
    import numpy as np
    import pandas as pd

    treated = data.treated
    table = data.facts(columns, treated)
    option = f"--hold-out {','.join(columns)}"
    for column in columns:
        lost = table.index[table[column].isna()]
        if len(lost):
            raise UserError(f"{option}: {len(lost)} treated rows have no {column}, the first is {lost[0]!r}")
    first = table[columns[0]]
    values = pd.Index(sorted(first.unique()))
    if len(values) < 2:
        raise UserError(f"{option}: all treated rows have one {columns[0]}, so there is nothing to hold out")
    if parts is not None and parts < len(values):
        labels = data.scored[treated].groupby(first).max().loc[values]
        part = multilabel_folds(labels.astype("int8"), parts, seed, shuffle=True)
        for empty in sorted(set(range(parts)) - set(part)):  # with few values a draw may leave a part empty
            part[part.index[part == part.mode()[0]][-1]] = empty
    else:
        part = pd.Series(np.arange(len(values)), values)
    others = [pd.factorize(table[column], sort=True)[0] for column in columns[1:]]
    codes = np.column_stack([first.map(part).to_numpy(), *others])
    return codes, np.unique(codes, axis=0, return_inverse=True)[1].reshape(-1)
