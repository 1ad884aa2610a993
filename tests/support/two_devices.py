"""Train the tiny CNN on two processes, as ``--devices 2`` does: Lightning starts this script again for the second."""

import dataclasses
import os
import sys
from pathlib import Path

import torch

from support.tiny_cnn import TINY, unit_in

if __name__ == "__main__":
    folder, rank = Path(sys.argv[1]), os.environ.get("LOCAL_RANK", "0")
    unit = unit_in(folder / "scratch")
    unit = dataclasses.replace(unit, runtime=unit.runtime.replace(devices=2))
    # The second process fits another map, as it would in practice if its number of threads were another.
    fitted = unit.fit(TINY.model_copy(update={"epochs": 2, "map_seed": 1120 + int(rank)}))
    torch.save({"tensors": fitted.tensors, "history": fitted.history}, folder / f"rank-{rank}.pt")
