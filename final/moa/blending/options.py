"""The options of a search for blend weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from moa.errors import UserError

#: Methods that can be chosen.
METHODS = ("slsqp", "tpe", "per-target")
#: Methods that always run: every search has to beat them.
BASELINES = ("best-single", "equal")
#: What to do if some OOF predictions come from row-wise and some from drug-aware folds.
MIXED = ("refuse", "comparable", "allow")
#: Trials of TPE; the winners used 3,000 to 5,000.
TPE_TRIALS = 3000


@dataclass(frozen=True)
class SearchOptions:
    """How blend weights are searched.

    Attributes:
        methods: one or more of "slsqp", "tpe" and "per-target"; the baselines "best-single" and "equal" always run.
        simplex: the weights sum to 1; otherwise each is free in [0, 1].
        tpe_trials: number of trials of TPE.
        penalty: strength that pulls per-target weights towards the common ones, see `moa.blending.fit.slsqp`; 50
            corresponds to a standard deviation of 0.1.
        folds: number of folds of the nested cross-validation.
        nested_tpe: cross-validate TPE too, which repeats all its trials in every fold.
        bootstrap: number of bootstrap replicates for the interval of the gain.
        seed: of the folds, TPE and the bootstrap.
        mixed: what to do if some OOF predictions come from row-wise and some from drug-aware folds. "refuse" raises
            an error; "comparable" searches on the rows of `moa.blending.members.comparable_rows`; "allow" blends all
            rows.

    Raises:
        UserError: a method or ``mixed`` is unknown.
    """

    methods: Sequence[str] = METHODS
    simplex: bool = True
    tpe_trials: int = TPE_TRIALS
    penalty: float = 50.0
    folds: int = 5
    nested_tpe: bool = False
    bootstrap: int = 2000
    seed: int = 0
    mixed: Literal["refuse", "comparable", "allow"] = "refuse"

    def __post_init__(self) -> None:
        unknown = [method for method in self.methods if method not in METHODS]
        if unknown or not self.methods:
            raise UserError(f"method {', '.join(unknown) or '(none)'} is unknown; choose from {', '.join(METHODS)}")
        if self.mixed not in MIXED:
            raise UserError(f"mixed folds: {self.mixed!r} is unknown; choose one of {', '.join(MIXED)}")

    @property
    def all_methods(self) -> list[str]:
        """Baselines and methods, each once, in the order they run."""
        return list(dict.fromkeys((*BASELINES, *self.methods)))

    def cross_validated(self, method: str) -> bool:
        """Whether a method is cross-validated: all are, except TPE unless asked for."""
        return method != "tpe" or self.nested_tpe
