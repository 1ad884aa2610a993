"""What a search for blend weights found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from moa.blending.blend import BlendSpec, Searched
from moa.errors import UserError


@dataclass(frozen=True)
class MethodResult:
    """What one method found.

    Attributes:
        weights: by model name; for "per-target" a table of shape (models, targets).
        treated: log loss over treated rows of the weights fitted on all of them (optimistic).
        all_rows: the same over all rows, with controls predicted 0.
        nested: log loss over treated rows, each row scored with weights fitted without it; NaN if not cross-validated.
        gain: log loss of the best single model minus ``nested``.
        interval: 95 % bootstrap interval of the gain.
        seconds: duration of the fit, without the cross-validation.
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
        """Whether there are out-of-sample scores."""
        return not np.isnan(self.nested)


@dataclass(frozen=True)
class SearchResult:
    """What all methods found.

    Attributes:
        methods: result by method, baselines first.
        method: the first method that was chosen.
        singles: log loss of each member over treated rows.
        best_single: the member with the lowest of these. It is chosen on the same rows, which makes it a hard baseline.
        n_rows: number of treated rows that the search used.
        simplex: whether the weights sum to 1.
        trials: log loss over treated rows of each trial of TPE, in order; none where it was not run, or elsewhere.
    """

    methods: dict[str, MethodResult]
    method: str
    singles: pd.Series
    best_single: str
    n_rows: int
    simplex: bool = True
    trials: tuple[float, ...] = ()

    @property
    def first(self) -> MethodResult:
        """The result of the first method that was chosen."""
        return self.methods[self.method]

    def table(self) -> pd.DataFrame:
        """One row per method: treated, all_rows, nested, gain, low, high, seconds; see `MethodResult`."""
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

    def history(self) -> pd.DataFrame:
        """Each trial of TPE beside what other methods reach: columns "loss" and "slsqp" where both were run."""
        table = pd.DataFrame({"loss": self.trials})
        return table.assign(slsqp=self.methods["slsqp"].treated) if "slsqp" in self.methods else table

    def spec(self, name: str, title: str) -> BlendSpec:
        """The weights of the first method as a blend, those of 0 included, and the scores of the search.

        Raises:
            UserError: see `check_writable`.
        """
        check_writable(self.method, self.simplex)
        found = self.first
        members = [{"model": model, "weight": float(weight)} for model, weight in found.weights.items()]
        nested = {"nested": found.nested, "gain": found.gain, "interval": found.interval}
        searched = Searched(
            method=self.method,
            rows=self.n_rows,
            loss=found.treated,
            best_single=self.best_single,
            **(nested if found.cross_validated else {}),
        )
        return BlendSpec(name=name, title=title, members=members, searched=searched)


def check_writable(method: str, simplex: bool) -> None:
    """Check that a blend file can hold the weights of a method.

    Raises:
        UserError: the weights are per target, or need not sum to 1.
    """
    if method == "per-target" or not simplex:
        raise UserError(
            f"{method}: a blend file holds one weight per model, and they sum to 1; choose slsqp or tpe as the first "
            "method, without free weights"
        )
