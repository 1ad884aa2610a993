"""The options of a search for blend weights."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from moa.options import Flag, Options

#: Methods that can be chosen.
Method = Literal["slsqp", "tpe", "per-target"]
#: Methods that always run: every search has to beat them.
BASELINES = ("best-single", "equal")
#: Groups of options in the help.
_SEARCH, _NESTED = "Search", "Cross-validation of the search"


class SearchOptions(Options):
    """How blend weights are searched; the baselines "best-single" and "equal" always run."""

    methods: Annotated[tuple[Method, ...], Flag("--method", _SEARCH, "METHOD")] = Field(
        ("slsqp",),
        min_length=1,
        description="slsqp, tpe or per-target; can be repeated. The weights of the first one are written.",
    )
    free: Annotated[bool, Flag("--free", _SEARCH, shows_default=False)] = Field(
        False, description="Leave each weight free in [0, 1]; they need not sum to 1."
    )
    tpe_trials: Annotated[int, Flag("--trials", _SEARCH, "N")] = Field(
        3000, ge=1, description="Trials of TPE; the winners used 3,000 to 5,000."
    )
    penalty: Annotated[float, Flag(hidden=True)] = Field(
        50.0,
        description="Strength that pulls per-target weights towards the common ones, see `moa.blending.fit.slsqp`; 50 "
        "corresponds to a standard deviation of 0.1.",
    )
    folds: Annotated[int, Flag(None, _NESTED, "N")] = Field(
        5, ge=2, description="Folds of the cross-validation of the search."
    )
    nested_tpe: Annotated[bool, Flag("--nested-tpe", _NESTED, shows_default=False)] = Field(
        False, description="Cross-validate TPE too: all its trials in every fold."
    )
    bootstrap: Annotated[int, Flag(None, _NESTED, "N")] = Field(
        2000, ge=1, description="Bootstrap replicates for the interval of the gain."
    )
    whole_drugs: Annotated[bool | None, Flag(None, _NESTED)] = Field(
        None, description="Keep drugs whole in folds and bootstrap.  [default: if there is a train_drug.csv]"
    )
    mixed: Annotated[Literal["refuse", "comparable", "allow"], Flag(None, _SEARCH, "WHAT")] = Field(
        "refuse",
        description="Where some models have row-wise folds and some drug-aware ones: refuse; comparable, search on the "
        "rows for which both ask the same question; or allow.",
    )
    seed: Annotated[int, Flag(None, _NESTED, "N")] = Field(0, description="Seed of folds, TPE and bootstrap.")

    @property
    def simplex(self) -> bool:
        """Whether the weights sum to 1."""
        return not self.free

    @property
    def all_methods(self) -> list[str]:
        """Baselines and methods, each once, in the order they run."""
        return list(dict.fromkeys((*BASELINES, *self.methods)))

    def cross_validated(self, method: str) -> bool:
        """Whether a method is cross-validated: all are, except TPE unless asked for."""
        return method != "tpe" or self.nested_tpe
