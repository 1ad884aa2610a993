"""Images per second: drawing in batches compared with a pandas group-by per row, in one process.

    python tests/benchmarks/bench_rendering.py [--device cpu cuda] [--resolutions 224 300] [--threads 1]

Rows of a synthetic table of the real width are drawn with the map fitted on them. Before anything is timed, both ways
are checked to give the same images. On CUDA a training step of the published network is timed too, to report the share
of drawing.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2] / "final")]
from moa.features import LogScaler  # noqa: E402
from moa.learners.deepinsight.feature_map import FeatureMap  # noqa: E402
from moa.learners.deepinsight.rendering import Renderer, SwapNoise  # noqa: E402
from support.naive_images import naive_images  # noqa: E402

# Published batch size and backbone, by resolution.
BATCH = {224: 128, 300: 48}
BACKBONE = {224: "resnest", 300: "efficientnet"}


def table(rows: int = 1024, features: int = 875, seed: int = 0) -> np.ndarray:
    """A table of the real width, shape (rows, features): 40 hidden causes, and near copies that share a pixel."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 40)) @ rng.normal(size=(40, features)) / 6 + rng.normal(size=(rows, features))
    X[:, 10::5] = X[:, 9:-1:5] + 0.001 * rng.normal(size=X[:, 10::5].shape)
    X[:, :3] = rng.integers(0, 3, size=(rows, 3)) / 2
    return X


def seconds(run: Callable[[], object], device: str, repeats: int = 30) -> float:
    """Median time of a call, after two calls to warm up."""
    times = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        run()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return float(np.median(times[2:]))


def training_step(images: torch.Tensor, backbone: str) -> Callable[[], object]:
    """Forward and backward of the published network in mixed precision, on given images."""
    from moa.learners.deepinsight.backbones import BACKBONES, build_network

    network = build_network(BACKBONES[backbone](), n_targets=206, hidden=512).to(images.device).train()
    target = torch.zeros(len(images), 206, device=images.device)

    def step() -> None:
        with torch.autocast("cuda", torch.bfloat16):
            loss = torch.nn.functional.binary_cross_entropy_with_logits(network(images), target)
        network.zero_grad(set_to_none=True)
        loss.backward()

    return step


def draw(renderer: Renderer, X: torch.Tensor, rows: torch.Tensor, reuse: bool = False) -> torch.Tensor:
    """Images of some rows."""
    return renderer(X[rows], reuse)


def draw_with_noise(
    renderer: Renderer, X: torch.Tensor, rows: torch.Tensor, noise: SwapNoise, generator: torch.Generator
) -> torch.Tensor:
    """Images of some rows with swap noise, as in training."""
    return renderer(noise(X, rows, generator), reuse=True)


def main(arguments: Sequence[str] | None = None) -> list[dict[str, float | str]]:
    """Print and return one line per device and resolution."""
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", nargs="+", choices=["cpu", "cuda"], default=devices)
    parser.add_argument("--resolutions", nargs="+", type=int, default=[224, 300])
    parser.add_argument("--batch", type=int, help="rows per batch; default: the published number")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)

    scaled = LogScaler().fit_transform(table())
    fitted = FeatureMap(options.resolutions[0]).fit(scaled)
    results = []
    for resolution in options.resolutions:
        placed = fitted.at(resolution)
        batch = options.batch or BATCH.get(resolution, 64)
        few = scaled[:16]
        naive = naive_images(few, placed.rows_, placed.cols_, placed.shape_)
        naive_rate = len(few) / seconds(partial(naive_images, few, placed.rows_, placed.cols_, placed.shape_), "cpu", 7)
        for device in options.device:
            renderer = placed.renderer(device=device)
            X = torch.tensor(scaled, dtype=torch.float32, device=device)
            np.testing.assert_allclose(renderer(X[:16]).cpu(), naive, atol=1e-6)
            rows = torch.arange(batch, device=device)
            ways = {
                "fresh": partial(draw, renderer, X, rows),
                "reused": partial(draw, renderer, X, rows, reuse=True),
                "noise+reused": partial(draw_with_noise, renderer, X, rows, SwapNoise(), torch.Generator(device)),
            }
            for way, run in ways.items():
                rate = batch / seconds(run, device)
                line = {
                    "device": device,
                    "resolution": resolution,
                    "batch": batch,
                    "pixels": len(renderer.pixels),
                    "way": way,
                    "naive_per_s": naive_rate,
                    "images_per_s": rate,
                    "ratio": rate / naive_rate,
                }
                if device == "cuda" and resolution in BACKBONE:
                    step = seconds(training_step(renderer(X[rows]), BACKBONE[resolution]), device, repeats=10)
                    line["share_of_step"] = batch / rate / (step + batch / rate)
                results.append(line)
                print("  ".join(f"{k} {v:,.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in line.items()))
    return results


if __name__ == "__main__":
    main()
