"""Train the tiny CNN on two processes, as ``--devices 2`` does: Lightning starts this script again for the second."""

import os
import sys
from pathlib import Path

import torch

from moa.learners.deepinsight.learner import Runtime
from support.tiny_cnn import TINY, fold_in

if __name__ == "__main__":
    folder, rank = Path(sys.argv[1]), os.environ.get("LOCAL_RANK", "0")
    fold = fold_in(folder / "scratch")
    # The second lays out another map, as it may in earnest, where its number of threads is another.
    learner = TINY.model_copy(update={"runtime": Runtime(devices=2), "epochs": 2, "map_seed": 1120 + int(rank)})
    fitted = learner.fit(fold)
    torch.save({"tensors": fitted.tensors, "history": fitted.history}, folder / f"rank-{rank}.pt")
