"""Synthetic data with the competition's exact schema, of any size, with planted structure and known test labels.

Counts, moments and difficulty are those of the competition's data: ``synthetic_drugs`` draws drugs and their targets,
``synthetic_response`` what the drugs do to genes and cells. This module draws the rows and writes the files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from moa.data import schema
from moa.data.schema import CP_DOSES, CP_TIMES, N_NONSCORED, N_SCORED, TEST_ROWS, TRAIN_ROWS
from moa.data.synthetic_drugs import Drugs, draw_drugs
from moa.data.synthetic_response import Response
from moa.errors import UserError
from moa.files import read_json, replacing, write_json

#: A file that marks a folder as a complete synthetic data set.
MARKER = "SYNTHETIC.json"
#: Scored labels of the test rows, relative to the data folder.
TRUTH = Path("truth") / "test_targets_scored.csv"
LEAST_ROWS = 60
#: The data set of the demo.
DEMO = {"rows": 1500, "test_rows": 400, "seed": 0}

CONTROL_SHARE, TEST_CONTROL_SHARE = 1866 / TRAIN_ROWS, 358 / TEST_ROWS
# Number of what the files of a seed hold: increased whenever a change makes the same seed give other files.
WORLD = 3
# Share of the treated test rows, without those of the large drugs, whose drug occurs in the training rows too.
SHARED_SHARE = 0.2
USUAL_ROWS = 6
KINDS = ("inhibitor", "agonist", "antagonist", "blocker", "activator", "modulator")
FAMILIES = ("kinase", "receptor", "channel", "protease", "transporter", "synthase", "ligase", "phosphatase")


def synthesize(folder: Path, rows: int = TRAIN_ROWS, test_rows: int = TEST_ROWS, seed: int = 0) -> None:
    """Write the six competition files, and the labels of the test rows to ``TRUTH``.

    Args:
        folder: must not exist, be empty, or hold an earlier synthetic data set, which is replaced.
        rows: number of training rows, at least 60. Shares of rows stay those of the full size: with few rows, many
            targets have no positive, but each can have one.
        test_rows: number of test rows, at least 1.
        seed: the same seed gives the same files.

    Raises:
        UserError: too few rows, or the folder holds csv files that were not written by this function.
    """
    folder = Path(folder)
    if rows < LEAST_ROWS or test_rows < 1:
        raise UserError(f"synthetic data need at least {LEAST_ROWS} training rows and 1 test row")
    asked = {"rows": rows, "test_rows": test_rows, "seed": seed, "world": WORLD}
    if is_synthetic(folder):
        if asked.items() <= read_json(folder / MARKER).items():  # earlier versions also noted the package's version
            return
        (folder / MARKER).unlink()  # it is written last: a folder without it is incomplete
    elif folder.is_dir() and (strangers := sorted(path.name for path in folder.glob("*.csv"))):
        raise UserError(f"{folder / strangers[0]}: not made by `moa data synthesize`; give another folder")

    rng = np.random.default_rng(seed)
    drugs, train, test = draw_samples(rng, rows, test_rows)
    response = Response.draw(rng, drugs)
    labels, truth = train.labels(drugs), test.labels(drugs)[:, :N_SCORED]
    names = _target_names(rng)
    scored, nonscored = names[:N_SCORED], names[N_SCORED:]
    index = _sig_ids(rng, rows + test_rows)
    _write_features(folder / schema.TRAIN_FEATURES, rng, response, train, index[:rows])
    _write_features(folder / schema.TEST_FEATURES, rng, response, test, index[rows:])
    _write_csv(folder / schema.TRAIN_SCORED, index[:rows], labels[:, :N_SCORED], scored)
    _write_csv(folder / schema.TRAIN_NONSCORED, index[:rows], labels[:, N_SCORED:], nonscored)
    _write_csv(folder / TRUTH, index[rows:], truth, scored)
    _write_csv(folder / schema.SAMPLE_SUBMISSION, index[rows:], np.full((test_rows, N_SCORED), 0.5), scored)
    _write(folder / schema.TRAIN_DRUG, pa.table({schema.SIG_ID: index[:rows], "drug_id": _drug_ids(rng, train.drug)}))
    write_json(folder / MARKER, asked)


def is_synthetic(folder: Path) -> bool:
    """Whether the folder holds a complete data set written by ``synthesize``."""
    return (Path(folder) / MARKER).is_file()


@dataclass(frozen=True)
class Sample:
    """Wells of a data set: the drug of each, -1 for controls, and the places of its conditions in their levels."""

    drug: np.ndarray
    time: np.ndarray
    dose: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator, drug: np.ndarray, controls: int) -> Sample:
        """Wells of the treated rows' drugs and of controls, in random order.

        A drug's wells cycle through the conditions, so that six cover all times and doses.
        """
        drug = np.concatenate([drug, np.full(controls, -1)])
        order = pd.Series(drug).groupby(drug).cumcount().to_numpy()
        shuffled = rng.permutation(len(drug))
        time, dose = order % len(CP_TIMES), (order // len(CP_TIMES)) % len(CP_DOSES)
        return cls(drug[shuffled], time[shuffled], dose[shuffled])

    def labels(self, drugs: Drugs) -> np.ndarray:
        """0/1, shape (wells, scored + nonscored targets); controls have none."""
        return np.where(self.drug[:, None] >= 0, drugs.labels[self.drug], 0).astype(np.uint8)


def draw_samples(rng: np.random.Generator, rows: int, test_rows: int) -> tuple[Drugs, Sample, Sample]:
    """Drugs, training wells and test wells.

    Of the treated test rows, the positive controls have the share that they have in training; of the others, a part
    has drugs that occur in training, and the rest drugs that do not.
    """
    controls, test_controls = round(rows * CONTROL_SHARE), round(test_rows * TEST_CONTROL_SHARE)
    treated = test_rows - test_controls
    drugs = draw_drugs(rng, rows - controls, n_fresh=max(1, round(treated * (1 - SHARED_SHARE) / USUAL_ROWS)))
    drug = np.repeat(np.arange(drugs.n_train), drugs.rows)
    large = drug[drug < drugs.n_large]
    from_large = rng.choice(large, round(treated * len(large) / len(drug))) if len(large) else large
    small = np.arange(drugs.n_large, drugs.n_train)
    shared = rng.choice(small, round(treated * SHARED_SHARE / USUAL_ROWS) + 1)
    fresh = np.arange(drugs.n_train, len(drugs.labels))
    left = treated - len(from_large)
    usual = np.resize(rng.permutation(np.concatenate([shared, fresh])), int(np.ceil(left / USUAL_ROWS)))
    test_drug = np.concatenate([from_large, np.repeat(usual, USUAL_ROWS)[:left]]).astype(int)
    return drugs, Sample.draw(rng, drug, controls), Sample.draw(rng, test_drug, test_controls)


def _write_features(path: Path, rng: np.random.Generator, response: Response, sample: Sample, ids: np.ndarray) -> None:
    values = response.features(rng, sample.drug, sample.time, sample.dose)
    columns = {
        schema.SIG_ID: ids,
        schema.CP_TYPE: np.where(sample.drug >= 0, schema.TREATED, schema.CONTROL),
        schema.CP_TIME: np.array(CP_TIMES)[sample.time],
        schema.CP_DOSE: np.array(CP_DOSES)[sample.dose],
    }
    _write(path, pa.table(columns | dict(zip((*schema.GENES, *schema.CELLS), np.round(values, 4).T, strict=True))))


def _write_csv(path: Path, ids: np.ndarray, values: np.ndarray, names: list[str]) -> None:
    _write(path, pa.table({schema.SIG_ID: ids, **dict(zip(names, values.T, strict=True))}))


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
