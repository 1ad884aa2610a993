"""Predictions as a checked submission."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from moa.data.schema import CONTROL, CP_TYPE, CP_TYPES, SIG_ID
from moa.data.table_files import append_csv
from moa.errors import UserError
from moa.files import replacing
from moa.metrics import align, check_probabilities

#: Of a submission: a float32 survives the round trip, and the log loss moves by less than 1e-9.
_DIGITS = 9
_POWERS = np.array([float(f"1e{power}") for power in range(23)])  # all powers of ten that a float64 holds exactly


def submission(predictions: pd.DataFrame, test_features: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Predictions as the competition wants them: all test rows in their order, control rows exactly 0.

    Args:
        predictions: probabilities, indexed by sig_id; control rows may be missing and are overridden.
        test_features: the test rows, indexed by sig_id, with cp_type.
        columns: target names in the wanted order.

    Returns:
        Float64, shape (test rows, len(columns)), index named sig_id.

    Raises:
        UserError: a treated row or a target is missing, a row is not of the test set, or a cell is no probability.
    """
    if CP_TYPE not in test_features.columns or SIG_ID in test_features.columns:
        raise UserError(f"test features: expected a table indexed by {SIG_ID} with a column {CP_TYPE}")
    cp_type = test_features[CP_TYPE]
    unknown = ~cp_type.isin(CP_TYPES)
    if unknown.any():
        raise UserError(
            f"test features: row {cp_type.index[unknown][0]!r}, column {CP_TYPE} holds {cp_type[unknown].iloc[0]!r}; "
            f"expected {' or '.join(CP_TYPES)}"
        )
    control = (cp_type == CONTROL).to_numpy()
    chosen = predictions.loc[~predictions.index.isin(cp_type.index[control])]
    table = align(chosen, cp_type.index[~control], pd.Index(columns), "predictions")
    check_probabilities(table, "predictions")
    values = np.zeros((len(cp_type), len(columns)))
    values[~control] = np.clip(table.to_numpy(dtype=np.float64), 0.0, 1.0)  # a mean may pass 1 by rounding
    return pd.DataFrame(values, index=cp_type.index.rename(SIG_ID), columns=list(columns))


def write_submission(
    frame: pd.DataFrame, path: str | Path, sample_submission: pd.DataFrame | str | Path | None = None
) -> None:
    """Write submission.csv atomically: sig_id first, nine significant digits.

    Args:
        frame: as `submission` returns it.
        path: file to write; its folder is made.
        sample_submission: the competition's sample, as a table indexed by sig_id or the path of its csv: the rows and
            columns must be the same, in the same order.

    Raises:
        UserError: rows or columns differ from the sample's, are there twice, or a cell is not in [0, 1].
    """
    what = Path(path).name
    if sample_submission is not None:
        sample = sample_submission if isinstance(sample_submission, pd.DataFrame) else _read_sample(sample_submission)
        _same_order(frame.index, sample.index, what, "row")
        _same_order(frame.columns, sample.columns, what, "column")
    align(frame, frame.index, frame.columns, what)  # no label twice
    check_probabilities(frame, what)
    if ((frame < 0.0) | (frame > 1.0)).to_numpy().any():
        raise UserError(f"{what}: holds values outside [0, 1]; make the table with `submission`")
    with replacing(Path(path)) as temporary, temporary.open("wb") as file:
        append_csv(file, _rounded(frame).reset_index(names=SIG_ID), header=True)


def _rounded(frame: pd.DataFrame) -> pd.DataFrame:
    """Values in [0, 1] rounded to nine significant digits: the shortest text that gives one back has no more.

    Divisor and dividend are exact, so the quotient is the float64 nearest to the decimal number. Values below 1e-14,
    where no such divisor is left, stay as they are.
    """
    values = frame.to_numpy(np.float64)
    with np.errstate(divide="ignore"):
        places = _DIGITS - 1 - np.floor(np.log10(values))
    scale = _POWERS[np.clip(places, 0, len(_POWERS) - 1).astype(np.intp)]
    rounded = np.where(places < len(_POWERS), np.rint(values * scale) / scale, values)
    return pd.DataFrame(rounded, frame.index, frame.columns)


def _read_sample(path: str | Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, index_col=SIG_ID)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: no sample submission ({error})") from None


def _same_order(have: pd.Index, want: pd.Index, what: str, kind: str) -> None:
    if have.equals(want):
        return
    if len(have) != len(want):
        raise UserError(f"{what}: {len(have)} {kind}s, the sample submission has {len(want)}")
    place = int(np.argmax(have.to_numpy() != want.to_numpy()))
    raise UserError(
        f"{what}: {kind} {place + 1} is {have[place]!r}, the sample submission has {want[place]!r}; same order wanted"
    )


def _write_submission(
    predictions: pd.DataFrame, features: pd.DataFrame, path: Path, sample: pd.DataFrame | None
) -> None:
    """Write a submission in the order of the sample submission, or in that of the test file where there is none."""
    table = submission(predictions, features, list(predictions.columns))
    write_submission(table if sample is None else table.loc[sample.index, list(sample.columns)], path, sample)
