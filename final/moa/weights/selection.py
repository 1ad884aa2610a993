"""Which units of a model a run trains."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from moa.errors import UserError
from moa.models.base import Stage
from moa.words import shown

_FORM = "expected STAGE, STAGE:seed=3 or STAGE:seed=3:fold=1"
#: A seed or a fold as it is typed: numpy takes no seed of more than 32 bits, and Python reads no number of any length.
_NUMBER = r"[0-9]{1,10}"


@dataclass(frozen=True)
class UnitName:
    """A stage, or its units of one seed, of one fold, or of both; None: of all."""

    stage: str
    seed: int | None = None
    fold: int | None = None

    @classmethod
    def parse(cls, text: str) -> UnitName:
        """Read a name such as "stage2:seed=3:fold=1".

        Raises:
            UserError: it has another form.
        """
        stage, *rest = text.split(":")
        found = [re.fullmatch(rf"(seed|fold)=({_NUMBER})", part) for part in rest]
        values = {match[1]: int(match[2]) for match in found if match}
        if not stage or "=" in stage or len(values) != len(rest):
            raise UserError(f"--unit {shown(text)}: {_FORM}")
        return cls(stage, **values)

    def __str__(self) -> str:
        parts = (f"{name}={value}" for name in ("seed", "fold") if (value := getattr(self, name)) is not None)
        return ":".join([self.stage, *parts])

    def units(self, stage: Stage) -> list[tuple[int, int]]:
        """The units (seed, fold) of that name.

        Raises:
            UserError: the stage has no such seed or fold.
        """
        _known(stage, f"--unit {self}", () if self.seed is None else (self.seed,), self.fold)
        return [(seed, fold) for seed, fold in stage.units() if self.seed in (None, seed) and self.fold in (None, fold)]


@dataclass(frozen=True)
class Selection:
    """Which units to train; the others are left to other runs.

    Folds are narrowed only in stages that no later stage needs in full as its inputs.

    Attributes:
        seeds: only the first so many seeds, or only those given; None: all.
        folds: only the first so many folds; None: all.
        fold: only this fold.
        stage: only this stage.
        names: only units of these names, whatever other stages need; empty: all.
    """

    seeds: int | tuple[int, ...] | None = None
    folds: int | None = None
    fold: int | None = None
    stage: str | None = None
    names: tuple[UnitName, ...] = ()

    @classmethod
    def of(
        cls,
        seeds: int | tuple[int, ...] | None = None,
        folds: int | None = None,
        fold: int | None = None,
        stage: str | None = None,
        units: Sequence[str] | None = None,
    ) -> Selection:
        """A checked selection; ``units`` are names such as "stage2:seed=3:fold=1".

        Raises:
            UserError: an option cannot be read, or options contradict each other.
        """
        names = tuple(UnitName.parse(text) for text in units or ())
        if names and any(value is not None for value in (seeds, folds, fold, stage)):
            raise UserError("--unit names units in full; give it without --seeds, --folds, --fold and --stage")
        return cls(seeds, folds, fold, stage, names)

    def check(self, model: str, stages: Mapping[str, Stage]) -> None:
        """Compare with the stages of a model.

        Raises:
            UserError: the selection names a stage that the model does not have.
        """
        asked = [("--stage", self.stage)] if self.stage else []
        for option, name in [*asked, *(("--unit", name.stage) for name in self.names)]:
            if name not in stages:
                raise UserError(f"{option} {name}: {model} has {', '.join(stages)}")

    def has(self, stage: str) -> bool:
        """Whether any unit of a stage can be selected."""
        return self.stage in (None, stage) and (not self.names or any(name.stage == stage for name in self.names))

    def units(self, stage: Stage, feeds_later: bool) -> list[tuple[int, int]]:
        """The selected units (seed, fold) of a stage; ``feeds_later``: a later one takes its predictions as inputs.

        Raises:
            UserError: the stage has no such seed or fold.
        """
        if self.names:
            named = {unit for name in self.names if name.stage == stage.name for unit in name.units(stage)}
            return [unit for unit in stage.units() if unit in named]
        if isinstance(self.seeds, tuple):
            _known(stage, f"--seeds {','.join(map(str, self.seeds))}", self.seeds)
            seeds = [seed for seed in stage.seeds if seed in self.seeds]
        else:
            seeds = list(stage.seeds[: self.seeds])
        folds = range(stage.folds.n_splits)
        if not feeds_later or self.stage:
            folds = folds[: self.folds]
            if self.fold is not None:
                _known(stage, f"--fold {self.fold}", fold=self.fold)
                folds = range(self.fold, self.fold + 1)
        return [(seed, fold) for seed in seeds for fold in folds]


def parse_seeds(seeds: str | int | Iterable[int]) -> int | tuple[int, ...]:
    """Seeds as the command line takes them ("2": the first two; "3,4": these; "3,": seed 3 alone) or as in Python.

    Raises:
        UserError: it has another form.
    """
    if isinstance(seeds, str) or not isinstance(seeds, Iterable):
        text = str(seeds)
    else:
        text = "".join(f"{seed}," for seed in seeds)
    if re.fullmatch(r"[1-9][0-9]{0,9}", text):
        return int(text)
    if re.fullmatch(rf"{_NUMBER}(,{_NUMBER})*,?", text) and "," in text:
        return tuple(dict.fromkeys(int(part) for part in text.split(",") if part))
    raise UserError(
        f"--seeds {shown(text)}: expected a number of seeds such as 2, or seeds such as 3,4 (one alone: 3,)"
    )


def _known(stage: Stage, option: str, seeds: Sequence[int] = (), fold: int | None = None) -> None:
    if unknown := [seed for seed in seeds if seed not in stage.seeds]:
        raise UserError(f"{option}: {stage.name} has no seed {unknown[0]}, but {', '.join(map(str, stage.seeds))}")
    if fold is not None and not 0 <= fold < stage.folds.n_splits:
        raise UserError(f"{option}: {stage.name} has folds 0 to {stage.folds.n_splits - 1}")
