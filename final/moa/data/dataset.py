"""Read the files of a data set, check them, and align their rows by sig_id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from moa.data.assay import COMPETITION, Assay
from moa.data.assay_files import load_assay
from moa.data.checks import checked_features, constant_columns
from moa.data.csv_files import METADATA
from moa.data.feature_names import identities_of
from moa.data.input_tables import find_table, has_table, read_input_table, set_aside
from moa.data.labels import check_drugs, check_labels, check_sample
from moa.data.mapping_file import mapping_of_folder
from moa.data.problems import Problems
from moa.data.schema import (
    SAMPLE_SUBMISSION,
    SIG_ID,
    TEST_FEATURES,
    TRAIN_DRUG,
    TRAIN_FEATURES,
    TRAIN_NONSCORED,
    TRAIN_SCORED,
    WELLS,
)
from moa.data.wells import describe_rows, read_wells
from moa.errors import DataError, UserError
from moa.progress import console


@dataclass(frozen=True)
class Dataset:
    """The tables of a data set, all indexed by sig_id.

    Sizes in brackets are those of the competition.

    Attributes:
        features: training rows in file order; columns are ``schema.features`` (875), the values float64.
        scored: 0/1 labels of the same rows, uint8, shape (rows, scored targets [206]).
        nonscored: 0/1 labels of the same rows, uint8, shape (rows, nonscored targets [402]); None if not read.
        test: features of the test rows, any number of rows; no rows where another assay has no test file.
        drugs: drug_id (the compound) of the training rows; None if not read.
        sample_submission: the file as a table; None if there is no such file.
        fingerprint: sha256 of each file read, by its usual name.
        schema: the assay, against which the files were checked.
        metadata: ``Metadata_`` columns of training and test rows; no columns where the files have none.
        identities: gene or cell line behind each feature, as ``moa.data.feature_names.read_identities`` has them; None
            where that is not known.
        wells: what wells.csv says of training and test rows, any columns; None: there is no such file.
        compounds: as ``drugs``, but read although no fold needs them; None where train_drug.csv is missing or has an
            error.
        mapping: how the plates of an imported folder were read, as ``moa.importing.mapping`` has it; None: no import.
    """

    features: pd.DataFrame
    scored: pd.DataFrame
    nonscored: pd.DataFrame | None
    test: pd.DataFrame
    drugs: pd.Series | None
    sample_submission: pd.DataFrame | None
    fingerprint: dict[str, str]
    schema: Assay = COMPETITION
    metadata: pd.DataFrame = field(default_factory=pd.DataFrame)
    wells: pd.DataFrame | None = None
    identities: pd.DataFrame | None = None
    compounds: pd.Series | None = None
    mapping: dict[str, Any] | None = None

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

    def facts(self, names: Sequence[str], rows: pd.Series) -> pd.DataFrame:
        """Columns that describe training rows, by name.

        Args:
            names: "compound", "dose" and others that ``moa.data.wells.describe_rows`` knows, a condition's column, a
                column of wells.csv, or a ``Metadata_`` column, with or without this prefix.
            rows: True for the rows wanted, indexed as ``features``.

        Returns:
            a column for each name, indexed by sig_id; only the rows wanted.

        Raises:
            UserError: a name is none of these.
        """
        index = self.features.index[rows.to_numpy()]
        known = describe_rows(self.features, self.schema, self.drugs, self.wells)
        described: dict[str, pd.Series] = {}
        for table in (known, self.features[list(self.schema.condition_columns)], self.metadata):
            for column in table:
                described.setdefault(column.removeprefix(METADATA), table[column])
                described.setdefault(column, table[column])
        for name in names:
            if name not in described:
                choices = ", ".join(dict.fromkeys(column.removeprefix(METADATA) for column in described)) or "none"
                raise UserError(f"column '{name}' of the rows is not known; choose of: {choices}")
        return pd.DataFrame({name: described[name].reindex(index) for name in names}, index)


class _Reader:
    """Reads the tables of one folder and collects problems and notes."""

    def __init__(self, folder: Path, schema: Assay):
        self.folder, self.schema = Path(folder), schema
        self.problems = Problems()
        self.hashes: dict[str, str] = {}
        self.metadata: list[pd.DataFrame] = []

    def read(self, name: str, text: Sequence[str], optional: bool = False) -> pd.DataFrame | None:
        """A table as it is; None if it cannot be read, or is optional and missing."""
        if optional and not has_table(self.folder, name):
            return None
        table, self.hashes[name] = read_input_table(find_table(self.folder, name), text, self.problems)
        return table

    def features(self, name: str, optional: bool = False) -> pd.DataFrame | None:
        """A features table, checked."""
        table = self.read(name, self.schema.text_columns, optional)
        if table is None:
            return None
        found, metadata, unusual = checked_features(name, table, self.problems, self.schema)
        if found is not None:
            self.metadata.append(metadata)
            for note in unusual.notes(name, self.schema):
                self.problems.note(note)
        return found

    def labels(self, name: str, features: pd.DataFrame | None) -> pd.DataFrame | None:
        """A table of labels, checked."""
        targets = self.schema.targets if name == TRAIN_SCORED else self.schema.nonscored
        return check_labels(name, self._plain(name), targets, features, self.problems, self.schema)

    def drugs(self, features: pd.DataFrame | None) -> pd.Series | None:
        """The table of compounds, checked."""
        if not has_table(self.folder, TRAIN_DRUG):
            needed = "only the models on drug-aware folds (new CV), and folds that hold out compounds, need it"
            self.problems.append(f"{self.folder / TRAIN_DRUG}: missing; {needed}")
            return None
        return check_drugs(TRAIN_DRUG, self._plain(TRAIN_DRUG, (SIG_ID, "drug_id")), features, self.problems)

    def wells(self) -> pd.DataFrame | None:
        """The table of wells, by sig_id; None where there is none."""
        if not has_table(self.folder, WELLS):
            return None
        try:
            return read_wells(find_table(self.folder, WELLS))
        except DataError as error:
            self.problems += error.problems
            return None

    def sample(self, test: pd.DataFrame | None, targets: list[str] | None) -> pd.DataFrame | None:
        """The sample submission, checked; None where it is missing or has other rows."""
        return check_sample(self._plain(SAMPLE_SUBMISSION, optional=True), test, targets, self.problems)

    def _plain(self, name: str, text: Sequence[str] = (SIG_ID,), optional: bool = False) -> pd.DataFrame | None:
        """A table as from `read`, without a saved index and without metadata."""
        table = self.read(name, text, optional)
        return None if table is None else set_aside(name, table, (), self.problems)[0]

    def finish(self) -> None:
        """Print the notes; raise a ``DataError`` if there are problems."""
        if self.problems:
            raise DataError(self.problems)
        for note in self.problems.notes:
            console.print(f"[yellow]{note}[/yellow]", highlight=False, soft_wrap=True)


def load_dataset(
    folder: Path,
    drugs: bool = False,
    nonscored: bool = True,
    schema: Assay | None = None,
    groups: Sequence[str] | None = None,
) -> Dataset:
    """Read and check the files of a data set; notes on them are printed.

    Args:
        folder: the folder with the files.
        drugs: read train_drug.csv, which only folds that know compounds need.
        nonscored: read train_targets_nonscored.csv, if the assay has nonscored targets.
        schema: the assay; None: the folder's ``assay.json``, or the competition where there is none.
        groups: names of the feature groups to use; None: all. The others may be missing in the files.

    Returns:
        the tables, all indexed by sig_id, and what is known about them.

    Raises:
        DataError: lists all problems found.
        UserError: a group is unknown.
    """
    schema = load_assay(folder) if schema is None else schema
    schema = schema if groups is None else schema.only(groups)
    reader = _Reader(folder, schema)
    problems = reader.problems
    train = reader.features(TRAIN_FEATURES)
    test = reader.features(TEST_FEATURES, optional=not schema.strict)
    scored = reader.labels(TRAIN_SCORED, train)
    others = reader.labels(TRAIN_NONSCORED, train) if nonscored and schema.n_nonscored != 0 else None
    # Where no fold needs the compounds, a file that is missing or has errors is no problem, and not part of the data.
    drug = (reader if drugs else _Reader(folder, schema)).drugs(train)
    sample = reader.sample(test, None if scored is None else list(scored))
    if train is not None and test is not None:
        problems.ids(TEST_FEATURES, test.index.intersection(train.index), f"is in {TRAIN_FEATURES} too")
    if train is not None:
        control = schema.control
        if control and not schema.is_treated(train).any():
            problems.append(
                f"{TRAIN_FEATURES}: no treated row: column '{control.column}' holds {' or '.join(control.values)} in "
                f"every row, so there is nothing to learn from"
            )
        for note in constant_columns(TRAIN_FEATURES, train, schema):
            problems.note(note)
    wells, identities = reader.wells(), identities_of(folder, schema)
    reader.finish()
    assert train is not None, "a table that cannot be read is a problem"
    metadata = pd.concat(reader.metadata)
    test = train.iloc[:0] if test is None else test
    known = drug if drugs else None
    mapping = None if schema.of_competition else mapping_of_folder(folder)
    return Dataset(
        train, scored, others, test, known, sample, reader.hashes, schema, metadata, wells, identities, drug, mapping
    )


def read_features(path: Path, schema: Assay = COMPETITION) -> pd.DataFrame:
    """Read and check one features file, for example of new plates.

    The file at ``path`` is csv, which may be packed, or parquet. It has sig_id and the columns of the assay ``schema``,
    in any order, and at least one row.

    Returns:
        columns ``schema.features``, indexed by sig_id; shape (rows, 875) for the competition.

    Raises:
        DataError: lists all problems found.
    """
    problems = Problems()
    table, _ = read_input_table(Path(path), schema.text_columns, problems)
    found = None if table is None else checked_features(Path(path).name, table, problems, schema)[0]
    if problems or found is None:
        raise DataError(problems)
    return found


def load_test(
    folder: Path, targets: list[str], schema: Assay = COMPETITION
) -> tuple[pd.DataFrame, pd.DataFrame | None, pd.DataFrame]:
    """Read and check the files of ``folder`` that predictions need: the test rows and any sample submission.

    The test file must have the columns of ``schema``, and the sample submission those of the ``targets``.

    Returns:
        the columns ``schema.features``; the sample submission, which sets the order of a submission (None where there
        is no such file); and the ``Metadata_`` columns of the test rows, if any. All are indexed by sig_id.

    Raises:
        DataError: lists all problems found.
    """
    reader = _Reader(folder, schema)
    test = reader.features(TEST_FEATURES)
    sample = reader.sample(test, targets)
    reader.finish()
    assert test is not None, "a table that cannot be read is a problem"
    return test, sample, reader.metadata[0]


def summary(data: Dataset) -> list[tuple[str, str]]:
    """Counts of rows, targets and drugs of ``data``, for display, as (name, value)."""
    prevalence, per_row = data.scored.mean(), data.scored.to_numpy().sum() / len(data.scored)
    spread = f"{prevalence.min():.5f} to {prevalence.max():.5f}, mean {prevalence.mean():.5f}"
    facts = [
        ("assay", f"{data.schema.name}: {measured(data.schema)}"),
        ("training rows", f"{len(data.features):,}, treated {data.treated.sum():,}"),
        ("test rows", f"{len(data.test):,}, treated {data.test_treated.sum():,}"),
        ("scored targets", f"{data.scored.shape[1]}, {per_row:.2f} positives per row"),
        ("prevalence of scored targets", spread),
    ]
    if data.nonscored is not None:
        positive = int(data.nonscored.any().sum())
        facts.append(("nonscored targets", f"{data.nonscored.shape[1]}, {positive} with a positive"))
    if data.drugs is not None:
        facts.append(("drugs", f"{data.drugs[data.treated].nunique():,} among treated rows"))
    return facts


def measured(schema: Assay) -> str:
    """The feature groups and conditions of the assay ``schema``, in words."""
    words = [f"{len(group.columns):,} {group.name}" for group in schema.groups]
    for condition in schema.conditions:
        levels = condition.levels or ()
        values = ", ".join(map(str, levels)) or "a number"
        words.append(f"{condition.name} ({values if len(values) <= 40 else f'{len(levels)} levels'})")
    return ", ".join(words)
