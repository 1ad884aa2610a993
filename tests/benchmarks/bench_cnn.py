"""What a DeepInsight CNN costs to train: its own training code, timed, beside the published hours and the old loader.

    python tests/benchmarks/bench_cnn.py                # published settings; needs a GPU, or patience
    python tests/benchmarks/bench_cnn.py --demo --rows 300 --old-images 64   # the same code, a minute on a CPU

A fold of the competition's size is trained for a few epochs without ImageNet weights, on a table of the real width. The
first epoch warms up and is not counted. The old way is a loader that draws row by row with a group-by, in as many
processes as there are cores, with nothing else to do.
"""

from __future__ import annotations

import argparse
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

from moa.learners.base import Fold  # noqa: E402
from moa.learners.deepinsight.feature_map import FeatureMap, LogScaler  # noqa: E402
from moa.learners.deepinsight.learner import CNNLearner, Runtime  # noqa: E402
from moa.models.registry import recipe  # noqa: E402
from moa.training.runner import pick_device  # noqa: E402
from support.naive_images import naive_images  # noqa: E402

MODELS = ("deepinsight-efficientnet-b3", "deepinsight-resnest-v2")
ROWS, TARGETS, FOLDS, EPOCHS = 23_814, 206, 10, 35
PUBLISHED = "12-25 h on two RTX 2080 Ti"


class OldWay(Dataset):
    """A row at a time, grouped by pixel with pandas, as the original's loader did."""

    def __init__(self, scaled: np.ndarray, chart: FeatureMap):
        self.scaled, self.chart = scaled, chart

    def __len__(self) -> int:
        return len(self.scaled)

    def __getitem__(self, row: int) -> np.ndarray:
        images = naive_images(self.scaled[row : row + 1], self.chart.rows_, self.chart.cols_, self.chart.shape_)
        return images[0].astype(np.float32)


def old_rate(scaled: np.ndarray, chart: FeatureMap, batch: int, workers: int) -> float:
    """Images a second of the old loader; the start of its processes is not counted."""
    batches = iter(DataLoader(OldWay(scaled, chart), batch_size=batch, num_workers=workers))
    done = len(next(batches))
    start, drawn = time.perf_counter(), 0
    for images in batches:
        drawn += len(images)
    if not drawn:
        raise SystemExit(f"--old-images: give more than one batch of {done}")
    return drawn / (time.perf_counter() - start)


class Utilisation:
    """Mean GPU utilisation in percent from `start` to `stop`, by nvidia-smi; None where that is not there."""

    def start(self) -> None:
        command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "200"]
        self._process: subprocess.Popen[str] | None = None
        try:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        except OSError:
            return

    def stop(self) -> float | None:
        if self._process is None:
            return None
        self._process.terminate()
        said = [float(line) for line in self._process.communicate()[0].split() if line.isdigit()]
        return float(np.mean(said)) if said else None


def training(learner: CNNLearner, fold: Fold) -> tuple[float, float | None, float]:
    """Seconds of an epoch with its validation (median without the first), GPU utilisation, and peak memory in GiB."""
    ends: list[float] = []
    used = Utilisation()
    cuda = fold.device.type == "cuda"

    def on_epoch(epoch: int, epochs: int, row: dict[str, float]) -> None:
        ends.append(time.perf_counter())
        if len(ends) == 1:  # neither the laying out of the map nor the warm-up counts
            used.start()
        print(f"  epoch {epoch + 1} of {epochs}: valid loss {row['valid_loss']:.4f}", flush=True)

    if cuda:
        torch.cuda.reset_peak_memory_stats(fold.device)
    learner.fit(Fold(**(vars(fold) | {"on_epoch": on_epoch})))
    percent = used.stop()
    peak = torch.cuda.max_memory_allocated(fold.device) / 2**30 if cuda else _resident()
    return float(np.median(np.diff(ends))), percent, peak


def _described(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} threads"


def _resident() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def drawing(learner: CNNLearner, chart: FeatureMap, scaled: np.ndarray, device: torch.device) -> float:
    """Seconds to noise and draw one batch on the device."""
    dtype = torch.bfloat16 if learner.runtime.precision_on(device) == "bf16-mixed" else torch.float32
    renderer = chart.renderer(device=device, dtype=dtype, channels_last=learner.runtime.channels_last)
    x = torch.tensor(scaled, dtype=torch.float32, device=device)
    rows, generator = torch.arange(min(learner.batch_size, len(x)), device=device), torch.Generator(device)
    noise = learner.noise()
    return seconds(lambda: renderer(noise(x, rows, generator), reuse=True), device.type)


def measure(name: str, options: argparse.Namespace, device: torch.device) -> dict[str, float | str | None]:
    """All figures of one model."""
    runtime = Runtime(channels_last=options.channels_last, compile=options.compile, precision=options.precision)
    runtime.check(device)
    published = recipe(name).configure("demo" if options.demo else "kaggle").learner
    learner = published.model_copy(update={"pretrained": False, "epochs": options.epochs, "runtime": runtime})
    values = table(options.rows)
    index = pd.Index([f"id_{row}" for row in range(len(values))], name="sig_id")
    x = pd.DataFrame(values.astype(np.float32), index, [f"f-{i}" for i in range(values.shape[1])])
    y = (np.random.default_rng(0).random((len(x), TARGETS)) < 0.0035).astype(np.float32)
    order = np.random.default_rng(1).permutation(len(x))
    valid, train = order[: len(x) // FOLDS], order[len(x) // FOLDS :]
    print(f"{name}: {len(train):,} training rows, {learner.resolution} pixels, batches of {learner.batch_size}")
    with tempfile.TemporaryDirectory() as scratch:
        fold = Fold(x, pd.DataFrame(y, index), train, valid, 0, 0, device, Path(scratch))
        epoch, percent, peak = training(learner, fold)
    scaled = LogScaler().fit_transform(values[train])
    # The places of the map do not matter for speed, how many share a pixel does: the same layout as in training.
    chart = FeatureMap(learner.resolution, learner.layout, learner.perplexity, learner.map_iterations).fit(scaled)
    share = drawing(learner, chart, scaled, device) * np.ceil(len(train) / learner.batch_size) / epoch
    old = old_rate(scaled[: options.old_images], chart, min(learner.batch_size, 16), options.workers)
    hours = EPOCHS * FOLDS / 3600
    return {
        "model": name,
        "device": _described(device),
        "seconds an epoch": epoch,
        "images a second, validation included": len(x) / epoch,
        "GPU utilisation, %": percent,
        "share of drawing and noise, %": 100 * share,
        "peak memory, GiB": peak,
        f"hours for {FOLDS} folds of {EPOCHS} epochs": epoch * hours,
        "published": PUBLISHED,
        f"old loader, images a second ({options.workers} processes)": old,
        "old loader, hours at least": len(x) / old * hours,
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> list[dict[str, float | str | None]]:
    """Print and return the figures of each model."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", nargs="+", choices=[*MODELS, "deepinsight-resnest-v1"], default=MODELS)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--epochs", type=int, default=4, help="the first one is not counted")
    parser.add_argument("--demo", action="store_true", help="small images and networks: only to see that it runs")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--old-images", type=int, default=2000, help="drawn by the old loader")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes of the old loader")
    options = parser.parse_args(arguments)
    if options.epochs < 2:
        parser.error("--epochs: give two or more, since the first one warms up")
    device = pick_device(options.device)
    results = []
    for name in options.models:
        results.append(measure(name, options, device))
        for what, figure in results[-1].items():
            print(f"  {what:<50} {figure:,.4g}" if isinstance(figure, float) else f"  {what:<50} {figure or '-'}")
    return results


if __name__ == "__main__":
    main()
