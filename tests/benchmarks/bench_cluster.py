"""Training on workers of this machine against training without a cluster, in one process: seconds, bytes, and losses.

    python tests/benchmarks/bench_cluster.py DATA --models all --on local:2
    python tests/benchmarks/bench_cluster.py DATA --models three-stage-nn-5fold two-heads simple-nn-old-cv --kill

Prints the ratio of both after the cluster's start, and how far a plan from the recorded seconds of units is from the
run. With ``--kill`` the models are trained once more, and a worker is killed (SIGKILL) in the middle of each of their
stages. All weights folders must be the same byte for byte.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2] / "final")]
from moa.blending.catalogue import expand_models  # noqa: E402
from moa.data.dataset import load_dataset  # noqa: E402
from moa.environment import Folders  # noqa: E402
from moa.features import UMAPEmbedding  # noqa: E402
from moa.jobs.options import TrainOptions  # noqa: E402
from moa.jobs.plan import recorded, simulate  # noqa: E402
from moa.jobs.train import train_models  # noqa: E402
from moa.models.registry import recipe  # noqa: E402
from moa.training.machines import open_executor  # noqa: E402
from moa.training.runner import Runner  # noqa: E402
from moa.weights.trained import Trained  # noqa: E402
from support import weights  # noqa: E402
from support.killing import Killing, kill_one  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", nargs="+", default=["all"])
    parser.add_argument("--profile", default="demo")
    parser.add_argument("--on", default="local:2")
    parser.add_argument("--kill", action="store_true", help="also kill a worker in each stage")
    asked = parser.parse_args()
    models = [recipe(name) for name in expand_models(asked.models)]
    UMAPEmbedding(5).fit(np.random.default_rng(0).normal(size=(300, 20)))  # compiles
    with tempfile.TemporaryDirectory() as folder:
        folders = {name: Path(folder) / name for name in ("without", "spread", "killed")}
        seconds = {}
        for name, on in (("without", None), ("spread", asked.on)):
            with open_executor(on, "cpu") as executor:
                begun = time.perf_counter()
                where = Folders.find(asked.profile, asked.data, weights=folders[name])
                train_models(models, where, TrainOptions(device="cpu"), executor)
                seconds[name] = time.perf_counter() - begun
                workers = len(executor.client.scheduler_info(n_workers=-1)["workers"]) if on else 1
            print(f"{name}: {seconds[name]:,.0f} s", flush=True)
        print(f"ratio: {seconds['spread'] / seconds['without']:.2f} on {workers} workers", flush=True)
        for name in ("without", "spread"):
            plan = simulate(recorded(models, folders[name], asked.profile), workers)
            print(f"plan from {name}: {plan.seconds:,.0f} s, {plan.seconds / seconds['spread'] - 1:+.0%} of the run")
        expected = weights.files(folders["without"])
        assert weights.files(folders["spread"]) == expected
        print(f"{len(expected)} files are the same in all bytes", flush=True)
        if asked.kill:
            kill_in_each_stage(models, asked, folders["killed"])
            assert weights.files(folders["killed"]) == expected
            print("also after the kills")


def kill_in_each_stage(models, asked, folder) -> None:
    """Train models one after another on workers that are killed."""
    data = load_dataset(asked.data, drugs=True, nonscored=True)
    with open_executor(asked.on, "cpu") as executor:
        watch = Killing(partial(kill_one, executor.client))
        for model in models:
            config = model.configure(asked.profile)
            Runner(Trained(model, folder, config), asked.profile, executor, watch).train(data)
    print(f"a worker was killed in each of: {', '.join(watch.killed)}")
    print(f"{len(watch.begun)} units, {watch.again} of them begun again", flush=True)


if __name__ == "__main__":
    main()
