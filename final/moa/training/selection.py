"""Which units of a model a run trains."""

from __future__ import annotations

from dataclasses import dataclass

from moa.errors import UserError
from moa.models.base import Stage


@dataclass(frozen=True)
class Selection:
    """Which units to train; the others are left to other runs.

    Folds are narrowed only in stages that no later stage needs in full as its inputs.

    Attributes:
        seeds: only the first so many seeds; None: all.
        folds: only the first so many folds; None: all.
        fold: only this fold.
        stage: only this stage.
    """

    seeds: int | None = None
    folds: int | None = None
    fold: int | None = None
    stage: str | None = None

    def units(self, stage: Stage, feeds_later: bool) -> list[tuple[int, int]]:
        """The selected units (seed, fold) of a stage.

        Args:
            stage: the stage.
            feeds_later: whether a later stage takes its predictions as inputs.

        Raises:
            UserError: the stage has no such fold.
        """
        seeds = stage.seeds[: self.seeds]
        folds = range(stage.folds.n_splits)
        if not feeds_later or self.stage:
            folds = folds[: self.folds]
            if self.fold is not None:
                if not 0 <= self.fold < stage.folds.n_splits:
                    raise UserError(f"--fold {self.fold}: {stage.name} has folds 0 to {stage.folds.n_splits - 1}")
                folds = range(self.fold, self.fold + 1)
        return [(seed, fold) for seed in seeds for fold in folds]
