"""The members of a blend: their out-of-fold (OOF) predictions, checked and stacked into arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from moa.data.folds import SMALL_DRUG_ROWS
from moa.errors import UserError
from moa.metrics.losses import align, align_treated, cell_log_loss, check_labels, check_probabilities

_ROW_BLOCK = 4096

#: Shape (members,), or (members, targets) for weights per target.
Weights = np.ndarray


@dataclass(frozen=True)
class Oof:
    """Out-of-fold predictions of one model.

    Attributes:
        name: the model's name.
        predictions: probabilities, shape (rows, targets), indexed by sig_id.
        scheme: the folds that they were made with, such as "multilabel-5", "drug-aware-5", "kfold-10".
        rows: "treated", or "all" if control rows are predicted too; the search leaves those out.
    """

    name: str
    predictions: pd.DataFrame
    scheme: str
    rows: Literal["treated", "all"] = "treated"


@dataclass(frozen=True)
class Members:
    """Members stacked on the treated rows that all of them predict.

    Attributes:
        names: of the members.
        targets: names of the targets.
        rows: sig_ids.
        cells: probabilities, float32, shape (members, targets, rows).
        labels: True for a positive, shape (targets, rows).
        groups: the drug of each row as an integer code, shape (rows,); None: rows are treated as independent.
    """

    names: list[str]
    targets: pd.Index
    rows: pd.Index
    cells: np.ndarray
    labels: np.ndarray
    groups: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: np.ndarray) -> Members:
        """The same members on some rows, given as a mask or as positions."""
        groups = None if self.groups is None else self.groups[rows]
        cells, labels = self.cells[:, :, rows], self.labels[:, rows]
        return replace(self, rows=self.rows[rows], cells=cells, labels=labels, groups=groups)

    def row_losses(self, weights: Weights) -> np.ndarray:
        """Exact log loss of each row of the blend, mean over targets, shape (rows,)."""
        losses = np.empty(len(self.rows))
        weights = weights[:, :, None] if weights.ndim == 2 else weights
        for start in range(0, len(losses), _ROW_BLOCK):
            block = slice(start, start + _ROW_BLOCK)
            positive = self.labels[:, block]
            probability = np.zeros(positive.shape)
            for weight, member in zip(weights, self.cells, strict=True):
                probability += weight * member[:, block]
            losses[block] = cell_log_loss(positive, probability).mean(axis=0)
        return losses


def stack_members(
    oofs: Sequence[Oof],
    y_true: pd.DataFrame,
    treated: pd.Series,
    groups: pd.Series | None = None,
    mixed: Literal["refuse", "comparable", "allow"] = "refuse",
) -> Members:
    """Check the members and stack them; arguments and errors as in `moa.blending.search.search`."""
    kinds_differ = _check_schemes(oofs, mixed)
    members = _stack(oofs, y_true, treated)
    if groups is not None:
        lost = members.rows.difference(groups.index)
        if len(lost):
            raise UserError(f"groups: {len(lost)} row(s) missing, the first is {lost[0]!r}")
    if kinds_differ and mixed == "comparable":
        members = _comparable(members, treated, groups)
    if groups is None:
        return members
    return replace(members, groups=pd.factorize(groups.loc[members.rows])[0])


def comparable_rows(drugs: pd.Series) -> pd.Index:
    """The rows for which row-wise and drug-aware folds ask the same question.

    Drug-aware folds split drugs of more than 18 rows by rows too, so a model of either kind has seen such a drug in
    training. A drug with a single row is new to both kinds. A drug with a number of rows in between has been seen with
    row-wise folds and is new with drug-aware ones. Only eight drugs of the competition are large, so these rows are not
    typical: interpret weights found on them with care. ``drugs`` has those of all treated rows, indexed by sig_id.
    """
    size = drugs.map(drugs.value_counts())
    return drugs.index[(size == 1) | (size > SMALL_DRUG_ROWS)]


def _comparable(members: Members, treated: pd.Series, drugs: pd.Series | None) -> Members:
    if drugs is None:
        raise UserError("--mixed comparable: needs train_drug.csv, because a row's drug says whether it is comparable")
    keep = members.rows.isin(comparable_rows(drugs.loc[drugs.index.isin(treated.index[treated])]))
    if not keep.any():
        raise UserError("--mixed comparable: no row is comparable; blend models of one kind of folds")
    return members.take(keep)


#: Kinds of folds by the scheme; every other scheme is named by what it holds out.
_KINDS = {"multilabel": "row-wise", "kfold": "row-wise", "drug-aware": "drug-aware"}


def kind_of_folds(scheme: str) -> str | None:
    """Row-wise, drug-aware or what is held out, of a scheme such as "drug-aware-5"; None: it is no scheme."""
    kind, _, folds = scheme.rpartition("-")
    return _KINDS.get(kind, f"{kind} held out") if kind and folds.isdecimal() else None


def _check_schemes(oofs: Sequence[Oof], mixed: str) -> bool:
    """Whether there are folds of several kinds, such as row-wise and drug-aware ones; refused if ``mixed`` says so."""
    names = [oof.name for oof in oofs]
    if len(names) < 2 or len(set(names)) < len(names):
        raise UserError(f"a blend needs at least two members, each named once; got {', '.join(names) or 'none'}")
    kinds: dict[str, list[str]] = {}
    for oof in oofs:
        kind = kind_of_folds(oof.scheme)
        if kind is None:
            raise UserError(f"OOF of {oof.name}: unknown scheme {oof.scheme!r}; expected such as 'multilabel-5'")
        kinds.setdefault(kind, []).append(f"{oof.name} ({oof.scheme})")
    if len(kinds) > 1 and mixed == "comparable" and set(kinds) != {"drug-aware", "row-wise"}:
        raise UserError(f"--mixed comparable: only for row-wise and drug-aware folds, not for {', '.join(kinds)}")
    if len(kinds) > 1 and mixed == "refuse":
        listed = " and ".join(f"of {kind} folds [{', '.join(kinds[kind])}]" for kind in sorted(kinds))
        raise UserError(
            f"OOF {listed} are not comparable: those of whole compounds predict compounds unseen in training, others "
            "have seen other rows of the same compound, so weights would favour the easier task; blend one kind, or "
            "give --mixed comparable (only rows of drugs that both have seen or both have not) or --mixed allow"
        )
    return len(kinds) > 1


def _stack(oofs: Sequence[Oof], y_true: pd.DataFrame, treated: pd.Series) -> Members:
    """The members on their common treated rows."""
    treated = align_treated(treated, y_true.index)
    check_labels(y_true, "targets")
    rows = y_true.index[treated.to_numpy()]
    controls = y_true.index[~treated.to_numpy()]
    tables = []
    for oof in oofs:
        tables.append(_without_controls(oof, y_true.index, controls))
        rows = rows[rows.isin(oof.predictions.index)]
    if rows.empty:
        raise UserError("the OOF tables have no treated row in common")
    cells = np.empty((len(oofs), y_true.shape[1], len(rows)), dtype=np.float32)
    for oof, table, out in zip(oofs, tables, cells, strict=True):
        what = f"OOF of {oof.name}"
        table = align(table.loc[table.index.isin(rows)], rows, y_true.columns, what)
        check_probabilities(table, what)
        out[:] = table.to_numpy().T
    labels = np.ascontiguousarray(y_true.loc[rows].to_numpy().T == 1)
    return Members([oof.name for oof in oofs], y_true.columns, rows, cells, labels)


def _without_controls(oof: Oof, known: pd.Index, controls: pd.Index) -> pd.DataFrame:
    """The predictions of the other rows; checks that controls are there exactly if ``oof.rows`` is "all"."""
    what, index = f"OOF of {oof.name}", oof.predictions.index
    control = index.isin(controls)
    if oof.rows == "treated" and control.any():
        raise UserError(f"{what}: declared to hold treated rows only, but {index[control][0]!r} is a control row")
    if oof.rows == "all" and len(controls) and not control.any():
        raise UserError(f"{what}: declared to hold all rows, but has no control row; give rows='treated'")
    unknown = index.difference(known)
    if len(unknown):
        raise UserError(f"{what}: {len(unknown)} row(s) without targets, the first is {unknown[0]!r}")
    return oof.predictions.loc[~control]
