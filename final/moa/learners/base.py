"""What a learner is: the contract between training, which runs units, and what is trained in one unit.

A learner is a frozen set of hyper-parameters that can ``fit`` one fold and ``predict`` with the result. It knows
nothing of files or of other units. Three things are kept apart: the data of a fold (``FoldData``), the identity of the
unit (seed and fold), and how the unit is run (``moa.learners.runtime.Runtime``).

Every command imports the recipes, and with them the learners' classes. So a module that defines such a class imports
torch and other heavy packages only inside ``fit`` and ``predict``, or leaves the work to a module that they import.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, ValidationError

from moa.errors import UserError, in_words
from moa.learners.runtime import Runtime

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import torch


@dataclass(frozen=True)
class FoldData:
    """The data of one fold.

    Attributes:
        X: inputs of all training rows, shape (rows, features), indexed by sig_id.
        y: 0/1 targets of the same rows, float32, shape (rows, targets), same index.
        train: positions of the rows to fit on, shape (n_train,).
        valid: positions of the rows that choose the epoch and are predicted as OOF, shape (n_valid,).
        keep_last: keep the last epoch and only record the losses of the validation rows; set only for learners of
            ``fixed_epochs``.
        treatments: number of the treatment of each row, shape (rows,): wells of one compound at one dose. None: not
            known, and each row is one of its own. With ``compounds`` and ``apart`` a learner can choose among settings
            as its fold is judged: on rows whose compounds it has left out.
        compounds: number of the compound of each row, or of what else is held out whole, shape (rows,); None: not
            known.
        controls: True for controls, which have no mechanism, shape (rows,); None: there are none among the rows.
        apart: codes of what is left out of a fold's training rows besides, such as the week of a plate, shape (rows,
            columns); None: nothing is.
    """

    X: pd.DataFrame
    y: pd.DataFrame
    train: np.ndarray
    valid: np.ndarray
    keep_last: bool = False
    treatments: np.ndarray | None = None
    compounds: np.ndarray | None = None
    controls: np.ndarray | None = None
    apart: np.ndarray | None = None


@dataclass
class Fitted:
    """The result of training one unit.

    Attributes:
        tensors: everything that prediction needs, on the CPU, contiguous; stored as safetensors.
        meta: further facts that prediction needs, which JSON can hold.
        history: one mapping per epoch, with at least ``epoch``, ``train_loss`` and ``valid_loss``.
        oof: honest predictions of the validation rows, shape (n_valid, targets), where ``predict`` would not give them
            because training went on with these rows afterwards; None: ``predict`` gives them.
        variants: other predictions of the validation rows by name, same shape, stored with the honest ones.
        start: what a unit of a later stage starts from, in the form of ``tensors`` and stored with them, where that is
            not what predicts; None: ``tensors``.
    """

    tensors: dict[str, torch.Tensor]
    meta: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    oof: np.ndarray | None = None
    variants: dict[str, np.ndarray] = field(default_factory=dict)
    start: dict[str, torch.Tensor] | None = None


class EpochCallback:
    """Receives each epoch of a unit that is being trained. The method does nothing here; override it."""

    def on_epoch_end(self, epoch: int, epochs: int, row: dict[str, float]) -> None:
        """Called after each epoch.

        Args:
            epoch: the epoch's number, from 0.
            epochs: the most epochs that can be run.
            row: the epoch's row of the history.
        """


class Learner(Protocol):
    """Frozen hyper-parameters that can be fitted to a fold; its class can state ``Traits``."""

    def fit(
        self,
        data: FoldData,
        seed: int,
        fold: int,
        runtime: Runtime,
        initial: Fitted | None = None,
        callback: EpochCallback | None = None,
    ) -> Fitted:
        """Train on ``data.train`` and choose the epoch on ``data.valid``.

        Args:
            data: inputs, targets and rows.
            seed: model seed, from which initial weights, order, dropout and noise are drawn; by some learners together
                with ``fold``.
            fold: number of the fold, from 0.
            runtime: device and other conditions that are not hyper-parameters.
            initial: the finished unit to start from, where the stage names one: its ``start``, or else its ``tensors``.
            callback: receives each epoch.

        Returns:
            what prediction needs, and the learning curve.
        """
        ...

    def predict(self, fitted: Fitted, X: pd.DataFrame, runtime: Runtime) -> np.ndarray:
        """Probabilities of the targets.

        Args:
            fitted: what ``fit`` returned; its history may be missing.
            X: shape (rows, features), the same columns as in ``fit``.
            runtime: device and other conditions.

        Returns:
            float32, shape (rows, targets).
        """
        ...


class Traits(BaseModel):
    """What training needs to know of a learner: attributes that its class may have, with a default for each.

    Attributes:
        parallel: how units run at the same time on a CPU: "threads" where training draws random numbers from
            generators of its own only; "processes" where it also uses global generators.
        training_options: names of ``Runtime`` fields that change how this learner is trained; not the device.
        fixed_epochs: True where all epochs are run, so that the last can be kept instead of the best; False where the
            validation loss decides when training stops.
        precisions: values of ``Runtime.precision`` that ``predict`` accepts.
        checkpoints: True where training leaves ``*.ckpt`` files in ``Runtime.scratch`` and continues from them.
        calibrated: True where training calibrates the predictions itself, on rows that it has left out.
    """

    model_config = ConfigDict(frozen=True, from_attributes=True)

    parallel: Literal["threads", "processes"] = "threads"
    training_options: frozenset[str] = frozenset()
    fixed_epochs: bool = False
    precisions: tuple[str, ...] = ("auto", "32-true")
    checkpoints: bool = False
    calibrated: bool = False


def traits(learner: Learner) -> Traits:
    """The traits of a learner.

    Raises:
        UserError: its class states a value that is not possible.
    """
    try:
        return Traits.model_validate(learner)
    except ValidationError as error:
        raise UserError(f"{type(learner).__name__}: {in_words(error)}") from None


@runtime_checkable
class BatchedLearner(Learner, Protocol):
    """A learner that can train several units of a stage as one batched network, which pays on a GPU."""

    def batch_key(self, data: FoldData) -> Hashable:
        """Units whose ``data`` give equal keys can be trained together."""
        ...

    def unit_bytes(self, data: FoldData) -> int:
        """Memory that training one unit on ``data`` takes, without the tables, in bytes."""
        ...

    def fit_batched(
        self,
        data: Sequence[FoldData],
        seeds: Sequence[int],
        folds: Sequence[int],
        runtime: Runtime,
        callbacks: Sequence[EpochCallback | None],
    ) -> list[Fitted]:
        """Train several units together; the arguments hold one entry for each unit.

        Args:
            data: inputs, targets and rows.
            seeds: model seeds.
            folds: numbers of the folds, from 0.
            runtime: device and other conditions.
            callbacks: receive each epoch.

        Returns:
            one result for each unit, equal to ``fit``'s up to the rounding of sums.
        """
        ...


@dataclass(frozen=True)
class FitJob:
    """The arguments of ``Learner.fit`` as one object; without a callback, one that does nothing."""

    data: FoldData
    seed: int
    fold: int
    runtime: Runtime
    initial: Fitted | None = None
    callback: EpochCallback = EpochCallback()


class JobLearner:
    """Base class of the package's learners, which take the arguments of ``fit`` as one object."""

    def fit(
        self,
        data: FoldData,
        seed: int,
        fold: int,
        runtime: Runtime,
        initial: Fitted | None = None,
        callback: EpochCallback | None = None,
    ) -> Fitted:
        """Train on one fold; see ``Learner``."""
        return self.train(FitJob(data, seed, fold, runtime, initial, callback or EpochCallback()))

    def train(self, job: FitJob) -> Fitted:
        """Train on one fold."""
        raise NotImplementedError
