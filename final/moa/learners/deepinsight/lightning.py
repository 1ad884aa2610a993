"""One fold of a CNN under Lightning: batches, steps, the kept epoch, and going on after a kill."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce_with_logits
from torch_optimizer import RAdam

from moa.learners.base import Fold
from moa.learners.common import epoch_seed, smooth, steps_per_epoch, to_device, unit_seed
from moa.learners.deepinsight.feature_map import FeatureMap

if TYPE_CHECKING:
    from moa.learners.deepinsight.learner import CNNLearner


@dataclass
class Trained:
    """What training leaves: state of the best epoch, and how it went."""

    state: dict[str, Tensor]
    best_epoch: int
    history: list[dict[str, float]]
    origin: str | None


def train(learner: CNNLearner, fold: Fold, scaled: pd.DataFrame, feature_map: FeatureMap) -> Trained:
    """Train one fold on scaled features. Seeds torch's global generator: call it inside ``torch.random.fork_rng``."""
    runtime = learner.runtime
    checkpoint = fold.scratch / f"last-{learner.fingerprint(fold)}.ckpt"
    resuming = checkpoint.is_file()
    # The checkpoint holds the weights: going on must not depend on a server that has ImageNet's.
    start = learner.model_copy(update={"pretrained": learner.pretrained and not resuming})
    network, origin = start.start(fold.y.shape[1], unit_seed(fold.seed, fold.fold))
    module = FoldModule(learner, fold, network, scaled, feature_map, origin)
    if runtime.compile:
        network.compile()
    with _quiet(), _own_threads():
        trainer = pl.Trainer(
            **runtime.lightning(fold.device),
            max_epochs=learner.epochs,
            gradient_clip_val=learner.gradient_clip,
            callbacks=[_Stop(learner.patience), _save_to(checkpoint)],
            logger=_logger(learner, fold),
            log_every_n_steps=1,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,  # the batches know their device
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(
            module,
            train_dataloaders=module.train_batches,
            val_dataloaders=module.valid_batches,
            ckpt_path=str(checkpoint) if resuming else None,
            weights_only=True,
        )
    return Trained(module.best_state, module.best_epoch, module.history, module.origin)


class FoldModule(pl.LightningModule):
    """What Lightning needs to know of a fold. Data and images are no part of its state."""

    def __init__(
        self,
        learner: CNNLearner,
        fold: Fold,
        network: nn.Module,
        scaled: pd.DataFrame,
        feature_map: FeatureMap,
        origin: str | None,
    ):
        super().__init__()
        self.learner, self.fold, self.network, self.feature_map, self.origin = (
            learner,
            fold,
            network,
            feature_map,
            origin,
        )
        self._tables = {
            "train": (scaled.iloc[fold.train], fold.y.iloc[fold.train]),
            "valid": (scaled.iloc[fold.valid], fold.y.iloc[fold.valid]),
        }
        self.noise = learner.noise()
        self.train_batches = Batches(len(fold.train), learner.batch_size, self._order)
        self.valid_batches = Batches(len(fold.valid), learner.runtime.predict_batch)
        self.history: list[dict[str, float]] = []
        self.best_loss, self.best_epoch = math.inf, -1
        self.best_state: dict[str, Tensor] = {}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return RAdam(self.network.parameters(), lr=self.learner.lr, weight_decay=self.learner.weight_decay)

    def on_fit_start(self) -> None:
        learner, device = self.learner, self.device
        # Each process has laid the map out by itself, and another number of threads gives another one.
        chart = self.feature_map
        place = (chart.layout_, chart.coordinates_, chart.rows_, chart.cols_)
        chart.layout_, chart.coordinates_, chart.rows_, chart.cols_ = self.trainer.strategy.broadcast(place)
        learner.runtime.place(self.network, device)
        self._data = {part: tuple(to_device(table, device) for table in pair) for part, pair in self._tables.items()}
        precision = learner.runtime.precision_on(device)
        # Drawn at once as what the first convolution is given under autocast: half the memory to write and to read.
        dtype = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(precision, torch.float32)
        self._renderer = self.feature_map.renderer(
            device=device, dtype=dtype, channels_last=learner.runtime.channels_last
        )
        self.train_batches.share = (self.global_rank, self.trainer.world_size)

    def _seed(self, stream: int) -> int:
        return epoch_seed(self.fold.seed, self.fold.fold, self.current_epoch, stream)

    def _order(self, rows: int) -> Tensor:
        return torch.randperm(rows, generator=torch.Generator().manual_seed(self._seed(0)))

    def on_train_epoch_start(self) -> None:
        self._generator = torch.Generator(self.device).manual_seed(self._seed(1 + 2 * self.global_rank))
        torch.manual_seed(self._seed(2 + 2 * self.global_rank))  # dropout and drop-connect
        # A function of the epoch alone. Lightning saves a checkpoint before it steps a scheduler, which after a kill
        # would so be an epoch late.
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = cosine(self.learner.lr, self.current_epoch, self.learner.half_cycle)
        self._total = torch.zeros((), device=self.device)
        self._rows = 0

    def training_step(self, rows: Tensor, step: int) -> Tensor:
        x, y = self._data["train"]
        images = self._renderer(self.noise(x, rows, self._generator), reuse=True)
        loss = bce_with_logits(self.network(images).float(), smooth(y[rows], self.learner.smoothing))
        self._total += loss.detach() * len(rows)
        self._rows += len(rows)
        return loss

    def on_validation_epoch_start(self) -> None:
        if self.trainer.world_size > 1:
            # Batch norm has seen other rows on each device. All go by the first one's averages, as in training, and so
            # keep the same epoch and the same weights.
            for buffer in self.network.buffers():
                torch.distributed.broadcast(buffer, 0)
        self._valid_total = torch.zeros((), device=self.device, dtype=torch.float64)

    def validation_step(self, rows: Tensor, step: int) -> None:
        # Every device looks at all validation rows, so all agree on when to stop without waiting for one another.
        x, y = self._data["valid"]
        logits = self.network(self._renderer(x[rows], reuse=True)).float()
        self._valid_total += bce_with_logits(logits, y[rows], reduction="none").mean(1).sum()

    def on_validation_epoch_end(self) -> None:
        self.log("valid_loss", (self._valid_total / len(self.fold.valid)).float())

    def on_train_epoch_end(self) -> None:
        valid_loss = float(self.trainer.callback_metrics["valid_loss"])
        seen = self._total.new_tensor([self._total.item(), self._rows], dtype=torch.float64)
        total, rows = self.trainer.strategy.reduce(seen, reduce_op="sum").tolist()
        row = {
            "epoch": self.current_epoch,
            "train_loss": total / rows,
            "valid_loss": valid_loss,
            "lr": self.trainer.optimizers[0].param_groups[0]["lr"],
        }
        self.log_dict({"train_loss": row["train_loss"], "lr": row["lr"]})
        self.history.append(row)
        # A first epoch that is not finite must still leave weights to look at, hence the second condition.
        if valid_loss < self.best_loss or not self.best_state:
            self.best_loss, self.best_epoch = valid_loss, self.current_epoch
            self.best_state = {
                name: value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
                for name, value in self.network.state_dict().items()
            }
        self.fold.on_epoch(self.current_epoch, self.learner.epochs, row)

    # The best epoch travels inside the one checkpoint, so that a kill between two files cannot part them.
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["moa"] = {name: getattr(self, name) for name in self._kept} | {"threads": torch.get_num_threads()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        for name in self._kept:
            setattr(self, name, checkpoint["moa"][name])
        # Sums are split by thread, so another number of them would end in other last digits.
        torch.set_num_threads(checkpoint["moa"]["threads"])

    _kept = ("history", "best_loss", "best_epoch", "best_state", "origin")


class Batches:
    """Positions of rows, a batch at a time, on the CPU; an epoch's order is drawn when its iteration begins.

    With several devices each takes every n-th row of the one order, the same number of rows each.

    Attributes:
        share: (rank, number of devices).
    """

    def __init__(self, rows: int, batch_size: int, order: Callable[[int], Tensor] = torch.arange):
        self.rows, self.batch_size, self.order = rows, batch_size, order
        self.share = (0, 1)
        self.learning = order is not torch.arange

    def __len__(self) -> int:
        rows = self.rows // self.share[1]
        # Batch norm cannot learn from a row alone: such a last batch is left out.
        return steps_per_epoch(rows, self.batch_size) if self.learning else math.ceil(rows / self.batch_size)

    def __iter__(self) -> Iterator[Tensor]:
        rank, devices = self.share
        rows = self.order(self.rows)[rank::devices][: self.rows // devices]
        yield from rows.split(self.batch_size)[: len(self)]


def cosine(lr: float, epoch: int, half_cycle: int) -> float:
    """Learning rate of an epoch: torch's CosineAnnealingLR (T_max = half_cycle, eta_min = 0) in closed form."""
    return lr * (1 + math.cos(math.pi * epoch / half_cycle)) / 2


class _Stop(EarlyStopping):
    """Lightning's early stopping, which after a kill remembers that it had already stopped."""

    def __init__(self, patience: int):
        super().__init__("valid_loss", patience=patience, mode="min", check_on_train_epoch_end=True)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        if self.stopped_epoch:
            trainer.should_stop = True


def _save_to(checkpoint: Path) -> ModelCheckpoint:
    """One file, written over after each epoch."""
    return ModelCheckpoint(
        dirpath=checkpoint.parent,
        filename=checkpoint.stem,
        every_n_epochs=1,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )


def _logger(learner: CNNLearner, fold: Fold) -> TensorBoardLogger | bool:
    folder = learner.runtime.tensorboard
    if folder is False:
        return False
    folder = fold.scratch / "tensorboard" if folder is True else folder
    return TensorBoardLogger(folder, name=f"seed-{fold.seed}", version=f"fold-{fold.fold}")


@contextmanager
def _own_threads() -> Iterator[None]:
    """Give back torch's number of threads, which a checkpoint may have changed."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's greetings and hints off the screen; errors still come through."""
    names = ("pytorch_lightning", "pytorch_lightning.utilities.rank_zero", "pytorch_lightning.accelerators.cuda")
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            warnings.filterwarnings("ignore", module="lightning_fabric")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
