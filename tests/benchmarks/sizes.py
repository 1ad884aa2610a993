"""The sizes that the benchmarks measure at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from moa.learners.perceptron.learner import MLPLearner


@dataclass(frozen=True)
class Sizes:
    """What is measured; the defaults are the competition's sizes, and smaller and larger ones.

    Attributes:
        rows, valid_rows: training and validation rows of a fold.
        inputs, targets, hidden, batch: of the Simple NN.
        tabnet_inputs: input columns of TabNet.
        columns: number of genes and cells together.
        test_rows: treated rows of the public test file.
        stage_rows: training rows where members or width grow, and in the epochs of a stage: 10 steps of 256.
        members: units of a stage; 25 is the 5 seeds by 5 folds of the published models.
        many_rows, many_members, many_hidden: values to which rows, members and width grow.
        repeats: runs, or epochs, of which the fastest and the median are reported.
        limit: seconds after which no further run of a way is started.
        train_file_rows, test_file_rows: rows of the synthetic competition files, controls included.
        small, small_stages: changes to the published settings of the Simple NN and of the 3-stage NN.
    """

    rows: int = 17_558
    valid_rows: int = 4_390
    inputs: int = 1_091
    targets: int = 206
    hidden: int = 2_048
    batch: int = 256
    tabnet_inputs: int = 1_397
    columns: int = 872
    test_rows: int = 3_624
    stage_rows: int = 2_560
    members: int = 25
    many_rows: tuple[int, ...] = (1_000, 4_000, 16_000, 64_000)
    many_members: tuple[int, ...] = (1, 5, 25, 50)
    many_hidden: tuple[int, ...] = (256, 1_024, 2_048)
    repeats: int = 3
    limit: float = 20.0
    train_file_rows: int = 23_814
    test_file_rows: int = 3_982
    small: Mapping[str, Any] = field(default_factory=dict)
    small_stages: Mapping[str, Any] = field(default_factory=dict)

    def learner(self, epochs: int, hidden: int | None = None) -> MLPLearner:
        """The Simple NN of these sizes."""
        return MLPLearner(hidden=hidden or self.hidden, epochs=epochs, batch_size=self.batch, smoothing=0.001)


FULL = Sizes()
#: So small that the times mean nothing: only to see that everything runs.
QUICK = Sizes(
    rows=300,
    valid_rows=60,
    inputs=40,
    targets=6,
    hidden=32,
    batch=64,
    tabnet_inputs=20,
    columns=12,
    test_rows=50,
    stage_rows=192,
    members=3,
    many_rows=(100, 200),
    many_members=(1, 3),
    many_hidden=(16, 32),
    repeats=2,
    limit=0.5,
    train_file_rows=300,
    test_file_rows=60,
    small={"seeds": [940], "learner": {"hidden": 32}, "gene_factors": 4, "cell_factors": 3},
    small_stages={
        "seeds": [0],
        "folds": {"n_splits": 2},
        "gene_factors": 4,
        "cell_factors": 3,
        "gene_umap": 0,
        **{stage: {"hidden": 16, "epochs": 2} for stage in ("stage1", "stage2", "stage3")},
    },
)
