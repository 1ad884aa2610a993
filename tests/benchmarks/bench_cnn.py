"""Time to train a DeepInsight CNN, compared with the published hours and with the original's way of drawing images.

    python tests/benchmarks/bench_cnn.py                # published settings; needs a GPU, or takes hours
    python tests/benchmarks/bench_cnn.py --demo --rows 300 --old-images 64   # the same code, a minute on a CPU

The package's own training code is timed: a fold of the competition's size and width, for a few epochs, without ImageNet
weights. The first epoch warms up and is not counted. The original drew row by row with a group-by; that loader is timed
alone, in as many processes as there are cores.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader, Dataset

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]
sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "final")]
from bench_rendering import seconds, table  # noqa: E402

from moa.data.assay import COMPETITION  # noqa: E402
from moa.learners.base import FoldData  # noqa: E402
from moa.learners.deepinsight.feature_map import FeatureMap  # noqa: E402
from moa.learners.deepinsight.learner import CNNLearner  # noqa: E402
from moa.learners.runtime import Runtime  # noqa: E402
from moa.models.registry import recipe  # noqa: E402
from support.naive_images import naive_images  # noqa: E402
from tests.benchmarks.epochs import EpochClock  # noqa: E402

MODELS = ("deepinsight-efficientnet-b3", "deepinsight-resnest-v2")
ROWS, TARGETS, FOLDS, EPOCHS = 23_814, 206, 10, 35
PUBLISHED = "12-25 h on one RTX 2080 Ti"


class NaiveImages(Dataset):
    """One row at a time, grouped by pixel with pandas, as the original's loader did."""

    def __init__(self, scaled: np.ndarray, feature_map: FeatureMap):
        self.scaled, self.feature_map = scaled, feature_map

    def __len__(self) -> int:
        return len(self.scaled)

    def __getitem__(self, row: int) -> np.ndarray:
        places = self.feature_map
        return naive_images(self.scaled[row : row + 1], places.rows_, places.cols_, places.shape_)[0].astype(np.float32)


def naive_rate(scaled: np.ndarray, feature_map: FeatureMap, batch: int, workers: int) -> float:
    """Images per second of the original's loader; the start of its processes is not counted."""
    batches = iter(DataLoader(NaiveImages(scaled, feature_map), batch_size=batch, num_workers=workers))
    done = len(next(batches))
    start, drawn = time.perf_counter(), 0
    for images in batches:
        drawn += len(images)
    if not drawn:
        raise SystemExit(f"--old-images: give more than one batch of {done}")
    return drawn / (time.perf_counter() - start)


class Utilisation:
    """Mean GPU utilisation between ``start`` and ``stop``, as nvidia-smi reports it."""

    def start(self) -> None:
        """Start nvidia-smi, if there is one."""
        command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "200"]
        self._process: subprocess.Popen[str] | None = None
        try:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        except OSError:
            return

    def stop(self) -> float | None:
        """The mean in percent; None where nvidia-smi reported nothing."""
        if self._process is None:
            return None
        self._process.terminate()
        reported = [float(line) for line in self._process.communicate()[0].split() if line.isdigit()]
        return float(np.mean(reported)) if reported else None


class Watch(EpochClock):
    """Notes and prints the epochs, and watches the GPU from the end of the first one."""

    def __init__(self) -> None:
        super().__init__()
        self.utilisation = Utilisation()

    def on_epoch_end(self, epoch: int, epochs: int, row: dict[str, float]) -> None:
        super().on_epoch_end(epoch, epochs, row)
        if len(self.times) == 1:  # laying out the features and warming up do not count
            self.utilisation.start()
        print(f"  epoch {epoch + 1} of {epochs}: valid loss {row['valid_loss']:.4f}", flush=True)


def training(learner: CNNLearner, data: FoldData, runtime: Runtime) -> tuple[float, float | None, float]:
    """Seconds of an epoch with its validation (median without the first), GPU utilisation, and peak memory in GiB."""
    watch, device = Watch(), runtime.torch_device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    learner.fit(data, 0, 0, runtime, callback=watch)
    percent = watch.utilisation.stop()
    peak = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else _resident()
    return float(np.median(np.diff(watch.times))), percent, peak


def _described(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} threads"


def _resident() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def drawing(learner: CNNLearner, feature_map: FeatureMap, scaled: np.ndarray, runtime: Runtime) -> float:
    """Seconds to add noise to one batch and draw it on the device."""
    device = runtime.torch_device
    dtype = torch.bfloat16 if runtime.lightning_precision == "bf16-mixed" else torch.float32
    renderer = feature_map.renderer(device=device, dtype=dtype, channels_last=runtime.channels_last)
    X = torch.tensor(scaled, dtype=torch.float32, device=device)
    rows, generator = torch.arange(min(learner.batch_size, len(X)), device=device), torch.Generator(device)
    noise = learner.noise()
    return seconds(lambda: renderer(noise(X, rows, generator), reuse=True), device.type)


def make_fold(rows: int) -> FoldData:
    """A fold of unscaled inputs of the real width, with targets as sparse as the real ones."""
    values = table(rows)
    index = pd.Index([f"id_{row}" for row in range(len(values))], name="sig_id")
    X = pd.DataFrame(values.astype(np.float32), index).add_prefix("f-")
    y = (np.random.default_rng(0).random((len(X), TARGETS)) < 0.0035).astype(np.float32)
    order = np.random.default_rng(1).permutation(len(X))
    return FoldData(X, pd.DataFrame(y, index), order[len(X) // FOLDS :], order[: len(X) // FOLDS])


def measure(name: str, options: argparse.Namespace, runtime: Runtime) -> dict[str, float | str | None]:
    """All figures of one model."""
    model = recipe(name)
    overlay = {"learner": {"pretrained": False, "epochs": options.epochs}}
    config = model.configure("demo" if options.demo else "kaggle", overlay)
    stage = model.stages(config, COMPETITION)[-1]
    learner, data = stage.learner, make_fold(options.rows)
    scaler = stage.unit_features(0).fit(data.X.iloc[data.train])
    data = dataclasses.replace(data, X=scaler.transform(data.X))
    train = len(data.train)
    print(f"{name}: {train:,} training rows, {learner.resolution} pixels, batches of {learner.batch_size}")
    with tempfile.TemporaryDirectory() as scratch:
        epoch, percent, peak = training(learner, data, runtime.replace(scratch=Path(scratch)))
    scaled = data.X.to_numpy()[data.train]
    # Speed depends on how many features share a pixel, so the map is laid out as in training.
    feature_map = learner.feature_map().fit(scaled)
    share = drawing(learner, feature_map, scaled, runtime) * np.ceil(train / learner.batch_size) / epoch
    naive = naive_rate(scaled[: options.old_images], feature_map, min(learner.batch_size, 16), options.workers)
    hours = EPOCHS * FOLDS / 3600
    return {
        "model": name,
        "device": _described(runtime.torch_device),
        "seconds an epoch": epoch,
        "images a second, validation included": len(data.X) / epoch,
        "GPU utilisation, %": percent,
        "share of drawing and noise, %": 100 * share,
        "peak memory, GiB": peak,
        f"hours for {FOLDS} folds of {EPOCHS} epochs": epoch * hours,
        "published": PUBLISHED,
        f"old loader, images a second ({options.workers} processes)": naive,
        "old loader, hours at least": len(data.X) / naive * hours,
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> list[dict[str, float | str | None]]:
    """Print and return the figures of each model."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", nargs="+", choices=[*MODELS, "deepinsight-resnest-v1"], default=MODELS)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--epochs", type=int, default=4, help="the first one is not counted")
    parser.add_argument("--demo", action="store_true", help="small images and networks, only to see that it runs")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--old-images", type=int, default=2000, help="number drawn by the original's loader")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes of the original's loader")
    options = parser.parse_args(arguments)
    if options.epochs < 2:
        parser.error("--epochs: give two or more, because the first one is not counted")
    runtime = Runtime.of(
        options.device, channels_last=options.channels_last, compile=options.compile, precision=options.precision
    )
    results = []
    for name in options.models:
        results.append(measure(name, options, runtime))
        for what, figure in results[-1].items():
            print(f"  {what:<50} {figure:,.4g}" if isinstance(figure, float) else f"  {what:<50} {figure or '-'}")
    return results


if __name__ == "__main__":
    main()
