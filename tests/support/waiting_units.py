"""Train two units that never end, in two processes: the test that starts this script kills it or stops it."""

import sys
from pathlib import Path

import torch

from moa.cli.stopping import Stopped, stoppable
from moa.training.executors import LocalExecutor
from support.perceptrons import make_inputs, training_units
from support.process_learners import Waiting

if __name__ == "__main__":
    torch.set_num_threads(2)
    units = training_units(Waiting(Path(sys.argv[1])), seeds=(1,), n_splits=2)
    try:
        with stoppable():
            print("ready", flush=True)
            list(LocalExecutor().run(make_inputs(rows=20_000), units))
    except Stopped as stopped:
        sys.exit(stopped.status)
