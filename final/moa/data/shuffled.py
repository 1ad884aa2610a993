"""A copy of a data set with the labels of its compounds exchanged: a control for training.

Models that are trained on it can learn nothing about mechanisms. Their scores against the exchanged labels show what
the folds, the measures and the frequencies of the targets give away.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd

from moa.data.dataset import load_dataset
from moa.data.input_tables import find_table, has_table
from moa.data.schema import SIG_ID, TRAIN_DRUG, TRAIN_NONSCORED, TRAIN_SCORED
from moa.errors import UserError
from moa.files import replacing_folder
from moa.metrics.controls import shuffled_labels


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
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: holds files already; name another folder")
    nonscored = has_table(folder, TRAIN_NONSCORED)
    data = load_dataset(folder, drugs=has_table(folder, TRAIN_DRUG), nonscored=nonscored)
    tables = {TRAIN_SCORED: data.scored} | ({} if data.nonscored is None else {TRAIN_NONSCORED: data.nonscored})
    rows = data.features.index[data.treated]
    labels = pd.concat([table.loc[rows] for table in tables.values()], axis=1)
    shuffled = shuffled_labels(labels, data.drugs, seed)
    old = {find_table(folder, name).name for name in tables}
    with replacing_folder(out) as temporary:
        shutil.copytree(folder, temporary, dirs_exist_ok=True, ignore=lambda _, names: old.intersection(names))
        for name, table in tables.items():
            table = table.copy()
            table.loc[rows] = shuffled[list(table)]
            table.rename_axis(SIG_ID).to_csv(temporary / name)
    return None if data.drugs is None else int(data.drugs.loc[rows].nunique())
