"""Train a small two-stage model on a cluster, as a process that can be killed.

Nothing heavy is imported at the top: Dask starts worker processes by importing the main module again.
"""

import sys
from pathlib import Path


def train(weights, data, on, watch=None):
    """Train the two-stage model of the array jobs, of longer units, on what ``on`` names (None: this machine)."""
    from moa.data.dataset import load_dataset
    from moa.learners.perceptron.learner import MLPLearner
    from moa.training.machines import open_executor
    from moa.training.runner import Runner
    from moa.weights.trained import Trained
    from support.array_job import MODEL, Config

    config = Config(learner=MLPLearner(hidden=8, epochs=100, batch_size=64))
    with open_executor(on, "cpu") as executor:
        runner = Runner(Trained(MODEL, Path(weights), config), "demo", executor, watch)
        return runner.train(load_dataset(Path(data), drugs=False, nonscored=False))


if __name__ == "__main__":
    train(*sys.argv[1:])
