"""Synthetic data with the competition's exact schema, of any size, with planted structure and known test labels.

Latent pathways drive correlated genes and cell viability. A drug acts on some pathways and has their targets; its rows
are its replicates at different times and doses. The labels can therefore be learned, nonscored targets carry
information about scored ones, and rows of one drug resemble each other, which is what the solution relies on. None of
it is real biology.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from moa import __version__
from moa.data.folds import SMALL_DRUG_ROWS
from moa.data.schema import (
    CELLS,
    CONTROL,
    CP_DOSE,
    CP_DOSES,
    CP_TIME,
    CP_TIMES,
    CP_TYPE,
    GENES,
    N_NONSCORED,
    N_SCORED,
    SAMPLE_SUBMISSION,
    SIG_ID,
    TEST_FEATURES,
    TEST_ROWS,
    TRAIN_DRUG,
    TRAIN_FEATURES,
    TRAIN_NONSCORED,
    TRAIN_ROWS,
    TRAIN_SCORED,
    TREATED,
)
from moa.errors import UserError
from moa.files import read_json, replacing, write_json

#: A file that marks a folder as a complete synthetic data set.
MARKER = "SYNTHETIC.json"
#: Scored labels of the test rows, relative to the data folder.
TRUTH = Path("truth") / "test_targets_scored.csv"
LEAST_ROWS = 60

CONTROL_SHARE, TEST_CONTROL_SHARE = 1866 / TRAIN_ROWS, 358 / TEST_ROWS
# Increased whenever a change makes the same seed give other files.
WORLD = 2
PATHWAYS = 120
# Share of a drug's pathways that respond in the opposite direction.
MIRRORED = 0.35
# Number of nonscored targets without a positive; as in the competition.
EMPTY_NONSCORED = 71
ROWS_OF_A_DRUG = 6
KINDS = ("inhibitor", "agonist", "antagonist", "blocker", "activator", "modulator")
FAMILIES = ("kinase", "receptor", "channel", "protease", "transporter", "synthase", "ligase", "phosphatase")


def synthesize(folder: Path, rows: int = TRAIN_ROWS, test_rows: int = TEST_ROWS, seed: int = 0) -> None:
    """Write the six competition files, and the labels of the test rows to ``TRUTH``.

    Args:
        folder: must not exist, be empty, or hold an earlier synthetic data set, which is replaced.
        rows: number of training rows, at least 60. Every target has a positive row if there are enough rows; in very
            small data sets rare targets have none.
        test_rows: number of test rows, at least 1.
        seed: the same seed gives the same files.

    Raises:
        UserError: too few rows, or the folder holds csv files that were not written by this function.
    """
    folder = Path(folder)
    if rows < LEAST_ROWS or test_rows < 1:
        raise UserError(f"synthetic data need at least {LEAST_ROWS} training rows and 1 test row")
    asked = {"rows": rows, "test_rows": test_rows, "seed": seed, "version": __version__, "world": WORLD}
    if is_synthetic(folder):
        if read_json(folder / MARKER) == asked:
            return
        (folder / MARKER).unlink()  # is written last: a folder without it is incomplete
    elif folder.is_dir() and (strangers := sorted(path.name for path in folder.glob("*.csv"))):
        raise UserError(f"{folder / strangers[0]}: not made by `moa data synthesize`; give another folder")

    rng = np.random.default_rng(seed)
    world = _World.draw(rng)
    train, test = _samples(rng, world, rows, test_rows)
    names = _target_names(rng)
    scored, nonscored = names[:N_SCORED], names[N_SCORED:]
    index = _sig_ids(rng, rows + test_rows)
    for name, sample, ids in ((TRAIN_FEATURES, train, index[:rows]), (TEST_FEATURES, test, index[rows:])):
        _write_features(folder / name, rng, world, sample, ids)
    _write_csv(folder / TRAIN_SCORED, index[:rows], train.labels[:, :N_SCORED], scored)
    _write_csv(folder / TRAIN_NONSCORED, index[:rows], train.labels[:, N_SCORED:], nonscored)
    _write_csv(folder / TRUTH, index[rows:], test.labels[:, :N_SCORED], scored)
    _write_csv(folder / SAMPLE_SUBMISSION, index[rows:], np.full((test_rows, N_SCORED), 0.5), scored)
    _write(folder / TRAIN_DRUG, pa.table({SIG_ID: index[:rows], "drug_id": _drug_ids(rng, train.drug)}))
    write_json(folder / MARKER, asked)


def is_synthetic(folder: Path) -> bool:
    """Whether the folder holds a complete data set written by ``synthesize``."""
    return (Path(folder) / MARKER).is_file()


@dataclass(frozen=True)
class _World:
    """How pathways act on features."""

    effects: np.ndarray  # (pathways, features): mean effect of a fully active pathway
    loadings: np.ndarray  # (factors, features): correlated noise
    toxicity: np.ndarray  # (pathways,): how much an active pathway kills cells

    @classmethod
    def draw(cls, rng: np.random.Generator) -> _World:
        n_genes, n_cells = len(GENES), len(CELLS)
        touched = rng.random((PATHWAYS, n_genes)) < 0.08
        genes = touched * rng.normal(0, 1.3, (PATHWAYS, n_genes))
        toxicity = rng.exponential(0.5, PATHWAYS) * (rng.random(PATHWAYS) < 0.5)
        cells = -toxicity[:, None] * rng.gamma(2.0, 0.4, (PATHWAYS, n_cells)) + rng.normal(0, 0.15, (PATHWAYS, n_cells))
        loadings = rng.normal(0, 0.12, (20, n_genes + n_cells))
        return cls(np.hstack([genes, cells]), loadings, toxicity)


@dataclass(frozen=True)
class _Sample:
    """Rows of a data set before noise is added; ``drug`` is -1 for controls."""

    drug: np.ndarray
    time: np.ndarray
    dose: np.ndarray
    activity: np.ndarray  # (rows, pathways)
    labels: np.ndarray  # (rows, scored + nonscored targets), 0/1


def _samples(rng: np.random.Generator, world: _World, rows: int, test_rows: int) -> tuple[_Sample, _Sample]:
    """Draw drugs with their pathways and targets, and their rows; some test drugs also occur in the training rows."""
    n_control = round(rows * CONTROL_SHARE)
    drug = _drug_of_rows(rng, rows - n_control)
    n_train_drugs = drug.max() + 1
    n_test_control = round(test_rows * TEST_CONTROL_SHARE)
    fresh = n_train_drugs + np.arange(max(1, (test_rows - n_test_control) // (2 * ROWS_OF_A_DRUG)))
    shared = rng.choice(n_train_drugs, min(n_train_drugs, len(fresh)), replace=False)
    test_drug = rng.choice(np.concatenate([fresh, shared]), test_rows - n_test_control)
    n_drugs = fresh[-1] + 1

    pathway_of_target = _pathway_of_target(rng)
    targets_of_drug = _targets_of_drugs(rng, drug, n_drugs, n_train_drugs, pathway_of_target)
    strength = np.zeros((n_drugs, PATHWAYS))
    for column, pathway in enumerate(pathway_of_target):
        hit = targets_of_drug[:, column].astype(bool)
        strength[hit, pathway] = np.maximum(strength[hit, pathway], rng.gamma(4.0, 0.25, hit.sum()))
    # Every drug also has effects without a label; many drugs have only those.
    strength += (rng.random(strength.shape) < 0.012) * rng.gamma(2.0, 0.25, strength.shape)
    # Agonist and antagonist may share a label and have mirrored responses, which no linear model can fit.
    strength *= np.where(rng.random(strength.shape) < MIRRORED, -1, 1)

    def expand(of_row: np.ndarray, controls: int) -> _Sample:
        of_row = np.concatenate([of_row, np.full(controls, -1)])
        # Cycle through the conditions, so that a drug's rows cover all times and doses.
        order = pd.Series(of_row).groupby(of_row).cumcount().to_numpy()
        time, dose = order % len(CP_TIMES), (order // len(CP_TIMES)) % len(CP_DOSES)
        treated = of_row >= 0
        effect = np.where(treated[:, None], strength[of_row], 0)
        effect = effect * np.array([0.7, 1.0, 0.9])[time][:, None] * np.array([1.15, 0.85])[dose][:, None]
        effect = effect * rng.gamma(8.0, 1 / 8, (len(of_row), 1))
        labels = np.where(treated[:, None], targets_of_drug[of_row], 0).astype(np.uint8)
        shuffled = rng.permutation(len(of_row))
        return _Sample(*(part[shuffled] for part in (of_row, time, dose, effect, labels)))

    return expand(drug, n_control), expand(test_drug, n_test_control)


def _drug_of_rows(rng: np.random.Generator, treated: int) -> np.ndarray:
    """Drug of each treated row: most drugs have six rows, some one or twelve, and up to seven more than 18."""
    large = [size for size in (170, 90, 60, 40, 30, 24, 20) if size * 60 <= treated]
    sizes = list(large)
    while sum(sizes) < treated:
        sizes.append(int(rng.choice([1, 5, 6, 7, 12], p=[0.06, 0.05, 0.72, 0.09, 0.08])))
    return np.repeat(np.arange(len(sizes)), sizes)[:treated]


def _pathway_of_target(rng: np.random.Generator) -> np.ndarray:
    """Assign targets to pathways: each has at least one scored target; nonscored targets are drawn freely."""
    scored = np.concatenate([np.arange(PATHWAYS), rng.integers(0, PATHWAYS, N_SCORED - PATHWAYS)])
    return np.concatenate([rng.permutation(scored), rng.integers(0, PATHWAYS, N_NONSCORED)])


def _targets_of_drugs(
    rng: np.random.Generator, drug: np.ndarray, n_drugs: int, n_train_drugs: int, pathway_of_target: np.ndarray
) -> np.ndarray:
    """0/1, shape (drugs, targets); target frequencies have a long tail, and every target has a training drug."""
    n_targets = N_SCORED + N_NONSCORED
    # Zipf-like: the most frequent scored target has about 4 % of the drugs, the median one about 0.2 %.
    share = np.empty(n_targets)
    share[:N_SCORED] = rng.permutation(0.052 / np.arange(1, N_SCORED + 1) ** 0.66)
    share[N_SCORED:] = rng.permutation(0.006 / np.arange(1, N_NONSCORED + 1) ** 0.55)
    # Targets of one pathway are drawn together: a drug hits the pathway, then some of its targets.
    labels = np.zeros((n_drugs, n_targets), np.uint8)
    for pathway in range(PATHWAYS):
        columns = np.flatnonzero(pathway_of_target == pathway)
        hit = rng.random(n_drugs) < share[columns].max()
        keep = rng.random((n_drugs, len(columns))) < share[columns] / share[columns].max()
        labels[:, columns] = hit[:, None] & keep
    # A target without a training drug gets one, which is small and, if possible, already hits the target's pathway.
    small = np.flatnonzero(np.bincount(drug, minlength=n_drugs)[:n_train_drugs] <= SMALL_DRUG_ROWS)
    for column in np.flatnonzero(labels[:n_train_drugs].sum(axis=0) == 0):
        neighbours = labels[:, pathway_of_target == pathway_of_target[column]].any(axis=1)
        likely = small[neighbours[small]]
        labels[rng.choice(likely if len(likely) else small), column] = 1
    empty = N_SCORED + rng.choice(N_NONSCORED, EMPTY_NONSCORED, replace=False)
    labels[:, empty] = 0
    return labels


def _write_features(path: Path, rng: np.random.Generator, world: _World, sample: _Sample, ids: np.ndarray) -> None:
    n, n_genes = len(sample.drug), len(GENES)
    plate = rng.integers(0, max(1, n // 384) + 1, n)
    batch = rng.normal(0, 0.15, (plate.max() + 1, world.effects.shape[1]))
    values = sample.activity @ world.effects
    values += rng.normal(0, 1, (n, len(world.loadings))) @ world.loadings
    values += batch[plate]
    noise = rng.standard_normal(values.shape, dtype=np.float32)
    values[:, :n_genes] += 0.85 * noise[:, :n_genes]
    values[:, n_genes:] += 0.55 * noise[:, n_genes:]
    # Cell lines die together and for many reasons, which gives the heavy negative tail.
    killing = np.maximum(np.abs(sample.activity) @ world.toxicity - 0.4, 0) * rng.gamma(2.0, 0.5, n)
    values[:, n_genes:] -= 0.8 * killing[:, None] * rng.gamma(6.0, 1 / 6, (n, len(CELLS)))
    values = np.clip(values, -10, 10)
    columns = {
        SIG_ID: ids,
        CP_TYPE: np.where(sample.drug >= 0, TREATED, CONTROL),
        CP_TIME: np.array(CP_TIMES)[sample.time],
        CP_DOSE: np.array(CP_DOSES)[sample.dose],
    }
    columns |= {name: np.round(values[:, place], 4) for place, name in enumerate((*GENES, *CELLS))}
    _write(path, pa.table(columns))


def _write_csv(path: Path, ids: np.ndarray, values: np.ndarray, names: list[str]) -> None:
    _write(path, pa.table({SIG_ID: ids, **{name: values[:, place] for place, name in enumerate(names)}}))


def _write(path: Path, table: pa.Table) -> None:
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="none")
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write((",".join(table.column_names) + "\n").encode())  # pyarrow would quote the names
        pyarrow.csv.write_csv(table, file, options)


def _sig_ids(rng: np.random.Generator, count: int) -> np.ndarray:
    chosen = rng.permutation(np.unique(rng.integers(0, 16**9, 2 * count)))[:count]
    return np.array([f"id_{number:09x}" for number in chosen])


def _drug_ids(rng: np.random.Generator, drug: np.ndarray) -> np.ndarray:
    numbers = rng.permutation(16**6 - 1)[: drug.max() + 2]
    return np.array([f"{number:09x}" for number in numbers])[drug]  # -1 picks the last id, that of the vehicle


def _target_names(rng: np.random.Generator) -> list[str]:
    names = [f"{family}-{number:02d}_{kind}" for family in FAMILIES for number in range(20) for kind in KINDS]
    return [str(name) for name in rng.permutation(names)[: N_SCORED + N_NONSCORED]]
