"""Losses that the winners' training runs logged on the competition's data: a yardstick for runs of this package.

Source: the outputs stored in the executed notebooks that the winners published. Two tables are in this folder:
``epochs.csv.gz`` has the losses of every epoch of a perceptron, ``milestones.csv`` the best losses of a 2-heads ResNet
or a CNN. Models that are in neither have no log.

There are three kinds of runs:

- ``exact``: the run behind the published score, with the same seeds and folds as here. Unit (seed, fold) there and unit
  (seed, fold) here are trained and validated on the same rows.
- ``sister``: the same code with other seeds, or a slightly earlier version of it. In stages 2 and 3 of the 3-stage NN
  the folds differ too, because the original drew them from the last model seed that was set; and those of the new CV
  cannot be reproduced, see ``moa.data.folds.drug_aware_folds``. Fold f there and fold f here then have other rows, so
  that only means over folds and seeds can be compared.
- ``one seed``: only one seed was logged, with the same folds as here. How much seeds differ is therefore not known.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

#: Stages whose sister run was validated on other folds than ours, and why.
_OF_THE_LAST_SEED = "drawn from the last model seed that was set"
_OTHER_FOLDS = {
    ("three-stage-nn-5fold", "stage2"): _OF_THE_LAST_SEED,
    ("three-stage-nn-5fold", "stage3"): _OF_THE_LAST_SEED,
    ("simple-nn-new-cv", "nn"): "which cannot be reproduced: drugs of equally many rows stood in a hash order",
}


@dataclass(frozen=True)
class LossKind:
    """What a logged validation loss is.

    Attributes:
        text: in words.
        column: column of our histories with the same loss, whose lowest value is compared; None: see ``variant``.
        variant: name of the OOF predictions whose log loss over treated rows is compared.
    """

    text: str
    column: str | None = None
    variant: str | None = None


#: By the names in the tables.
KINDS = {
    "batches": LossKind("best validation loss, treated rows, mean over batches", "valid_batch_loss"),
    "smoothed": LossKind("best validation loss, treated rows, smoothed labels", "valid_stopping_loss"),
    "all rows": LossKind("best validation loss, all rows", "valid_loss"),
    "after phase 3": LossKind("log loss after phase 3, treated rows (leaks)", variant="after-phase3"),
}


@dataclass(frozen=True)
class Log:
    """One logged loss of one stage.

    Attributes:
        stage: name of the stage.
        run: "exact", "sister" or "one seed"; see the module.
        kind: key of ``KINDS``.
        best: best loss, shape (units,), index (seed, fold).
        other_folds: why fold f there and fold f here have other validation rows; None: they have the same.
    """

    stage: str
    run: str
    kind: str
    best: pd.Series
    other_folds: str | None = None

    @property
    def same_folds(self) -> bool:
        """Whether fold f there and fold f here have the same validation rows."""
        return self.other_folds is None


def epochs(model: str) -> pd.DataFrame:
    """Losses of a model by epoch; empty if there is no such log.

    The training loss is computed with dropout and smoothed labels. Both losses are means over batches, and in stages 1
    and 3 of the 3-stage NN against clipped targets.

    Returns:
        one row per epoch of every unit: stage, run, seed, fold, epoch (from 0), train_loss, valid_loss.
    """
    return _of("epochs.csv.gz", model)


def milestones(model: str) -> pd.DataFrame:
    """Best losses of a model that was not logged by epoch; empty if there are none.

    Returns:
        stage, seed, fold, kind (key of ``KINDS``), epoch (the best one, from 0; NaN where it is not known), loss.
    """
    return _of("milestones.csv", model)


def logs(model: str) -> list[Log]:
    """Every logged loss of a model, in the order of its stages; empty if there is no log."""
    found = []
    for (stage, run), rows in epochs(model).groupby(["stage", "run"], sort=False):
        best = rows.groupby(["seed", "fold"])["valid_loss"].min()
        found.append(Log(stage, run, "batches", best, _OTHER_FOLDS.get((model, stage))))
    for (stage, kind), rows in milestones(model).groupby(["stage", "kind"], sort=False):
        found.append(Log(stage, "one seed", kind, rows.set_index(["seed", "fold"])["loss"]))
    return found


def curves(model: str) -> pd.DataFrame:
    """A model's validation losses to draw with our learning curves; empty if there are none.

    Returns:
        stage, run, seed, fold, epoch, valid_loss: one row per epoch, or, for the CNNs, one row per unit, of its best
        epoch. The 2-heads nets have none, because the epochs of their losses were not logged.
    """
    columns = ["stage", "run", "seed", "fold", "epoch", "valid_loss"]
    points = milestones(model).dropna(subset=["epoch"]).assign(run="one seed").rename(columns={"loss": "valid_loss"})
    found = epochs(model) if len(epochs(model)) else points
    return found[columns].astype({"epoch": int})


def _of(file: str, model: str) -> pd.DataFrame:
    table = _table(file)
    return table[table["model"] == model].drop(columns="model").reset_index(drop=True)


@cache
def _table(file: str) -> pd.DataFrame:
    import pandas as pd

    return pd.read_csv(Path(__file__).with_name(file))
