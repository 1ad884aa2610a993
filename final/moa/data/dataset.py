"""The competition's files as one checked, aligned set of tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from moa.data.csv_files import SHOWN, Problems, check_choices, check_ids, check_numbers, read_csv
from moa.data.schema import (
    CP_DOSE,
    CP_DOSES,
    CP_TIME,
    CP_TIMES,
    CP_TYPE,
    CP_TYPES,
    FEATURES,
    N_NONSCORED,
    N_SCORED,
    SAMPLE_SUBMISSION,
    SIG_ID,
    TEST_FEATURES,
    TRAIN_DRUG,
    TRAIN_FEATURES,
    TRAIN_NONSCORED,
    TRAIN_SCORED,
    TREATED,
)
from moa.errors import DataError
from moa.progress import console

TEXT_COLUMNS = (SIG_ID, CP_TYPE, CP_DOSE)


@dataclass(frozen=True)
class Dataset:
    """The competition's tables, all indexed by sig_id.

    Attributes:
        features: training rows in file order, columns ``schema.FEATURES``; numbers are float64, shape (rows, 875).
        scored: 0/1 labels of the same rows, uint8, shape (rows, 206).
        nonscored: likewise, shape (rows, 402); None where it was not asked for.
        test: features of the test rows, any number.
        drugs: drug_id of the training rows; None where it was not asked for.
        sample_submission: the file as a table; None where there is no such file.
        fingerprint: sha256 by file name, of the files read.
    """

    features: pd.DataFrame
    scored: pd.DataFrame
    nonscored: pd.DataFrame | None
    test: pd.DataFrame
    drugs: pd.Series | None
    sample_submission: pd.DataFrame | None
    fingerprint: dict[str, str]

    @property
    def treated(self) -> pd.Series:
        """True for training rows that were given a drug, False for controls."""
        return self.features[CP_TYPE] == TREATED

    @property
    def test_treated(self) -> pd.Series:
        """The same for test rows."""
        return self.test[CP_TYPE] == TREATED

    @property
    def targets(self) -> list[str]:
        """Names of the scored targets, in the file's order."""
        return list(self.scored.columns)


def load_dataset(folder: Path, drugs: bool = False, nonscored: bool = True) -> Dataset:
    """Read and check the competition files.

    Args:
        folder: where they are.
        drugs: read train_drug.csv, which only the drug-aware folds ("new CV") need.
        nonscored: read train_targets_nonscored.csv.

    Raises:
        DataError: everything found wrong, in one list.
    """
    folder, problems, hashes = Path(folder), Problems(), {}

    def read(name: str, text: tuple[str, ...]) -> pd.DataFrame | None:
        table, hashes[name] = read_csv(folder / name, text, problems)
        return table

    train, test = read(TRAIN_FEATURES, TEXT_COLUMNS), read(TEST_FEATURES, TEXT_COLUMNS)
    scored = read(TRAIN_SCORED, (SIG_ID,))
    others = read(TRAIN_NONSCORED, (SIG_ID,)) if nonscored else None
    drug = None
    if drugs and (folder / TRAIN_DRUG).exists():
        drug = read(TRAIN_DRUG, (SIG_ID, "drug_id"))
    elif drugs:
        problems.append(f"{folder / TRAIN_DRUG}: missing; only the models on drug-aware folds (new CV) need it")
    sample = read(SAMPLE_SUBMISSION, (SIG_ID,)) if (folder / SAMPLE_SUBMISSION).exists() else None

    train = check_features(TRAIN_FEATURES, train, problems)
    test = check_features(TEST_FEATURES, test, problems)
    scored = _labels(TRAIN_SCORED, scored, N_SCORED, train, problems)
    others = _labels(TRAIN_NONSCORED, others, N_NONSCORED, train, problems)
    drug = _drugs(drug, train, problems)
    sample = _sample(sample, test, None if scored is None else list(scored), problems)
    if train is not None and test is not None:
        problems.ids(TEST_FEATURES, test.index.intersection(train.index), f"is in {TRAIN_FEATURES} too")
    if problems:
        raise DataError(problems)
    return Dataset(train, scored, others, test, drug, sample, hashes)


def read_features(path: Path) -> pd.DataFrame:
    """Read and check one features file, such as that of new plates.

    Args:
        path: csv with sig_id and the 875 feature columns, in any order; any number of rows from 1.

    Returns:
        shape (rows, 875), indexed by sig_id.

    Raises:
        DataError: everything found wrong, in one list.
    """
    problems = Problems()
    table, _ = read_csv(Path(path), TEXT_COLUMNS, problems)
    table = check_features(Path(path).name, table, problems)
    if problems:
        raise DataError(problems)
    return table


def load_test(folder: Path, targets: list[str]) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Read and check what predictions are made from: the test features, and the sample submission where there is one.

    The training files, forty times as long to read and check, are not needed and need not be there. The test file may
    hold new plates while the competition's sample submission still lies beside it: one of other rows is left out.

    Args:
        folder: where they are.
        targets: names of the scored targets, which the sample submission should have.

    Returns:
        test features, shape (rows, 875), and the sample submission or None, both indexed by sig_id.

    Raises:
        DataError: everything found wrong, in one list.
    """
    folder, problems = Path(folder), Problems()
    test, _ = read_csv(folder / TEST_FEATURES, TEXT_COLUMNS, problems)
    test = check_features(TEST_FEATURES, test, problems)
    sample = None
    if (folder / SAMPLE_SUBMISSION).exists():
        sample, _ = read_csv(folder / SAMPLE_SUBMISSION, (SIG_ID,), problems)
        if sample is not None and test is not None and set(sample[SIG_ID]) != set(test.index):
            console.print(f"[yellow]{SAMPLE_SUBMISSION} has other rows than {TEST_FEATURES}: left out[/yellow]")
            sample = None
        sample = _sample(sample, test, targets, problems)
    if problems:
        raise DataError(problems)
    return test, sample


def summary(data: Dataset) -> list[tuple[str, str]]:
    """A few facts to look at, as (name, value)."""
    prevalence = data.scored.mean()
    facts = [
        ("training rows", f"{len(data.features):,}, treated {data.treated.sum():,}"),
        ("test rows", f"{len(data.test):,}, treated {data.test_treated.sum():,}"),
        (
            "scored targets",
            f"{data.scored.shape[1]}, {data.scored.to_numpy().sum() / len(data.scored):.2f} positives a row",
        ),
        (
            "prevalence of scored targets",
            f"{prevalence.min():.5f} to {prevalence.max():.5f}, mean {prevalence.mean():.5f}",
        ),
    ]
    if data.nonscored is not None:
        positive = int(data.nonscored.any().sum())
        facts.append(("nonscored targets", f"{data.nonscored.shape[1]}, {positive} with a positive"))
    if data.drugs is not None:
        facts.append(("drugs", f"{data.drugs[data.treated].nunique():,} among treated rows"))
    return facts


def check_features(name: str, table: pd.DataFrame | None, problems: Problems) -> pd.DataFrame | None:
    """A features table as parsed, checked and indexed by sig_id; None, and told in ``problems``, where it is wrong."""
    if table is None:
        return None
    before = len(problems)
    missing = [column for column in FEATURES if column not in table]
    problems.columns(name, "missing", missing, f"expected {SIG_ID} and {len(FEATURES)} feature columns")
    extra = [column for column in table if column not in (SIG_ID, *FEATURES)]
    problems.columns(name, "unknown", extra, f"expected {SIG_ID} and {len(FEATURES)} feature columns, and no other")
    check_ids(name, table, problems)
    for column, choices in ((CP_TYPE, CP_TYPES), (CP_TIME, CP_TIMES), (CP_DOSE, CP_DOSES)):
        if column in table:
            check_choices(name, table, column, choices, problems)
    check_numbers(name, table, [column for column in FEATURES[3:] if column in table], problems)
    if len(problems) > before:
        return None
    table = table.set_index(SIG_ID)[list(FEATURES)]
    kinds = {column: np.float64 for column in FEATURES[3:] if table[column].dtype != np.float64}
    return table.astype({CP_TIME: np.int64, **kinds})


def _labels(
    name: str, table: pd.DataFrame | None, count: int, features: pd.DataFrame | None, problems: Problems
) -> pd.DataFrame | None:
    if table is None:
        return None
    before = len(problems)
    columns = [column for column in table if column != SIG_ID]
    if len(columns) != count:
        problems.append(f"{name}: {len(columns)} target columns; expected {count} besides {SIG_ID}")
    check_ids(name, table, problems)
    check_numbers(name, table, columns, problems)
    if len(problems) > before:
        return None
    for column in columns:
        check_choices(name, table, column, (0, 1), problems)
    if len(problems) > before or features is None:
        return None
    table = table.set_index(SIG_ID)
    _same_ids(name, table.index, TRAIN_FEATURES, features.index, problems)
    if len(problems) > before:
        return None
    table = table.loc[features.index].astype(np.uint8)
    controls = features.index[(features[CP_TYPE] != TREATED).to_numpy() & table.to_numpy().any(axis=1)]
    if len(controls):
        first = table.loc[controls[:SHOWN]].idxmax(axis=1)  # one column a row is enough to find it by
        places = "; ".join(f"column '{column}', {SIG_ID} {sig_id}" for sig_id, column in first.items())
        more = f" and {len(controls) - SHOWN} more rows" if len(controls) > SHOWN else ""
        problems.append(f"{name}: {places}{more}: expected 0, since the row is a control")
    return table


def _drugs(table: pd.DataFrame | None, features: pd.DataFrame | None, problems: Problems) -> pd.Series | None:
    if table is None:
        return None
    before = len(problems)
    if list(table.columns) != [SIG_ID, "drug_id"]:
        problems.append(f"{TRAIN_DRUG}: columns {', '.join(table.columns)}; expected {SIG_ID}, drug_id")
        return None
    check_ids(TRAIN_DRUG, table, problems)
    problems.rows(
        TRAIN_DRUG, "drug_id", table["drug_id"].isna().to_numpy(), table[SIG_ID], "an id, found an empty cell"
    )
    if len(problems) > before or features is None:
        return None
    drugs = table.set_index(SIG_ID)["drug_id"]
    _same_ids(TRAIN_DRUG, drugs.index, TRAIN_FEATURES, features.index, problems)
    return drugs.loc[features.index] if len(problems) == before else None


def _sample(
    table: pd.DataFrame | None, test: pd.DataFrame | None, targets: list[str] | None, problems: Problems
) -> pd.DataFrame | None:
    if table is None or test is None or targets is None:
        return None
    before = len(problems)
    check_ids(SAMPLE_SUBMISSION, table, problems)
    problems.columns(
        SAMPLE_SUBMISSION, "missing", [c for c in targets if c not in table], f"expected the columns of {TRAIN_SCORED}"
    )
    problems.columns(
        SAMPLE_SUBMISSION,
        "unknown",
        [c for c in table if c != SIG_ID and c not in targets],
        f"expected the columns of {TRAIN_SCORED}",
    )
    if table[SIG_ID].notna().all():  # an empty id is told above
        fix = "; with test rows of your own, delete this file"
        _same_ids(SAMPLE_SUBMISSION, pd.Index(table[SIG_ID]), TEST_FEATURES, test.index, problems, fix)
    return table.set_index(SIG_ID) if len(problems) == before else None


def _same_ids(name: str, ids: pd.Index, other: str, expected: pd.Index, problems: Problems, fix: str = "") -> None:
    problems.ids(name, expected.difference(ids, sort=False), f"missing, although it is in {other}{fix}")
    problems.ids(name, ids.difference(expected, sort=False), f"not in {other}{fix}")
