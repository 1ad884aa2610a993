"""Read the competition's files, check them, and align their rows by sig_id."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from moa.data.assay import COMPETITION, Assay
from moa.data.checks import check_choices, check_features, check_ids, check_numbers
from moa.data.csv_files import SHOWN, Problems, read_csv
from moa.data.schema import (
    SAMPLE_SUBMISSION,
    SIG_ID,
    TEST_FEATURES,
    TRAIN_DRUG,
    TRAIN_FEATURES,
    TRAIN_NONSCORED,
    TRAIN_SCORED,
)
from moa.errors import DataError
from moa.progress import console


@dataclass(frozen=True)
class Dataset:
    """The tables of a data set, all indexed by sig_id.

    Shapes in brackets are those of the competition.

    Attributes:
        features: training rows in file order; columns are ``schema.features`` (875), the values float64.
        scored: 0/1 labels of the same rows, uint8, shape (rows, scored targets [206]).
        nonscored: 0/1 labels of the same rows, uint8, shape (rows, nonscored targets [402]); None if not read.
        test: features of the test rows, any number of rows.
        drugs: drug_id of the training rows; None if not read.
        sample_submission: the file as a table; None if there is no such file.
        fingerprint: sha256 of each file read, by file name.
        schema: columns and target counts that the files were checked against.
    """

    features: pd.DataFrame
    scored: pd.DataFrame
    nonscored: pd.DataFrame | None
    test: pd.DataFrame
    drugs: pd.Series | None
    sample_submission: pd.DataFrame | None
    fingerprint: dict[str, str]
    schema: Assay = COMPETITION

    @property
    def treated(self) -> pd.Series:
        """True for treated training rows, False for controls."""
        return self.schema.is_treated(self.features)

    @property
    def test_treated(self) -> pd.Series:
        """True for treated test rows, False for controls."""
        return self.schema.is_treated(self.test)

    @property
    def targets(self) -> list[str]:
        """Names of the scored targets, in the file's order."""
        return list(self.scored.columns)


def load_dataset(folder: Path, drugs: bool = False, nonscored: bool = True, schema: Assay = COMPETITION) -> Dataset:
    """Read and check the files of a data set.

    Args:
        folder: the folder with the files.
        drugs: read train_drug.csv, which only the drug-aware folds ("new CV") need.
        nonscored: read train_targets_nonscored.csv, if the schema has nonscored targets.
        schema: columns and target counts that the files must have.

    Raises:
        DataError: lists all problems found.
    """
    folder, problems, hashes = Path(folder), Problems(), {}

    def read(name: str, text: tuple[str, ...]) -> pd.DataFrame | None:
        table, hashes[name] = read_csv(folder / name, text, problems)
        return table

    train, test = read(TRAIN_FEATURES, schema.text_columns), read(TEST_FEATURES, schema.text_columns)
    scored = read(TRAIN_SCORED, (SIG_ID,))
    others = read(TRAIN_NONSCORED, (SIG_ID,)) if nonscored and schema.n_nonscored != 0 else None
    drug = None
    if drugs and (folder / TRAIN_DRUG).exists():
        drug = read(TRAIN_DRUG, (SIG_ID, "drug_id"))
    elif drugs:
        problems.append(f"{folder / TRAIN_DRUG}: missing; only the models on drug-aware folds (new CV) need it")
    sample = read(SAMPLE_SUBMISSION, (SIG_ID,)) if (folder / SAMPLE_SUBMISSION).exists() else None

    train = check_features(TRAIN_FEATURES, train, problems, schema)
    test = check_features(TEST_FEATURES, test, problems, schema)
    scored = _labels(TRAIN_SCORED, scored, schema.n_targets, train, problems, schema)
    others = _labels(TRAIN_NONSCORED, others, schema.n_nonscored, train, problems, schema)
    drug = _drugs(drug, train, problems)
    sample = _sample(sample, test, None if scored is None else list(scored), problems)
    if train is not None and test is not None:
        problems.ids(TEST_FEATURES, test.index.intersection(train.index), f"is in {TRAIN_FEATURES} too")
    if problems:
        raise DataError(problems)
    return Dataset(train, scored, others, test, drug, sample, hashes, schema)


def read_features(path: Path, schema: Assay = COMPETITION) -> pd.DataFrame:
    """Read and check one features file, for example of new plates.

    Args:
        path: csv with sig_id and the columns ``schema.features``, in any order; at least one row.
        schema: columns that the file must have.

    Returns:
        columns ``schema.features``, indexed by sig_id; shape (rows, 875) for the competition.

    Raises:
        DataError: lists all problems found.
    """
    problems = Problems()
    table, _ = read_csv(Path(path), schema.text_columns, problems)
    table = check_features(Path(path).name, table, problems, schema)
    if problems:
        raise DataError(problems)
    return table


def load_test(
    folder: Path, targets: list[str], schema: Assay = COMPETITION
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Read and check the files that predictions need: the test features and, if present, the sample submission.

    The training files, which take forty times as long to read and check, are not needed. A user may replace the test
    file by new plates and leave the competition's sample submission in the folder; a sample with other rows is ignored.

    Args:
        folder: the folder with the files.
        targets: names of the scored targets, which the sample submission must have.
        schema: columns that the test file must have.

    Returns:
        test features (columns ``schema.features``) and the sample submission or None, both indexed by sig_id.

    Raises:
        DataError: lists all problems found.
    """
    folder, problems = Path(folder), Problems()
    test, _ = read_csv(folder / TEST_FEATURES, schema.text_columns, problems)
    test = check_features(TEST_FEATURES, test, problems, schema)
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
    """Row, target and drug counts for display, as (name, value)."""
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


def _labels(
    name: str,
    table: pd.DataFrame | None,
    count: int | None,
    features: pd.DataFrame | None,
    problems: Problems,
    schema: Assay,
) -> pd.DataFrame | None:
    if table is None:
        return None
    before = len(problems)
    columns = [column for column in table if column != SIG_ID]
    if count is not None and len(columns) != count:
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
    controls = features.index[~schema.is_treated(features).to_numpy() & table.to_numpy().any(axis=1)]
    if len(controls):
        first = table.loc[controls[:SHOWN]].idxmax(axis=1)  # one column per row is enough to find it
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
    if table[SIG_ID].notna().all():  # an empty id is already reported
        fix = "; with test rows of your own, delete this file"
        _same_ids(SAMPLE_SUBMISSION, pd.Index(table[SIG_ID]), TEST_FEATURES, test.index, problems, fix)
    return table.set_index(SIG_ID) if len(problems) == before else None


def _same_ids(name: str, ids: pd.Index, other: str, expected: pd.Index, problems: Problems, fix: str = "") -> None:
    problems.ids(name, expected.difference(ids, sort=False), f"missing, although it is in {other}{fix}")
    problems.ids(name, ids.difference(expected, sort=False), f"not in {other}{fix}")
