"""What the profile learners learn from: mean profiles of treatments, their labels, and splits to choose settings by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from moa.features.pipeline import reference
from moa.learners.base import FoldData
from moa.metrics.calibration import prior_of


@dataclass(frozen=True)
class Treatments:
    """The treatments of a fold's training rows.

    Attributes:
        profiles: mean of a treatment's rows, shape (treatments, features).
        labels: 0/1, shape (treatments, targets).
        compounds: number of each one's compound, shape (treatments,).
        apart: codes of what a fold leaves out besides compounds, shape (treatments,); None: nothing.
        labelled: share of the treatments that have a mechanism.
        variances: of the features over the controls, or over the training rows where there are fewer than six controls,
            shape (features,).
    """

    profiles: np.ndarray
    labels: np.ndarray
    compounds: np.ndarray
    apart: np.ndarray | None
    variances: np.ndarray
    labelled: float = 1.0

    @classmethod
    def of(cls, data: FoldData) -> Treatments:
        """The treatments of ``data.train``; rows that are apart, such as in another week, are treatments of their own.

        Nothing of the other rows is used, but for controls: no fold holds these out.
        """
        rows = np.arange(len(data.X))
        treated = data.train if data.controls is None else data.train[~data.controls[data.train]]
        compounds = rows if data.compounds is None else data.compounds
        keys = [(rows if data.treatments is None else data.treatments)[treated], compounds[treated]]
        keys += [] if data.apart is None else list(data.apart[treated].T)
        values = data.X.to_numpy(np.float64)
        of_row = pd.factorize(pd.MultiIndex.from_arrays(keys))[0]
        _, first, counts = np.unique(of_row, return_index=True, return_counts=True)
        order = np.argsort(of_row, kind="stable")
        sums = np.add.reduceat(values[treated[order]], np.r_[0, np.cumsum(counts)[:-1]], axis=0)
        compared = reference(data.controls, 0)
        compared = compared if len(compared) else data.train
        own = treated[first]
        apart = None if data.apart is None else pd.factorize(pd.MultiIndex.from_arrays(data.apart[own].T))[0]
        return cls(
            sums / counts[:, None],
            data.y.to_numpy(np.float64)[own],
            pd.factorize(compounds[own])[0],
            apart,
            values[compared].var(axis=0),
        )

    def of_one_mechanism(self) -> Treatments:
        """The treatments with a mechanism, where none has several; else all."""
        counts = self.labels.sum(axis=1)
        inside = counts > 0
        if counts.max() > 1 or inside.all() or not inside.any() or self.labels.shape[1] == 1:
            return self
        apart = None if self.apart is None else pd.factorize(self.apart[inside])[0]
        compounds = pd.factorize(self.compounds[inside])[0]
        share = float(inside.mean())
        return Treatments(self.profiles[inside], self.labels[inside], compounds, apart, self.variances, share)

    @property
    def prior(self) -> np.ndarray:
        """Frequency of the mechanisms, shape (targets,)."""
        return prior_of(self.labels.sum(axis=0), len(self.labels))


@dataclass(frozen=True)
class InnerSplits:
    """Splits of the treatments, by which settings are chosen as the fold itself is judged.

    Attributes:
        split: the split in which each treatment is predicted, shape (treatments,).
        train: True for the treatments that a split is fitted on, shape (splits, treatments).
        judged: True for treatments that can be right: the split has all of their mechanisms; shape (treatments,).
        prior: frequency of the mechanisms in each treatment's split, shape (treatments, targets).
    """

    split: np.ndarray
    train: np.ndarray
    judged: np.ndarray
    prior: np.ndarray

    @classmethod
    def of(cls, known: Treatments, most: int, seed: int) -> InnerSplits:
        """Whole compounds held out, in at most ``most`` parts drawn by the seed.

        Where a fold leaves out more than compounds, such as weeks, each week is held out in turn, and its compounds
        are left out of the rest.
        """
        compounds = known.compounds
        if known.apart is not None and known.apart.max() > 0:
            split = known.apart
            shared = np.zeros((split.max() + 1, compounds.max() + 1), bool)
            shared[split, compounds] = True
            train = (split != np.arange(len(shared))[:, None]) & ~shared[:, compounds]
        else:
            count = int(compounds.max()) + 1
            part = np.random.default_rng(seed).permutation(count) % min(most, count)
            split = part[compounds]
            train = split != np.arange(part.max() + 1)[:, None]
        positives = train @ known.labels
        lacking = (known.labels > 0) & (positives[split] == 0)
        judged = ~lacking.any(axis=1) & (positives.sum(axis=1) > 0)[split]
        return cls(split, train, judged, prior_of(positives, train.sum(axis=1))[split])
