"""Trains one fold of a CNN with Lightning: batches, steps, the kept epoch, and continuing after a kill."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce_with_logits
from torch_optimizer import RAdam

from moa.files import writing
from moa.learners.base import FitJob
from moa.learners.common import epoch_seed, smooth, state_on_cpu, steps_per_epoch, to_device
from moa.learners.deepinsight.feature_map import FeatureMap
from moa.learners.deepinsight.settings import CNNSettings


def train(
    settings: CNNSettings,
    job: FitJob,
    network: nn.Module,
    feature_map: FeatureMap,
    checkpoint: Path | None = None,
    origin: str | None = None,
) -> FoldModule:
    """Train one fold on scaled features. Seeds torch's global generator: call it inside ``torch.random.fork_rng``.

    Args:
        settings: hyper-parameters.
        job: its data are scaled to [0, 1].
        network: as training begins; trained in place.
        feature_map: fitted on the training rows.
        checkpoint: file written after each epoch, from which training continues if it is there; None: none is written.
        origin: where the network's ImageNet weights came from; kept in the checkpoint.

    Returns:
        the fold, with the state of its best epoch and its history.
    """
    module, runtime = FoldModule(settings, job, network, feature_map, origin), job.runtime
    if runtime.compile:
        network.compile()
    with _quiet():
        trainer = pl.Trainer(
            **runtime.lightning(),
            max_epochs=settings.epochs,
            gradient_clip_val=settings.gradient_clip,
            callbacks=[_Stop(settings.patience, settings.min_delta), *([_save_to(checkpoint)] if checkpoint else [])],
            enable_checkpointing=checkpoint is not None,
            logger=_logger(job),
            log_every_n_steps=1,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,  # the batches know their device
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        with writing(checkpoint or Path("checkpoint"), kept="the epoch before is kept"):
            trainer.fit(
                module,
                train_dataloaders=module.train_batches,
                val_dataloaders=module.valid_batches,
                ckpt_path=str(checkpoint) if checkpoint is not None and checkpoint.is_file() else None,
                weights_only=True,
            )
    return module


class FoldModule(pl.LightningModule):
    """One fold as a Lightning module. Data and images are not part of its state.

    Attributes:
        history: one row per epoch.
        best_epoch: number of the epoch of the lowest validation loss.
        best_state: the network's state after it, on the CPU.
        origin: where the network's ImageNet weights came from.
    """

    def __init__(
        self, settings: CNNSettings, job: FitJob, network: nn.Module, feature_map: FeatureMap, origin: str | None = None
    ):
        super().__init__()
        self.settings, self.job, self.runtime, self.network = settings, job, job.runtime, network
        self.feature_map, self.origin, data = feature_map, origin, job.data
        self._tables = {
            part: (data.X.iloc[rows], data.y.iloc[rows])
            for part, rows in (("train", data.train), ("valid", data.valid))
        }
        self.noise = settings.noise()
        self.n_valid = len(data.valid)
        self.train_batches = Batches(len(data.train), settings.batch_size, self._order)
        self.valid_batches = Batches(len(data.valid), self.runtime.predict_batch)
        self.history: list[dict[str, float]] = []
        self.best_loss, self.best_epoch = math.inf, -1
        self.best_state: dict[str, Tensor] = {}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return RAdam(self.network.parameters(), lr=self.settings.lr, weight_decay=self.settings.weight_decay)

    def on_fit_start(self) -> None:
        device = self.device
        # Each process has fitted the map itself; the first one's is used by all.
        chart = self.feature_map
        place = (chart.layout_, chart.coordinates_, chart.rows_, chart.cols_)
        chart.layout_, chart.coordinates_, chart.rows_, chart.cols_ = self.trainer.strategy.broadcast(place)
        self.runtime.place(self.network, device)
        self._data = {part: tuple(to_device(table, device) for table in pair) for part, pair in self._tables.items()}
        precision = self.runtime.lightning_precision
        # Drawn in the type that the first convolution gets under autocast: half the memory to write and to read.
        dtype = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(precision, torch.float32)
        self._renderer = self.feature_map.renderer(device=device, dtype=dtype, channels_last=self.runtime.channels_last)
        self.train_batches.share = (self.global_rank, self.trainer.world_size)

    def _seed(self, stream: int) -> int:
        return epoch_seed(self.job.seed, self.job.fold, self.current_epoch, stream)

    def _order(self, rows: int) -> Tensor:
        return torch.randperm(rows, generator=torch.Generator().manual_seed(self._seed(0)))

    def on_train_epoch_start(self) -> None:
        self._generator = torch.Generator(self.device).manual_seed(self._seed(1 + 2 * self.global_rank))
        torch.manual_seed(self._seed(2 + 2 * self.global_rank))  # dropout and drop-connect
        # A function of the epoch alone: Lightning saves a checkpoint before it steps a scheduler, which would be an
        # epoch late after a kill.
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = cosine(self.settings.lr, self.current_epoch, self.settings.half_cycle)
        self._total = torch.zeros((), device=self.device)
        self._rows = 0

    def training_step(self, rows: Tensor, step: int) -> Tensor:
        x, y = self._data["train"]
        images = self._renderer(self.noise(x, rows, self._generator), reuse=True)
        loss = bce_with_logits(self.network(images).float(), smooth(y[rows], self.settings.smoothing))
        self._total += loss.detach() * len(rows)
        self._rows += len(rows)
        return loss

    def on_validation_epoch_start(self) -> None:
        if self.trainer.world_size > 1:
            # Batch norm has seen other rows on each device. All use the first one's averages, as in training, and so
            # keep the same epoch and the same weights.
            for buffer in self.network.buffers():
                torch.distributed.broadcast(buffer, 0)
        self._valid_total = torch.zeros((), device=self.device, dtype=torch.float64)

    def validation_step(self, rows: Tensor, step: int) -> None:
        # Every device evaluates all validation rows, so all agree on when to stop without waiting for one another.
        x, y = self._data["valid"]
        logits = self.network(self._renderer(x[rows], reuse=True)).float()
        self._valid_total += bce_with_logits(logits, y[rows], reduction="none").mean(1).sum()

    def on_validation_epoch_end(self) -> None:
        self.log("valid_loss", (self._valid_total / self.n_valid).float())

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
        # Weights are kept even if the loss of the first epoch is not finite, hence the second condition.
        if valid_loss < self.best_loss or not self.best_state:
            self.best_loss, self.best_epoch = valid_loss, self.current_epoch
            self.best_state = state_on_cpu(self.network)
        self.job.callback.on_epoch_end(self.current_epoch, self.settings.epochs, row)

    # The best epoch is stored inside the one checkpoint, so that a kill between two files cannot separate them.
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["moa"] = {name: getattr(self, name) for name in self._kept} | {"threads": torch.get_num_threads()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        for name in self._kept:
            setattr(self, name, checkpoint["moa"][name])
        # Sums are split by thread: another number of threads would give other last digits.
        torch.set_num_threads(checkpoint["moa"]["threads"])

    _kept = ("history", "best_loss", "best_epoch", "best_state", "origin")


class Batches:
    """Batches of row positions, on the CPU; an epoch's order is drawn when its iteration begins.

    With n devices each takes every n-th row of the one order, and the same number of rows.

    Attributes:
        share: (rank, number of devices).
    """

    def __init__(self, rows: int, batch_size: int, order: Callable[[int], Tensor] = torch.arange):
        self.rows, self.batch_size, self.order = rows, batch_size, order
        self.share = (0, 1)
        self.learning = order is not torch.arange

    def __len__(self) -> int:
        rows = self.rows // self.share[1]
        # Batch norm cannot learn from a single row: such a last batch is left out.
        return steps_per_epoch(rows, self.batch_size) if self.learning else math.ceil(rows / self.batch_size)

    def __iter__(self) -> Iterator[Tensor]:
        rank, devices = self.share
        rows = self.order(self.rows)[rank::devices][: self.rows // devices]
        yield from rows.split(self.batch_size)[: len(self)]


def cosine(lr: float, epoch: int, half_cycle: int) -> float:
    """Learning rate of an epoch: torch's CosineAnnealingLR (T_max = half_cycle, eta_min = 0) in closed form."""
    return lr * (1 + math.cos(math.pi * epoch / half_cycle)) / 2


class _Stop(EarlyStopping):
    """Lightning's early stopping; after a kill it remembers that it had already stopped."""

    def __init__(self, patience: int, min_delta: float):
        super().__init__("valid_loss", min_delta, patience, mode="min", check_on_train_epoch_end=True)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        if self.stopped_epoch:
            trainer.should_stop = True


def _save_to(checkpoint: Path) -> ModelCheckpoint:
    """One file, replaced after each epoch."""
    return ModelCheckpoint(
        dirpath=checkpoint.parent,
        filename=checkpoint.stem,
        every_n_epochs=1,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )


def _logger(job: FitJob) -> TensorBoardLogger | bool:
    folder, scratch = job.runtime.tensorboard, job.runtime.scratch
    if folder is True:
        folder = scratch / "tensorboard" if scratch else False
    if isinstance(folder, bool):
        return False
    return TensorBoardLogger(folder, name=f"seed-{job.seed}", version=f"fold-{job.fold}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's hints, not its errors; restore the number of threads, which a checkpoint may change."""
    names = ("pytorch_lightning", "pytorch_lightning.utilities.rank_zero", "pytorch_lightning.accelerators.cuda")
    levels, threads = {name: logging.getLogger(name).level for name in names}, torch.get_num_threads()
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        torch.set_num_threads(threads)
