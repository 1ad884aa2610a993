"""The least time that a process from csv file to submission can take: its imports, and its matrix products.

Run by the benchmarks as a process: ``python -m tests.benchmarks.floor ROWS MEMBERS INPUTS HIDDEN TARGETS``.
"""

from __future__ import annotations

import sys

import pandas  # noqa: F401 - needed to read features and fitted transformers
import scipy.special  # noqa: F401
import torch

from moa.learners.common import EVALUATED_ROWS
from moa.learners.matmul import product


@torch.no_grad()
def main(rows: int, members: int, inputs: int, hidden: int, targets: int) -> None:
    """The products of ``members`` forward passes of the 3-FC block; all use the same random weights."""
    X = torch.randn(rows, inputs)
    weights = torch.randn(hidden, inputs), torch.randn(hidden, hidden), torch.randn(targets, hidden)
    for _ in range(members):
        for part in X.split(EVALUATED_ROWS):
            for weight in weights:
                part = product(part, weight)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
