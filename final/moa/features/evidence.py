"""What explains predictions of new samples: the labels of the training rows, and the compounds among them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from moa.data.schema import COMPOUND, SIG_ID
from moa.features.base import Transformer
from moa.features.stored import stored

#: Compounds nearest to a sample.
NEAREST = 5
_LONGEST_NAME = 120


@stored
class TrainingEvidence(Transformer):
    """Labels of the training rows, and the median profile of each compound among them.

    With the labels, the out-of-fold predictions of any models of a weights folder can be scored without the data set.
    With the medians, the training compounds most like a new sample are found. A median is stored as its direction, in
    float16, and its length; the cosine with another profile then has three correct digits.

    Args:
        most: largest number of median values stored. Of more compounds those with a label are kept, and of these the
            ones with most rows.
        by_row: store the compound of each row. Fits of earlier versions do not.

    Attributes:
        ids_: sig_id of the training rows as UTF-8, shape (rows,).
        compounds_: place of each row's compound in ``names_``, -1 where it is not known or not kept, shape (rows,).
        positives_: pairs (row, target) that carry a label, shape (labels, 2).
        names_: names of the compounds, shape (compounds,); cut after 120 characters.
        rows_: training rows of each compound, shape (compounds,).
        labels_: pairs (compound, target): a row of the compound carries the label; shape (labels, 2).
        directions_: median profiles, scaled to length 1, float16, shape (compounds, features).
        lengths_: of the medians, shape (compounds,).
        left_out_: number of compounds that are not kept.
    """

    by_row = False  # of fits of earlier versions

    def __init__(self, most: int = 2**22, by_row: bool = True):
        self.most = most
        self.by_row = by_row

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> TrainingEvidence:
        """Learn from treated training rows.

        Args:
            X: text columns sig_id and, where compounds are known, compound; then the features, shape (rows, features).
                Rows without a compound count for none.
            y: 0/1 labels of the same rows, shape (rows, targets).
        """
        labels = np.asarray(y) > 0
        self.ids_ = np.char.encode(X[SIG_ID].to_numpy(dtype=str), "utf-8")
        self.positives_ = np.argwhere(labels).astype(np.int32)
        values = X.drop(columns=[SIG_ID, COMPOUND], errors="ignore").to_numpy(np.float64)
        known = X[COMPOUND] if COMPOUND in X else pd.Series(pd.NA, X.index, dtype="string")
        codes, names = pd.factorize(known, sort=True)
        rows = np.bincount(codes[codes >= 0], minlength=len(names))
        carried = np.zeros((len(names), labels.shape[1]), bool)
        np.logical_or.at(carried, codes[codes >= 0], labels[codes >= 0])
        kept = np.lexsort((np.arange(len(names)), -rows, ~carried.any(axis=1)))
        kept = np.sort(kept[: self.most // max(values.shape[1], 1)])
        self.left_out_ = len(names) - len(kept)
        self.names_ = np.array([str(name)[:_LONGEST_NAME] for name in names[kept]], dtype=str)
        self.rows_ = rows[kept].astype(np.int32)
        if self.by_row:
            places = np.full(len(names) + 1, -1, np.int32)  # the last one: of rows without a compound
            places[kept] = np.arange(len(kept))
            self.compounds_ = places[codes]
        self.labels_ = np.argwhere(carried[kept]).astype(np.int32)
        medians = np.zeros((len(kept), values.shape[1]))
        order = np.argsort(codes, kind="stable")
        ends = np.searchsorted(codes[order], np.arange(len(names) + 1))
        for place, code in enumerate(kept):
            medians[place] = np.median(values[order[ends[code] : ends[code + 1]]], axis=0)
        self.lengths_ = np.linalg.norm(medians, axis=1)
        self.directions_ = _directions(medians).astype(np.float16)
        return self

    def labels(self, targets: list[str]) -> pd.DataFrame:
        """The labels of the training rows, uint8, indexed by sig_id; ``targets`` are their names, as in ``y``."""
        table = np.zeros((len(self.ids_), len(targets)), np.uint8)
        table[self.positives_[:, 0], self.positives_[:, 1]] = 1
        return pd.DataFrame(table, pd.Index(np.char.decode(self.ids_, "utf-8").astype(object), name=SIG_ID), targets)

    def compounds(self) -> pd.Series | None:
        """The compound of each training row, indexed by sig_id; NaN where it is not known or not kept.

        None for a fit of an earlier version, which does not say.
        """
        places = getattr(self, "compounds_", None)
        if places is None:
            return None
        names = np.append(self.names_.astype(object), np.nan)  # place -1
        return pd.Series(names[places], pd.Index(np.char.decode(self.ids_, "utf-8").astype(object), name=SIG_ID))

    def nearest(self, values: np.ndarray, count: int = NEAREST) -> tuple[np.ndarray, np.ndarray]:
        """The compounds whose median profiles have the highest cosine with each sample, the nearest first.

        Args:
            values: features in the order of the fit, shape (rows, features).
            count: compounds per sample; all where there are fewer.

        Returns:
            places in ``names_`` and cosines, each of shape (rows, count).
        """
        cosine = _directions(np.asarray(values, np.float64)).astype(np.float32) @ self.directions_.T.astype(np.float32)
        cosine = np.clip(cosine, -1, 1)
        order = np.argsort(-cosine, axis=1, kind="stable")[:, :count]
        return order, np.take_along_axis(cosine, order, axis=1)


def _directions(values: np.ndarray) -> np.ndarray:
    """Rows of length 1; a row of zeros stays as it is."""
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return values / np.where(length > 0, length, 1)


def evidence_table(features: pd.DataFrame, compounds: pd.Series | None, columns: list[str]) -> pd.DataFrame:
    """The table that `TrainingEvidence` is fitted on.

    Args:
        features: treated training rows, indexed by sig_id.
        compounds: of these rows, where they are known.
        columns: the features to compare by.
    """
    known = {SIG_ID: features.index.to_numpy(dtype=str).astype(object)}
    if compounds is not None:
        known[COMPOUND] = compounds.reindex(features.index).astype("string").to_numpy(dtype=object)
    return pd.concat([pd.DataFrame(known), features[columns].reset_index(drop=True)], axis=1)
