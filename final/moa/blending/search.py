"""Searching blend weights on out-of-fold predictions (write-up, Best CV), and how much of the gain is real.

The winners minimised the OOF log loss over treated rows with SLSQP and checked the result with Optuna's TPE. Both
searches are here, with two baselines that every search has to beat, weights per target that are pulled towards the
common ones, and a cross-validation of the search itself: weights fitted on some rows are scored on the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from time import perf_counter

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, KFold

from moa.blending.fit import FitCallback, fit_weights
from moa.blending.loss import BlendLoss
from moa.blending.members import Members, Oof, Weights, stack_members
from moa.blending.options import SearchOptions
from moa.blending.result import MethodResult, SearchResult
from moa.errors import UserError
from moa.metrics.losses import bootstrap_interval, treated_to_all
from moa.parallel import Here, Streams
from moa.progress import Bar, progress


def search(
    oofs: Sequence[Oof],
    y_true: pd.DataFrame,
    treated: pd.Series,
    options: SearchOptions | None = None,
    *,
    groups: pd.Series | None = None,
    streams: Streams | None = None,
) -> SearchResult:
    """Search blend weights, and cross-validate the search.

    The nested scores are out of sample for the weights only. Each member's OOF predictions remain as its own training
    made them (for instance with epochs chosen on the same folds), which makes members and blend alike look better.

    Args:
        oofs: members, at least two; rows and targets in any order. The treated rows that all members have are used.
        y_true: 0/1 labels, shape (rows, targets), all rows.
        treated: True for a treated row, False for a control; the rows of ``y_true``.
        options: None: the defaults of `SearchOptions`.
        groups: drug_id of the rows, indexed by sig_id; if given, nested folds and bootstrap keep drugs whole.
        streams: what fits the weights, see ``moa.parallel``; None: this process. Each fit runs on one thread.

    Raises:
        UserError: the tables do not match, or the schemes of the members are not comparable.
    """
    options = options or SearchOptions()
    members = stack_members(oofs, y_true, treated, groups, options.mixed)
    tests = _nested_folds(len(members.rows), members.groups, options.folds, options.seed)
    single_losses = [members.row_losses(weights) for weights in np.eye(len(members))]
    singles = pd.Series([losses.mean() for losses in single_losses], index=members.names, name="treated")
    best = int(np.argmin(singles.to_numpy()))
    counts = int(treated.sum()), len(treated)

    methods = options.all_methods
    fits: list[tuple[str, int | None]] = []  # a method, and the fold that its weights are fitted without
    for method in methods:
        fits += [(method, fold) for fold in (None, *range(options.folds if options.cross_validated(method) else 0))]
    with progress("blend search", options.folds + len(fits), even=False) as bar:
        steps = _Steps(bar)
        losses = _losses(members, tests, steps)
        fitted = _fit_all(fits, losses, options, steps, streams)
        steps.close()
    found: dict[str, MethodResult] = {}
    for method in methods:
        weights, seconds = fitted[method, None]
        score = float(members.row_losses(weights).mean())
        nested, gain, interval = np.nan, np.nan, (np.nan, np.nan)
        if options.cross_validated(method):
            unseen = np.empty(len(members.rows))  # log loss of each row by the weights fitted without its fold
            for fold, test in enumerate(tests):
                unseen[test] = members.take(test).row_losses(fitted[method, fold][0])
            nested = float(unseen.mean())
            difference = single_losses[best] - unseen
            gain = float(difference.mean())
            interval = bootstrap_interval(difference, members.groups, options.bootstrap, options.seed)
        found[method] = MethodResult(
            _named(weights, members), score, treated_to_all(score, *counts), nested, gain, interval, seconds
        )
    trials = tuple(steps.trials[: options.tpe_trials])  # those on all rows come first, then those of nested folds
    name = members.names[best]
    return SearchResult(found, options.methods[0], singles, name, len(members.rows), options.simplex, trials)


def _fit_all(
    fits: Sequence[tuple[str, int | None]],
    losses: Sequence[Sequence[BlendLoss]],
    options: SearchOptions,
    steps: _Steps,
    streams: Streams | None,
) -> dict[tuple[str, int | None], tuple[Weights, float]]:
    """Weights and seconds of each fit, here or by ``streams``."""
    prepare = partial(tuple, (losses, options))
    stream = (streams or Here()).stream(prepare, partial(_fit, None if streams else steps), fits)
    found = {}
    for number, result in stream:
        found[fits[number]] = result
        method, fold = fits[number]
        steps.count(method if fold is None else f"{method}, nested fold {fold + 1}")
    return found


def _fit(
    callback: FitCallback | None,
    known: tuple[Sequence[Sequence[BlendLoss]], SearchOptions],
    fit: tuple[str, int | None],
) -> tuple[Weights, float]:
    (losses, options), (method, fold) = known, fit
    started = perf_counter()
    train = [part for other, part in enumerate(losses) if other != fold]
    return fit_weights(method, train, options, callback), perf_counter() - started


class _Steps(FitCallback):
    """Shows the parts of a search as steps of one bar."""

    def __init__(self, bar: Bar):
        self._bar, self._done, self._note = bar, 0, ""
        self.trials: list[float] = []

    def count(self, note: str) -> None:
        """Count a step that is finished."""
        self._done, self._note = self._done + 1, note
        self._bar.update(self._done, note)

    def on_progress(self, done: int, total: int) -> None:
        self._bar.update(self._done + done / total, self._note)

    def on_trial(self, loss: float) -> None:
        self.trials.append(loss)

    def close(self) -> None:
        """Show that all steps are done."""
        self._bar.update(self._done)


def _losses(members: Members, tests: Sequence[np.ndarray], steps: _Steps) -> list[list[BlendLoss]]:
    """Losses [fold][target] of the rows of each fold: their moments, which every fit merges, are computed once."""
    losses = []
    for test in tests:
        targets = range(len(members.labels))
        losses.append([BlendLoss(members.cells[:, target, test], members.labels[target, test]) for target in targets])
        steps.count("moments")
    return losses


def _nested_folds(n_rows: int, groups: np.ndarray | None, folds: int, seed: int) -> list[np.ndarray]:
    """Positions of the test rows of each fold."""
    units = n_rows if groups is None else len(np.unique(groups))
    if not 2 <= folds <= units:
        raise UserError(f"nested folds: expected 2 to {units}, got {folds}")
    splitter = KFold(folds, shuffle=True, random_state=seed) if groups is None else GroupKFold(folds)
    return [test for _, test in splitter.split(np.empty(n_rows), groups=groups)]


def _named(weights: Weights, members: Members) -> pd.Series | pd.DataFrame:
    """The weights with the names of members, and of targets if they are per target."""
    if weights.ndim == 1:
        return pd.Series(weights, index=members.names, name="weight")
    return pd.DataFrame(weights, index=members.names, columns=members.targets)
