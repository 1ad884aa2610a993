"""What `moa score` reads: the predictions of trained models or of files, the truth, and what is known of the rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from moa.blending.catalogue import expand_models
from moa.data.cell_count import cell_count
from moa.data.dataset import Dataset, load_dataset
from moa.data.input_tables import find_table, has_table, read_input_table
from moa.data.problems import Problems
from moa.data.schema import SIG_ID, TRAIN_DRUG, WELLS
from moa.data.wells import COMPOUND, describe_rows, read_wells
from moa.errors import DataError, UserError
from moa.metrics.losses import check_labels, check_probabilities
from moa.weights.layout import WeightsFolder

if TYPE_CHECKING:
    from moa.weights.trained import Trained

#: What is known of rows beside the columns of wells.csv: see ``_learnable``.
LEARNABLE = "learnable"
#: Names of files that say less than the folder they lie in.
_PLAIN = {"oof", "test", "submission", "probabilities"}
#: Makes the out-of-fold predictions of each seed.
BySeed = Callable[[], dict[int, pd.DataFrame]]


@dataclass(frozen=True)
class Prediction:
    """A table of predictions to score.

    No row takes nearest neighbours from its own ``groups``: its folds by seed, or its compound.
    """

    name: str
    table: pd.DataFrame  # probabilities, shape (rows, targets), indexed by sig_id; calibrated where that is known
    groups: pd.DataFrame | None = None  # None: the features are not known
    scheme: str = ""  # what ``groups`` are, in words
    seeds: BySeed | None = None  # None for a file
    apart: tuple[str, ...] = ()  # columns of what is known that are held out with the compounds, such as "week"
    raw: pd.DataFrame | None = None  # before calibration, same shape; None: there is no calibration
    #: Whether wells are pooled by the mean of their evidence, and have one mechanism each; None: by their mean.
    one: bool | None = None


@dataclass(frozen=True)
class Case:
    """Predictions, and what they are compared with."""

    y: pd.DataFrame  # 0/1 labels of the rows to score, shape (rows, targets): treated ones, where that is known
    prevalence: pd.Series  # share of positive rows of each target in the training data; in ``y`` where there is none
    labels: pd.DataFrame  # 0/1 labels of all rows that ``features`` has; 0 for rows that are not training rows
    features: pd.DataFrame | None  # numbers, shape (treated rows, features); None where only a truth table is known
    known: pd.DataFrame  # compound, dose, plate, treatment and others, by row
    predictions: list[Prediction]  # with the targets of ``y``; none where baselines alone are asked for
    notes: list[str] = field(default_factory=list)  # what was left out, one sentence each
    groups: pd.DataFrame | None = None  # as of a prediction, for baselines that stand alone
    scheme: str = ""
    controls: pd.DataFrame | None = None  # features of control wells, shape (controls, features); None: not known
    count: pd.Series | None = None  # cell count of the rows of ``labels``; None: there is none


def read_models(names: Sequence[str], data: Path, weights: Path, wells: Path | None = None) -> Case:
    """Out-of-fold predictions of trained models: those named, and of blends and "all" those that are trained.

    ``wells`` is a table of wells; None: ``wells.csv`` of the data folder, where there is one.

    Raises:
        UserError: a model asked for by its own name is not trained, or none is.
    """
    from moa.weights.trained import open_trained  # it needs torch, which files of predictions do not

    dataset, known = _read_data(data, wells)
    found = [name for name in expand_models(names) if name in names or WeightsFolder(weights).has(name)]
    if not found:
        raise UserError(f"{weights}: holds trained weights of none of these: {', '.join(names)}")
    treated = dataset.features.index[dataset.treated]
    y = dataset.scored.loc[treated]
    predictions = [_out_of_fold(open_trained(name, weights), y, data) for name in found]
    first = predictions[0]
    if first.groups is not None:
        known = known.assign(**{LEARNABLE: _learnable(y, first.groups.iloc[:, :1], first.apart, known)})
    return Case(y, y.mean(), y, known=known, predictions=predictions, **_measured(dataset, known, treated))


def _measured(data: Dataset, known: pd.DataFrame, rows: pd.Index) -> dict[str, Any]:
    """Features and cell counts of some rows of training and test, and the controls' features, as fields of a case."""
    columns = list(data.schema.values)
    features = pd.concat([table.loc[table.index.isin(rows), columns] for table in (data.features, data.test)])
    controls = data.features.loc[~data.treated, columns]
    return {
        "features": features,
        "controls": controls if len(controls) else None,
        "count": cell_count(known.reindex(rows), features),
    }


def _out_of_fold(trained: Trained, y: pd.DataFrame, data: Path) -> Prediction:
    stage = trained.last
    units = trained.units(stage)
    record, table, raw = trained.calibration(), trained.calibrated_oof(), None
    table = table.loc[table.index.isin(y.index)]
    if record is not None and record.beta is not None:
        raw = trained.oof().loc[table.index]
    if set(table.columns) != set(y.columns) or not len(table):
        what = "rows" if set(table.columns) == set(y.columns) else "targets"
        raise UserError(
            f"{trained.store.layout.path}: trained on other {what} than those of {data}; name its data with --data"
        )

    def by_seed() -> dict[int, pd.DataFrame]:
        parts: dict[int, list[pd.DataFrame]] = {}
        for seed, fold in units:
            parts.setdefault(seed, []).append(trained.store.load_oof(stage.name, seed, fold))
        return {seed: pd.concat(tables) for seed, tables in parts.items()}

    folds = trained.store.held_out_folds(stage.name, units)
    apart = trained.hold_out.columns[1:] if trained.hold_out else ()
    one = None if record is None else record.one
    return Prediction(trained.model.name, table, folds, f"folds {stage.folds.label}", by_seed, apart, raw, one)


def _learnable(y: pd.DataFrame, folds: pd.DataFrame, apart: Sequence[str], known: pd.DataFrame) -> pd.Series:
    """Whether a row shares a mechanism with the rows that it was predicted from: "yes" or "no"; missing without any.

    A mechanism of one compound cannot be learned where that compound is held out. Without these rows a score says how
    well a model tells mechanisms apart that it could know. ``folds`` has those of the first seed.
    """
    held = folds.reindex(y.index)
    held = held.join(known[[name for name in apart if name in known]].reindex(y.index).astype("string"))
    codes = np.column_stack([pd.factorize(held[column])[0] for column in held])
    labels, found = y.to_numpy().astype(bool), np.zeros(len(y), bool)
    for own in np.unique(codes, axis=0):
        rows = (codes == own).all(axis=1)
        found[rows] = (labels[rows] & labels[(codes != own).all(axis=1)].any(axis=0)).any(axis=1)
    words = pd.Series(np.where(found, "yes", "no"), y.index)
    return words.where(labels.any(axis=1) & (codes[:, 0] >= 0))


def read_files(files: Sequence[Path], data: Path | None, truth: Path | None = None, wells: Path | None = None) -> Case:
    """Predictions of files: csv or parquet, with sig_id and a column per target. No file: baselines alone.

    The rows are of the data set in the folder ``data``, which has the labels and the features of the baselines; None:
    there is none. ``truth`` is a table of 0/1 labels with sig_id; None: the training labels of ``data``. ``wells`` is
    as in `read_models`.

    Raises:
        UserError: there is neither data nor truth, or a file shares no row or no target with the labels.
    """
    tables = dict(zip(_names(files), (_read_numbers(path) for path in files), strict=True))
    beside = None if data is None else _read_data(data, wells)
    fix = ""
    if truth is not None:
        y, source = _read_numbers(truth), truth.name
    elif beside is not None:
        y, source = beside[0].scored, f"the training labels of {data}"
        fix = "; give the labels of these rows with --truth FILE"
    else:
        raise UserError("moa score: give --data DIR, or the labels with --truth FILE")
    known = read_wells(wells).reindex(y.index) if beside is None and wells is not None else None
    return case_of_tables(tables, y, source, known, beside, fix)


def case_of_tables(
    tables: Mapping[str, pd.DataFrame],
    truth: pd.DataFrame,
    source: str = "the labels",
    known: pd.DataFrame | None = None,
    beside: tuple[Dataset, pd.DataFrame] | None = None,
    fix: str = "",
) -> Case:
    """Predictions that are tables already, beside their labels.

    Args:
        tables: probabilities by name, shape (rows, targets), indexed by sig_id.
        truth: 0/1 labels, likewise.
        source: where the labels are from, for messages.
        known: what is known of the rows.
        beside: the data set that the rows are of, and what is known of its rows; None: the labels stand alone.
        fix: end of the message about a table that has none of the rows.

    Raises:
        UserError: a table shares no row or no target with the labels, or a cell is no probability.
    """
    check_labels(truth, source)
    for name, table in tables.items():
        for what, have, want in (("target", table.columns, truth.columns), ("row", table.index, truth.index)):
            if not have.isin(want).any():
                end = fix if what == "row" else ""
                raise UserError(f"{name}: holds no {what} of {source}, such as {want[0]!r}{end}")
    targets = [target for target in truth if all(target in table for table in tables.values())]
    lost = truth.shape[1] - len(targets)
    notes = [f"{lost} targets of {source} are not predicted"] if lost else []
    y = truth[targets].astype(np.uint8)
    if beside is not None:
        case = _beside_data(y, *beside, notes)
    else:
        case = Case(y, y.mean(), y, None, pd.DataFrame(index=y.index) if known is None else known, [], notes)
    for name, table in tables.items():
        table = table.loc[table.index.isin(case.y.index), targets]
        check_probabilities(table, name)
        case.predictions.append(Prediction(name, table, case.groups, case.scheme))
    return case


def _beside_data(y: pd.DataFrame, data: Dataset, known: pd.DataFrame, notes: list[str]) -> Case:
    """The case of labels of rows of a data set, without predictions."""
    rows = {"train": data.features.index[data.treated], "test": data.test.index[data.test_treated]}
    for table, treated in ((data.features, rows["train"]), (data.test, rows["test"])):
        y = y.loc[~y.index.isin(table.index.difference(treated))]
    train, test = rows.values()
    if not y.columns.isin(data.scored.columns).all():
        notes = [*notes, "some targets are not those of the data folder, so nearest neighbours are left out"]
        return Case(y, y.mean(), y, None, known, [], notes)
    labels = data.scored.loc[train, list(y.columns)]
    if y.index.isin(train).all():
        own = pd.DataFrame({"row": np.arange(len(train))}, train)
        groups, scheme = (known[[COMPOUND]], "other compounds") if COMPOUND in known else (own, "other rows")
        found = _measured(data, known, train)
        return Case(
            y, labels.mean(), labels, known=known, predictions=[], notes=notes, groups=groups, scheme=scheme, **found
        )
    if y.index.isin(test).all():
        both = train.append(test)
        groups = pd.DataFrame({"test": 1.0}, test).reindex(both)  # NaN for training rows: for all to use
        none = pd.DataFrame(np.uint8(0), test, labels.columns)
        found, all_labels = _measured(data, known, both), pd.concat([labels, none])
        return Case(
            y, labels.mean(), all_labels, known=known, predictions=[], notes=notes, groups=groups,
            scheme="training rows", **found,
        )  # fmt: skip
    notes = [*notes, "the rows are not all of the data folder, so nearest neighbours are left out"]
    return Case(y, labels.mean(), y, None, known.reindex(y.index), [], notes)


def common_rows(case: Case) -> Case:
    """The case on the rows that all predictions cover."""
    rows = case.y.index
    for each in case.predictions:
        rows = rows[rows.isin(each.table.index)]
    if not len(rows):
        names = ", ".join(each.name for each in case.predictions)
        raise UserError(f"{names}: no row with a label is predicted by all; train or predict the same rows of each")
    lost = len(case.y) - len(rows)
    notes = [*case.notes, *([f"{lost:,} of {len(case.y):,} rows have no prediction, or not of each"] if lost else [])]
    columns = list(case.y.columns)

    def cut(each: Prediction) -> Prediction:
        raw = None if each.raw is None else each.raw.loc[rows, columns]
        return replace(each, table=each.table.loc[rows, columns], raw=raw)

    predictions = [cut(each) for each in case.predictions]
    return replace(case, y=case.y.loc[rows], predictions=predictions, notes=notes)


def _read_data(folder: Path, wells: Path | None) -> tuple[Dataset, pd.DataFrame]:
    """A data set, and what is known of its training and test rows."""
    dataset = load_dataset(folder, drugs=has_table(folder, TRAIN_DRUG), nonscored=False)
    table = read_wells(wells or find_table(folder, WELLS)) if wells or has_table(folder, WELLS) else None
    known = [
        describe_rows(dataset.features, dataset.schema, dataset.drugs, table),
        describe_rows(dataset.test, dataset.schema, None, table),
    ]
    known = pd.concat(known)
    return dataset, known.join(dataset.metadata.drop(columns=known.columns, errors="ignore"))


def _read_numbers(path: Path) -> pd.DataFrame:
    """The numeric columns of a csv file, which may be packed, or a parquet file, indexed by sig_id.

    Raises:
        UserError: the file cannot be read, or has a row twice.
    """
    problems = Problems()
    table, _ = read_input_table(path, (SIG_ID,), problems)
    if problems or table is None:
        raise DataError(problems)
    table = table.set_index(SIG_ID)
    if not table.index.is_unique:
        raise UserError(f"{path}: row {table.index[table.index.duplicated()][0]!r} occurs twice")
    return table.select_dtypes("number")


def _names(files: Sequence[Path]) -> list[str]:
    """A short name for each file, all different."""
    short = [path.resolve().parent.name if path.stem in _PLAIN else path.stem for path in files]
    return [name if short.count(name) == 1 else str(path) for name, path in zip(short, files, strict=True)]
