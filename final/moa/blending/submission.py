"""Turn predictions into a submission, check it, and write it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from moa.data.assay import COMPETITION, Assay
from moa.data.schema import SIG_ID
from moa.data.stored_tables import append_csv
from moa.errors import UserError
from moa.files import replacing
from moa.metrics.losses import align, check_probabilities

# Significant digits in a submission: a float32 survives the round trip, and the log loss changes by less than 1e-9.
_DIGITS = 9
_POWERS = np.array([float(f"1e{power}") for power in range(23)])  # all powers of ten that a float64 represents exactly


def submission(
    predictions: pd.DataFrame, test_features: pd.DataFrame, columns: Sequence[str], schema: Assay = COMPETITION
) -> pd.DataFrame:
    """Predictions in the form of a submission: all test rows in their order, control rows exactly 0.

    Args:
        predictions: probabilities, indexed by sig_id; control rows may be missing, and are set to 0.
        test_features: the test rows, indexed by sig_id, with the control column (cp_type).
        columns: target names in the order wanted.
        schema: names the control column and its values.

    Returns:
        Float64, shape (test rows, len(columns)), index named sig_id.

    Raises:
        UserError: a treated row or a target is missing, a row is not in the test set, or a cell is not a probability.
    """
    if SIG_ID in test_features.columns or not set(schema.control_columns) <= set(test_features.columns):
        column = "".join(f" with a column {name}" for name in schema.control_columns)
        raise UserError(f"test features: expected a table indexed by {SIG_ID}{column}")
    if schema.control and schema.control.levels:
        column, levels = schema.control.column, schema.control.levels
        unknown = test_features.loc[~test_features[column].isin(levels), column]
        if len(unknown):
            raise UserError(
                f"test features: row {unknown.index[0]!r}, column {column} holds {unknown.iloc[0]!r}; expected "
                f"{' or '.join(levels)}"
            )
    treated = schema.is_treated(test_features).to_numpy()
    rows = test_features.index
    chosen = predictions.loc[~predictions.index.isin(rows[~treated])]
    table = align(chosen, rows[treated], pd.Index(columns), "predictions")
    check_probabilities(table, "predictions")
    values = np.zeros((len(rows), len(columns)))
    values[treated] = np.clip(table.to_numpy(dtype=np.float64), 0.0, 1.0)  # rounding may bring a mean above 1
    return pd.DataFrame(values, index=rows.rename(SIG_ID), columns=list(columns))


def write_submission(frame: pd.DataFrame, path: str | Path, sample: pd.DataFrame | None = None) -> None:
    """Write a table that `submission` made atomically: sig_id first, nine significant digits.

    It must have the rows and columns of the competition's ``sample`` in the same order.

    Raises:
        UserError: rows or columns differ from the sample's or are repeated, or a cell is not in [0, 1].
    """
    what = Path(path).name
    if sample is not None:
        _same_order(frame.index, sample.index, what, "row")
        _same_order(frame.columns, sample.columns, what, "column")
    align(frame, frame.index, frame.columns, what)  # raises if a label is repeated
    check_probabilities(frame, what)
    if ((frame < 0.0) | (frame > 1.0)).to_numpy().any():
        raise UserError(f"{what}: holds values outside [0, 1]; make the table with `submission`")
    with replacing(Path(path)) as temporary, temporary.open("wb") as file:
        append_csv(file, _rounded(frame).reset_index(names=SIG_ID), header=True)


def _rounded(frame: pd.DataFrame) -> pd.DataFrame:
    """Values in [0, 1] rounded so that the shortest text that reads back equal has at most nine significant digits.

    Divisor and dividend are exact, so the quotient is the float64 nearest to the decimal number. Values below 1e-14
    would need a divisor that is not exact, and are left unchanged.
    """
    values = frame.to_numpy(np.float64)
    with np.errstate(divide="ignore"):
        places = _DIGITS - 1 - np.floor(np.log10(values))
    scale = _POWERS[np.clip(places, 0, len(_POWERS) - 1).astype(np.intp)]
    rounded = np.where(places < len(_POWERS), np.rint(values * scale) / scale, values)
    return pd.DataFrame(rounded, frame.index, frame.columns)


def _same_order(have: pd.Index, want: pd.Index, what: str, kind: str) -> None:
    if have.equals(want):
        return
    if len(have) != len(want):
        raise UserError(f"{what}: {len(have)} {kind}s, the sample submission has {len(want)}")
    place = int(np.argmax(have.to_numpy() != want.to_numpy()))
    raise UserError(
        f"{what}: {kind} {place + 1} is {have[place]!r}, the sample submission has {want[place]!r}; same order wanted"
    )


def write_test_submission(
    predictions: pd.DataFrame,
    features: pd.DataFrame,
    path: Path,
    sample: pd.DataFrame | None,
    schema: Assay = COMPETITION,
) -> None:
    """Make and write a submission in the order of the sample submission, or of ``features`` if ``sample`` is None.

    Arguments and errors are those of `submission` and `write_submission`.
    """
    table = submission(predictions, features, list(predictions.columns), schema)
    write_submission(table if sample is None else table.loc[sample.index, list(sample.columns)], path, sample)
