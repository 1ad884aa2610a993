"""A copy of a data set with labels or profiles exchanged: a control for training.

Models that are trained on it can learn nothing about mechanisms. Their scores show what the folds, the measures and the
frequencies of the targets give away.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from moa.data.dataset import Dataset, load_dataset
from moa.data.input_tables import find_table, has_table
from moa.data.schema import COMPOUND, SIG_ID, TRAIN_DRUG, TRAIN_FEATURES, TRAIN_NONSCORED, TRAIN_SCORED
from moa.data.wells import TREATMENT, describe_rows
from moa.data.written_files import RECORD
from moa.errors import UserError
from moa.files import replacing_folder
from moa.metrics.controls import exchanged_profiles, shuffled_labels


def shuffle_data(folder: Path, out: Path, seed: int = 0) -> int | None:
    """Write a copy of a data folder in which each compound has the labels of another one, drawn at random.

    Scored and nonscored labels move together. Controls and test rows stay as they are. The folder ``out`` must not
    exist, or be empty; ``seed`` is that of the draw.

    Returns:
        number of compounds; None where they are not known, and rows exchange their labels.

    Raises:
        DataError: the data set has problems.
        UserError: ``out`` holds files.
    """
    data = _source(folder, out)
    tables = {TRAIN_SCORED: data.scored} | ({} if data.nonscored is None else {TRAIN_NONSCORED: data.nonscored})
    rows = data.features.index[data.treated]
    labels = pd.concat([table.loc[rows] for table in tables.values()], axis=1)
    shuffled = shuffled_labels(labels, data.drugs, seed)
    for table in tables.values():
        table.loc[rows] = shuffled[list(table)]
    _write(folder, out, tables)
    return None if data.drugs is None else int(data.drugs.loc[rows].nunique())


def exchange_data(folder: Path, out: Path, seed: int = 0) -> int | None:
    """Write a copy of a data folder in which each treatment has the profiles of another one, drawn at random.

    Labels, compounds, conditions and plates stay where they are, and so do controls and test rows. ``out`` and ``seed``
    are as for `shuffle_data`, and so are errors.

    Returns:
        number of treatments; None where they are not known, and rows exchange their profiles.
    """
    data = _source(folder, out)
    rows, columns = data.features.index[data.treated], list(data.schema.values)
    known = describe_rows(data.features, data.schema, data.compounds, data.wells).loc[rows]
    treatments = known.get(TREATMENT, known.get(COMPOUND))
    features = data.features.copy()
    features.loc[rows, columns] = exchanged_profiles(features.loc[rows, columns], treatments, seed)
    described = data.metadata.reindex(features.index)
    _write(folder, out, {TRAIN_FEATURES: features.join(described)})
    return None if treatments is None else int(treatments.nunique())


def _source(folder: Path, out: Path) -> Dataset:
    """The data set to copy, if there is room for the copy."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: holds files already; name another folder")
    nonscored = has_table(folder, TRAIN_NONSCORED)
    return load_dataset(folder, drugs=has_table(folder, TRAIN_DRUG), nonscored=nonscored)


def _write(folder: Path, out: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """Copy a folder, with other tables in the place of some; the record of an import no longer fits, and is left."""
    old = {find_table(folder, name).name for name in tables} | {RECORD}
    with replacing_folder(out) as temporary:
        shutil.copytree(folder, temporary, dirs_exist_ok=True, ignore=lambda _, names: old.intersection(names))
        for name, table in tables.items():
            table.rename_axis(SIG_ID).to_csv(temporary / name)
