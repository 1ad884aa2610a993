"""Train two units that never end, in two processes: the test that starts this script kills it."""

import sys
from pathlib import Path

import torch

from moa.training.executors import LocalExecutor
from support.perceptrons import make_inputs, training_units
from support.process_learners import Waiting

if __name__ == "__main__":
    torch.set_num_threads(2)
    list(LocalExecutor().run(make_inputs(), training_units(Waiting(Path(sys.argv[1])), seeds=(1,), n_splits=2)))
