"""How far a blend's predictions of each mechanism can be trusted: its out-of-fold predictions of the training rows.

Only the weights folder is read: it holds the out-of-fold predictions of every unit, and the training rows' labels and
compounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd

from moa.blending.blend import BlendSpec, effective_weights
from moa.data.compounds import compound_key
from moa.features import TrainingEvidence
from moa.metrics.intervals import auc_interval
from moa.metrics.likeliest import likeliest
from moa.metrics.losses import log_loss
from moa.metrics.pooling import pool
from moa.metrics.ranking import column_areas
from moa.progress import progress
from moa.weights.trained import Trained
from moa.words import counted

#: Borders of the ranges of probability within which hits are counted, between 0 and 1.
EDGES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.5)
#: A mechanism of fewer training compounds than this is marked.
LEAST_COMPOUNDS = 5
#: What a caution means, wherever one is shown.
CAUTION = (
    f"A mechanism has a caution where fewer than {LEAST_COMPOUNDS} training compounds have it, or where its "
    "out-of-fold AUC could not be measured or may be 0.5, that of chance (95 % interval)."
)
#: What is said of a sample that was in training itself, or whose compound was: its predictions are out of fold.
OWN_WELL, OWN_COMPOUND = "well", "compound"
#: Borders of the ranges of distance within which errors are counted: shares of the training rows that are nearer.
DISTANCES = (0.5, 0.8, 0.95, 0.99)


@dataclass(frozen=True)
class Trust:
    """What is said of new samples beside their predictions; small enough to be sent to processes.

    Attributes:
        cautions: why a mechanism is marked, by target; only those that are.
        distances: as of `Reliability`.
        rows: sig_id of the training rows.
        compounds: keys of their compounds.
    """

    cautions: pd.Series = field(default_factory=lambda: pd.Series(dtype=object))
    distances: np.ndarray | None = None
    rows: frozenset[str] = frozenset()
    compounds: frozenset[str] = frozenset()

    def in_training(self, ids: pd.Index, compounds: pd.Series | None) -> np.ndarray:
        """Whether samples were in training: "well", "compound" where only the compound was, or ""; shape (samples,).

        ``ids`` are their sig_ids, and ``compounds`` their compounds in this order; None or NaN: not known.
        """
        found = np.full(len(ids), "", dtype=object)
        if compounds is not None:
            keys = {name: compound_key(name) for name in compounds.dropna().unique()}
            found[compounds.map(keys).isin(self.compounds).to_numpy()] = OWN_COMPOUND
        found[ids.isin(self.rows)] = OWN_WELL
        return found

    def right_at(self, share_nearer: np.ndarray) -> np.ndarray:
        """How often training rows about as far away were right out of fold, shape (samples,); NaN if not known.

        ``share_nearer`` is the share of training rows that are nearer, shape (samples,).
        """
        if self.distances is None:
            return np.full(len(share_nearer), np.nan)
        return self.distances[np.searchsorted(DISTANCES, share_nearer, side="right"), 0]


@dataclass(frozen=True)
class Reliability:
    """Out-of-fold measures of a blend.

    Attributes:
        rows: treated training rows that at least one member covers.
        table: one row per target: positives (rows), compounds (with the target), roc_auc, low and high (its interval),
            average_precision, and caution (why the mechanism is marked; empty where it is not). The area and its
            interval are over compounds where they are known. NaN where a measure is not defined.
        counts: of each target and range of probability between ``EDGES``, the number of rows given such a probability;
            shape (targets, ranges).
        hits: how many of them carry the target, same shape.
        loss, prevalence_loss: log loss of the predictions, and of each target's share of positive rows.
        share: weight of the members that cover a row, mean over rows; 1 where all folds of all members are trained.
        oof: the predictions, shape (rows, targets), indexed by sig_id.
        compounds: of these rows; None where the weights do not say.
        held_out: columns whose values the folds of all members hold out, such as "compound"; none where a member's
            folds split rows.
        distances: share of right answers among the labelled rows of each range between ``DISTANCES``, NaN without rows,
            and their number, shape (ranges, 2); None where the weights do not say how far the rows lie.
    """

    rows: int
    table: pd.DataFrame
    counts: np.ndarray
    hits: np.ndarray
    loss: float
    prevalence_loss: float
    share: float = 1.0
    oof: pd.DataFrame = field(default_factory=pd.DataFrame)
    compounds: pd.Series | None = None
    held_out: tuple[str, ...] = ()
    distances: np.ndarray | None = None

    @property
    def trust(self) -> Trust:
        """What is said of new samples."""
        found = self.table["caution"]
        return Trust(found[found != ""], self.distances, frozenset(self.oof.index), frozenset(self.by_compound.index))

    @cached_property
    def by_compound(self) -> pd.DataFrame:
        """The predictions of each training compound, by the key of its name; no rows where compounds are not known."""
        if self.compounds is None or self.compounds.isna().all():
            return self.oof.iloc[:0]
        names = self.compounds.dropna()
        keys = names.map({name: compound_key(name) for name in names.unique()})
        return pool(self.oof.loc[keys.index], keys)


def reliability(
    spec: BlendSpec, models: Sequence[Trained], evidence: TrainingEvidence | None = None, raw: bool = False
) -> Reliability | None:
    """Score a blend's out-of-fold predictions; while folds are missing, of each row the members that cover it.

    Args:
        spec: the blend.
        models: its members that are trained.
        evidence: has the labels; None: that of the first member that has one.
        raw: take predictions before calibration.

    Returns:
        the measures; None where the weights hold no labels, or no predicted row has one.
    """
    evidence = evidence or next((found for each in models if (found := each.evidence()) is not None), None)
    if evidence is None:
        return None
    tables: dict[str, pd.DataFrame] = {}
    with progress("reliability", len(models)) as bar:
        for done, trained in enumerate(models, 1):
            tables[trained.model.name] = trained.oof() if raw else trained.calibrated_oof()
            bar.update(done, trained.model.name)
    targets = list(next(iter(tables.values())).columns)
    y, used = evidence.labels(targets), effective_weights(spec, list(tables), "renormalise")
    total, weight = np.zeros(y.shape), np.zeros(len(y))
    for name, table in tables.items():
        covered = y.index.isin(table.index)
        total[covered] += used[name] * table.loc[y.index[covered], targets].to_numpy(np.float64)
        weight[covered] += used[name]
    rows = weight > 0
    if not rows.any():
        return None
    mixed = pd.DataFrame(total[rows] / weight[rows, None], y.index[rows], targets)
    compounds = evidence.compounds()
    known = None if compounds is None or compounds.isna().all() else compounds[rows]
    return replace(
        measured(y[rows], mixed, known),
        share=float(weight[rows].mean() / used.sum()),
        held_out=_held_out(models),
        distances=_by_distance(models, y, mixed),
    )


def measured(y: pd.DataFrame, p: pd.DataFrame, compounds: pd.Series | None = None) -> Reliability:
    """Measures of probabilities ``p`` of 0/1 labels ``y``, both of shape (rows, targets) in the same order.

    ``compounds`` are those of the rows; None: not known, and each row counts for itself.
    """
    table = column_areas(y, p)
    table.insert(0, "positives", y.to_numpy(np.int64).sum(axis=0))
    place = np.searchsorted(EDGES, p.to_numpy(np.float64), side="right")
    ranges, positive = np.arange(len(EDGES) + 1), y.to_numpy() > 0
    counts = np.stack([(place == each).sum(axis=0) for each in ranges], axis=1)
    hits = np.stack([((place == each) & positive).sum(axis=0) for each in ranges], axis=1)
    table = table.join(_over_compounds(y, p, compounds))
    if compounds is not None:
        table["roc_auc"] = table.pop("compound_auc")
    table["caution"] = [_caution(*each) for each in table[["compounds", "roc_auc", "low", "high"]].to_numpy()]
    shares = pd.DataFrame(np.tile(y.mean().to_numpy(np.float64), (len(y), 1)), y.index, y.columns)
    return Reliability(len(y), table, counts, hits, log_loss(y, p), log_loss(y, shares), oof=p, compounds=compounds)


def _over_compounds(y: pd.DataFrame, p: pd.DataFrame, compounds: pd.Series | None) -> pd.DataFrame:
    """The number of compounds of each target, and the area over compounds with its interval."""
    if compounds is None:
        low, high = auc_interval(y.to_numpy() > 0, p.to_numpy(np.float64))
        return pd.DataFrame({"compounds": np.nan, "low": low, "high": high}, y.columns)
    of = compounds.loc[y.index]
    labels, pooled = y.groupby(of).max(), pool(p, of)
    low, high = auc_interval(labels.to_numpy() > 0, pooled.to_numpy())
    found = {"compounds": labels.sum().astype(float), "low": low, "high": high}
    return pd.DataFrame(found, y.columns).assign(compound_auc=column_areas(labels, pooled)["roc_auc"])


def _caution(compounds: float, auc: float, low: float, high: float) -> str:
    """Why predictions of a mechanism deserve less trust; empty where nothing speaks against them."""
    if compounds < LEAST_COMPOUNDS:
        return f"{counted(int(compounds), 'training compound')}"
    if np.isnan(auc):
        return "never measured: all training rows carry it, or none"
    return f"maybe chance: AUC {auc:.2f}, {low:.2f} to {high:.2f}" if low <= 0.5 else ""


def _held_out(members: Sequence[Trained]) -> tuple[str, ...]:
    """The columns that the folds of all members hold out."""
    columns = [each.hold_out.columns if each.hold_out else () for each in members]
    return tuple(name for name in columns[0] if all(name in other for other in columns))


def _by_distance(members: Sequence[Trained], y: pd.DataFrame, p: pd.DataFrame) -> np.ndarray | None:
    """How often the likeliest mechanism is right in each range of distance from the training data."""
    usual = next((found for each in members if (found := each.familiarity()) is not None), None)
    distances = getattr(usual, "row_distances_", None)
    if distances is None or len(distances) != len(y):
        return None
    # Both are of the treated training rows, in the order of the file.
    share = pd.Series(pd.Series(distances).rank(pct=True).to_numpy(), y.index).loc[p.index]
    labels = y.loc[p.index].to_numpy() > 0
    labelled, right = labels.any(axis=1), (likeliest(p.to_numpy()) * labels).sum(axis=1)
    place = np.searchsorted(DISTANCES, share.to_numpy(), side="right")
    rows = [labelled & (place == each) for each in range(len(DISTANCES) + 1)]
    return np.array([(right[own].mean() if own.any() else np.nan, own.sum()) for own in rows])
