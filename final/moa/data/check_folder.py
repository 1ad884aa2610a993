"""Check a whole data folder: its tables, and that they are what was imported."""

from __future__ import annotations

from pathlib import Path

from moa.data.assay import Assay
from moa.data.assay_files import load_assay
from moa.data.dataset import load_dataset, load_test, measured, summary
from moa.data.folders import check_data_folder
from moa.data.input_tables import find_table, has_table
from moa.data.schema import TEST_FEATURES, TRAIN_DRUG, TRAIN_FEATURES, TRAIN_NONSCORED, TRAIN_SCORED, WELLS
from moa.data.wells import read_wells
from moa.data.written_files import check_written
from moa.errors import UserError


def check_folder(folder: Path) -> list[tuple[str, str]]:
    """Read and check all files of a folder.

    Returns:
        counts for display, as (name, value); of a folder without training rows, what can be predicted.

    Raises:
        DataError: lists all problems found.
        UserError: there is no such folder.
    """
    check_data_folder(folder)
    check_written(folder)
    schema = load_assay(folder)
    if not _for_prediction(folder, schema):
        drugs, nonscored = has_table(folder, TRAIN_DRUG), has_table(folder, TRAIN_NONSCORED)
        return summary(load_dataset(folder, drugs=drugs, nonscored=nonscored))
    test, _, _ = load_test(folder, [], schema)
    if has_table(folder, WELLS):
        wells = read_wells(find_table(folder, WELLS))
        lost = test.index.difference(wells.index)
        if len(lost):
            raise UserError(f"{WELLS}: lacks {len(lost):,} rows of {TEST_FEATURES}, such as {lost[0]}; import again")
    treated = schema.is_treated(test)
    return [
        ("assay", f"{schema.name}: {measured(schema)}"),
        ("for prediction only", "no training rows; moa predict --features takes it with a trained model"),
        ("rows to predict", f"{len(test):,}, treated {treated.sum():,}"),
    ]


def _for_prediction(folder: Path, schema: Assay) -> bool:
    """Whether a folder holds rows to predict and none to train on, as an import without mechanisms writes it."""
    if schema.strict or schema.targets or not has_table(folder, TEST_FEATURES):
        return False
    return not any(has_table(folder, name) for name in (TRAIN_FEATURES, TRAIN_SCORED, TRAIN_DRUG))
