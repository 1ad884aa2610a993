"""Searching blend weights on out-of-fold predictions (write-up, Best CV), and how much of the gain is real.

The winners minimised the OOF log loss over treated rows by SLSQP, and checked it by Optuna's TPE. The same two searches
are here, with the two baselines that any search has to beat, weights of each target's own drawn towards the common
ones, and a cross-validation of the search itself: weights found on some rows are scored on the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Literal

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, KFold

from moa.blending.blend import BlendSpec
from moa.blending.loss import TPE_TRIALS, BlendLoss, slsqp, tpe
from moa.data.folds import SMALL_DRUG_ROWS
from moa.errors import UserError
from moa.metrics import (
    CLIP,
    align,
    align_treated,
    bootstrap_interval,
    check_labels,
    check_probabilities,
    treated_to_all,
)
from moa.progress import progress

METHODS = ("slsqp", "tpe", "per-target")
BASELINES = ("best-single", "equal")
#: What to do where row-wise and drug-aware OOF meet.
MIXED = ("refuse", "comparable", "allow")

_ROW_BLOCK = 4096

Weights = np.ndarray  # (members,), or (members, targets) for weights of each target's own


@dataclass(frozen=True)
class Oof:
    """Out-of-fold predictions of one model.

    Attributes:
        name: the model's name.
        predictions: probabilities, shape (rows, targets), indexed by sig_id.
        scheme: the cross-validation that made them, such as "multilabel-5", "drug-aware-5", "kfold-10".
        rows: "treated", or "all" where control rows are predicted as well; those are left out of the search.
    """

    name: str
    predictions: pd.DataFrame
    scheme: str
    rows: Literal["treated", "all"] = "treated"


@dataclass(frozen=True)
class MethodResult:
    """What one method found.

    Attributes:
        weights: by model name; for "per-target" a table of shape (models, targets).
        treated: log loss over treated rows of the weights found on all of them (optimistic).
        all_rows: the same over all rows, controls predicted 0.
        nested: log loss over treated rows, each row by weights found without it; NaN where not asked for.
        gain: best single model's log loss minus ``nested``.
        interval: bootstrap interval of the gain.
        seconds: time of the search, without its cross-validation.
    """

    weights: pd.Series | pd.DataFrame
    treated: float
    all_rows: float
    nested: float = np.nan
    gain: float = np.nan
    interval: tuple[float, float] = (np.nan, np.nan)
    seconds: float = 0.0

    @property
    def cross_validated(self) -> bool:
        """Whether there are out-of-sample figures."""
        return not np.isnan(self.nested)


@dataclass(frozen=True)
class SearchResult:
    """Every method's outcome; the properties speak of the first method asked for.

    Attributes:
        methods: outcome by method, baselines first.
        method: the first method asked for.
        singles: treated-row log loss of each member.
        best_single: the member of the lowest one, chosen with hindsight: the bar that gains are measured from.
        n_rows: treated rows that the search used.
    """

    methods: dict[str, MethodResult]
    method: str
    singles: pd.Series
    best_single: str
    n_rows: int
    simplex: bool = field(default=True)

    @property
    def weights(self) -> pd.Series | pd.DataFrame:
        return self.methods[self.method].weights

    @property
    def log_loss_treated(self) -> float:
        return self.methods[self.method].treated

    @property
    def log_loss_all(self) -> float:
        return self.methods[self.method].all_rows

    @property
    def nested_gain(self) -> float:
        return self.methods[self.method].gain

    @property
    def interval(self) -> tuple[float, float]:
        return self.methods[self.method].interval

    def table(self) -> pd.DataFrame:
        """A row a method: treated, all_rows, nested, gain, low, high, seconds; see `MethodResult`."""
        rows = {
            name: (found.treated, found.all_rows, found.nested, found.gain, *found.interval, found.seconds)
            for name, found in self.methods.items()
        }
        columns = ["treated", "all_rows", "nested", "gain", "low", "high", "seconds"]
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("method")

    def weight_table(self) -> pd.DataFrame:
        """Weights, shape (models, methods); for "per-target" the mean over targets."""
        columns = {
            name: found.weights if found.weights.ndim == 1 else found.weights.mean(axis=1)
            for name, found in self.methods.items()
        }
        return pd.DataFrame(columns).rename_axis("model")

    def spec(self, name: str, title: str) -> BlendSpec:
        """The found weights as a blend; members of weight 0 are left out.

        Raises:
            UserError: the weights are each target's own, or free to sum to anything.
        """
        check_writable(self.method, self.simplex)
        members = [{"model": model, "weight": float(weight)} for model, weight in self.weights.items() if weight > 0.0]
        return BlendSpec(name=name, title=title, members=members)


def check_writable(method: str, simplex: bool) -> None:
    """Refuse what a blend file cannot hold: weights of each target's own, or weights free to sum to anything.

    Raises:
        UserError: they are such.
    """
    if method == "per-target" or not simplex:
        raise UserError(
            f"{method}: a blend file holds one weight a model, summing to 1; search for those (slsqp or tpe first, "
            "and no free weights)"
        )


def search(
    oofs: Sequence[Oof],
    y_true: pd.DataFrame,
    treated: pd.Series,
    *,
    methods: Sequence[str] = METHODS,
    simplex: bool = True,
    tpe_trials: int = TPE_TRIALS,
    penalty: float = 50.0,
    folds: int = 5,
    nested_tpe: bool = False,
    groups: pd.Series | None = None,
    bootstrap: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    mixed: Literal["refuse", "comparable", "allow"] = "refuse",
) -> SearchResult:
    """Search blend weights, and cross-validate the search.

    The nested scores are out of sample for the weights alone: each member's OOF stays what its own training made of it
    (epochs chosen on the same folds, for instance), which flatters members and blend alike.

    Args:
        oofs: members, at least two; rows and targets in any order. The treated rows that all have are used.
        y_true: 0/1 labels, shape (rows, targets), all rows.
        treated: True for a treated row; the rows of ``y_true``.
        methods: any of "slsqp", "tpe", "per-target"; the baselines "best-single" and "equal" are always there.
        simplex: weights sum to 1; otherwise free in [0, 1].
        tpe_trials: trials of TPE, the published 3,000 by default.
        penalty: pull of the per-target weights to the common ones, see `slsqp`; 50 is a standard deviation of 0.1.
        folds: folds of the nested cross-validation.
        nested_tpe: cross-validate TPE as well, which repeats its trials in every fold.
        groups: drug_id of the rows: drugs are then kept whole in the nested folds and in the bootstrap.
        bootstrap: replicates behind the interval of the gain.
        level: coverage of the interval.
        seed: of folds, TPE and bootstrap.
        mixed: where some OOF are of row-wise and some of drug-aware folds: "refuse"; "comparable" searches on the rows
            that pose both the same question, see `comparable_rows`; "allow" blends them all the same.

    Raises:
        UserError: tables do not match, the schemes are not comparable, or an option is unknown.
    """
    unknown = [method for method in methods if method not in METHODS]
    if unknown or not methods:
        raise UserError(f"method {', '.join(unknown) or '(none)'} is unknown; choose of {', '.join(METHODS)}")
    if mixed not in MIXED:
        raise UserError(f"mixed folds: {mixed!r} is unknown; choose of {', '.join(MIXED)}")
    meet = _check_schemes(oofs, mixed)
    cells, labels, rows = _stack(oofs, y_true, treated)
    if groups is not None:
        lost = rows.difference(groups.index)
        if len(lost):
            raise UserError(f"groups: {len(lost)} row(s) missing, the first is {lost[0]!r}")
    if meet and mixed == "comparable":
        if groups is None:
            raise UserError("mixed folds: which rows are comparable is told by their drugs; train_drug.csv is needed")
        keep = rows.isin(comparable_rows(groups.loc[groups.index.isin(treated.index[treated])]))
        if not keep.any():
            raise UserError("mixed folds: no row is comparable; blend models of one kind of folds")
        cells, labels, rows = cells[:, :, keep], labels[:, keep], rows[keep]
    if groups is not None:
        groups = pd.factorize(groups.loc[rows])[0]
    tests = _nested_folds(len(rows), groups, folds, seed)
    names = [oof.name for oof in oofs]
    eye = np.eye(len(oofs))
    single_losses = [_row_losses(cells, labels, weights) for weights in eye]
    singles = pd.Series([losses.mean() for losses in single_losses], index=names, name="treated")
    best = int(np.argmin(singles.to_numpy()))
    options = {"simplex": simplex, "trials": tpe_trials, "penalty": penalty, "seed": seed}
    counts = int(treated.sum()), len(treated)

    found: dict[str, MethodResult] = {}
    asked = dict.fromkeys((*BASELINES, *methods))
    cross_validated = [method for method in asked if method != "tpe" or nested_tpe]
    with progress("blend search", folds + len(asked) + folds * len(cross_validated)) as bar:
        parts = []
        for done, test in enumerate(tests):
            bar.update(done, "moments")
            parts.append([BlendLoss(cells[:, target, test], labels[target, test]) for target in range(len(labels))])
        training = [[part for j, part in enumerate(parts) if j != k] for k in range(folds)]
        done = folds

        def fit(method: str, folds_used: list[list[BlendLoss]], note: str) -> Weights:
            nonlocal done
            bar.update(done, note)
            weights = _fit(method, folds_used, on_part=lambda part: bar.update(done + part, note), **options)
            done += 1
            return weights

        for method in asked:
            started = perf_counter()
            weights = fit(method, parts, method)
            seconds = perf_counter() - started
            score = float(_row_losses(cells, labels, weights).mean())
            nested, gain, interval = np.nan, np.nan, (np.nan, np.nan)
            if method in cross_validated:
                losses = np.empty(len(rows))
                for number, (test, train) in enumerate(zip(tests, training, strict=True), 1):
                    weights_without = fit(method, train, f"{method}, nested fold {number}")
                    losses[test] = _row_losses(cells[:, :, test], labels[:, test], weights_without)
                nested = float(losses.mean())
                difference = single_losses[best] - losses
                gain = float(difference.mean())
                interval = bootstrap_interval(difference, groups, bootstrap, level, seed)
            table = (
                pd.Series(weights, index=names, name="weight")
                if weights.ndim == 1
                else pd.DataFrame(weights, index=names, columns=y_true.columns)
            )
            found[method] = MethodResult(table, score, treated_to_all(score, *counts), nested, gain, interval, seconds)
        bar.update(done)
    return SearchResult(found, methods[0], singles, names[best], len(rows), simplex)


def comparable_rows(drugs: pd.Series) -> pd.Index:
    """The rows that row-wise and drug-aware folds ask the same of.

    Drug-aware folds split drugs of more than 18 rows row by row too, so both kinds have seen such a drug in training. A
    drug of one row is new to both. What lies between is known to the one and new to the other. In the competition only
    eight drugs are large: these rows are not typical, and weights found on them are to be read with care.

    Args:
        drugs: drug_id of all treated rows, indexed by sig_id.
    """
    size = drugs.map(drugs.value_counts())
    return drugs.index[(size == 1) | (size > SMALL_DRUG_ROWS)]


def _check_schemes(oofs: Sequence[Oof], mixed: str) -> bool:
    """Whether row-wise and drug-aware folds meet, which is refused unless ``mixed`` says otherwise."""
    names = [oof.name for oof in oofs]
    if len(names) < 2 or len(set(names)) < len(names):
        raise UserError(f"a blend needs at least two members, each named once; got {', '.join(names) or 'none'}")
    kinds: dict[bool, list[str]] = {}
    for oof in oofs:
        if oof.scheme.rpartition("-")[0] not in ("multilabel", "drug-aware", "kfold"):
            raise UserError(f"OOF of {oof.name}: unknown scheme {oof.scheme!r}; expected such as 'multilabel-5'")
        kinds.setdefault(oof.scheme.startswith("drug-aware"), []).append(f"{oof.name} ({oof.scheme})")
    if len(kinds) > 1 and mixed == "refuse":
        raise UserError(
            f"OOF of drug-aware folds [{', '.join(kinds[True])}] and of row-wise folds [{', '.join(kinds[False])}] are "
            "not comparable: the first predict drugs unseen in training, the second have seen other rows of the same "
            "drug, so weights would favour the easier task; blend one kind, or choose mixed folds 'comparable' (rows "
            "of drugs that both have seen or both have not) or 'allow'"
        )
    return len(kinds) > 1


def _stack(oofs: Sequence[Oof], y_true: pd.DataFrame, treated: pd.Series) -> tuple[np.ndarray, np.ndarray, pd.Index]:
    """Probabilities float32 (members, targets, rows), labels bool (targets, rows), and the common treated rows."""
    treated = align_treated(treated, y_true.index)
    check_labels(y_true, "targets")
    rows = y_true.index[treated.to_numpy()]
    controls = y_true.index[~treated.to_numpy()]
    tables = []
    for oof in oofs:
        what = f"OOF of {oof.name}"
        index = oof.predictions.index
        control = index.isin(controls)
        if oof.rows == "treated" and control.any():
            raise UserError(f"{what}: said to hold treated rows only, but {index[control][0]!r} is a control row")
        if oof.rows == "all" and len(controls) and not control.any():
            raise UserError(f"{what}: said to hold all rows, but has no control row; give rows='treated'")
        stranger = index.difference(y_true.index)
        if len(stranger):
            raise UserError(f"{what}: {len(stranger)} row(s) without targets, the first is {stranger[0]!r}")
        tables.append(oof.predictions.loc[~control])
        rows = rows[rows.isin(index)]
    if rows.empty:
        raise UserError("the OOF tables have no treated row in common")
    cells = np.empty((len(oofs), y_true.shape[1], len(rows)), dtype=np.float32)
    for oof, table, out in zip(oofs, tables, cells, strict=True):
        what = f"OOF of {oof.name}"
        table = align(table.loc[table.index.isin(rows)], rows, y_true.columns, what)
        check_probabilities(table, what)
        out[:] = table.to_numpy().T
    return cells, np.ascontiguousarray(y_true.loc[rows].to_numpy().T == 1), rows


def _nested_folds(n_rows: int, groups: np.ndarray | None, folds: int, seed: int) -> list[np.ndarray]:
    units = n_rows if groups is None else len(np.unique(groups))
    if not 2 <= folds <= units:
        raise UserError(f"nested folds: expected 2 to {units}, got {folds}")
    splitter = KFold(folds, shuffle=True, random_state=seed) if groups is None else GroupKFold(folds)
    return [test for _, test in splitter.split(np.empty(n_rows), groups=groups)]


def _fit(
    method: str,
    parts: list[list[BlendLoss]],
    *,
    simplex: bool,
    trials: int,
    penalty: float,
    seed: int,
    on_part: Callable[[float], None],
) -> Weights:
    """Weights of a method on the cells of ``parts`` [fold][target]; ``on_part`` is told how much of it is done."""
    whole = BlendLoss.merge(part for fold in parts for part in fold)
    members = len(parts[0][0]._signed)
    if method == "equal":
        return np.full(members, 1.0 / members)
    if method == "best-single":
        eye = np.eye(members)
        return eye[int(np.argmin([whole(weights)[0] for weights in eye]))]
    if method == "tpe":
        return tpe(whole, members, trials, simplex, seed, lambda done: on_part(done / trials))
    common = slsqp(whole, simplex, members=members)
    if method == "slsqp":
        return common
    weights = []
    for of_target in zip(*parts, strict=True):
        weights.append(slsqp(BlendLoss.merge(of_target), simplex, common, penalty))
        on_part(len(weights) / len(parts[0]))
    return np.stack(weights, axis=1)


def _row_losses(cells: np.ndarray, labels: np.ndarray, weights: Weights) -> np.ndarray:
    """Exact log loss of each row, mean over targets, shape (rows,)."""
    losses = np.empty(labels.shape[1])
    weights = weights[:, :, None] if weights.ndim == 2 else weights
    for start in range(0, len(losses), _ROW_BLOCK):
        block = slice(start, start + _ROW_BLOCK)
        p = np.zeros(labels[:, block].shape)
        for weight, member in zip(weights, cells, strict=True):
            p += weight * member[:, block]
        p = np.clip(p, CLIP, 1.0 - CLIP)
        losses[block] = -np.log(np.where(labels[:, block], p, 1.0 - p)).mean(axis=0)
    return losses
