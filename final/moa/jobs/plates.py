"""Predict new plates: from a features file of any size, probabilities, ranked mechanisms and warnings per sample.

The file is read twice, in parts: first to check all of it, so that nothing is written if the file has an error, then to
predict. Memory holds one part and 8 bytes per sig_id, whatever the size of the file. Only the weights folder is needed;
nothing is fitted, and no training data is read.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd

from moa.blending.blend import BlendSpec, apply_blend, effective_weights
from moa.blending.submission import submission
from moa.data.assay import COMPETITION, Assay
from moa.data.checks import check_features
from moa.data.csv_files import Problems, parse_csv
from moa.data.schema import SIG_ID
from moa.data.table_files import append_csv
from moa.errors import DataError, UserError
from moa.files import replacing
from moa.learners.runtime import Runtime
from moa.progress import progress
from moa.training.layout import WeightsFolder
from moa.training.trained import Trained, open_trained

ROWS_AT_A_TIME = 16_384
MOST_PROBLEMS = 20
#: Samples for which more than this share of the training samples is nearer to the training data get a warning.
FAR = 0.999
_MIB = 2**20

PROBABILITIES, RANKED, SAMPLES = "probabilities.csv", "ranked.csv", "samples.csv"


@dataclass(frozen=True)
class PlateResult:
    """What was written.

    Attributes:
        folder: has ``probabilities.csv`` (sig_id and one column per target; controls 0), ``ranked.csv`` (sig_id, rank,
            moa, probability, times_prevalence) and ``samples.csv`` (sig_id, cp_type, distance, share_nearer, warning).
        rows: number of samples predicted.
        far: number of samples far outside the training data; None if the weights do not describe the training data.
        absent: members of the blend that are not trained.
    """

    folder: Path
    rows: int
    far: int | None
    absent: list[str]


def predict_plates(
    features: Path,
    spec: BlendSpec,
    weights: Path,
    out: Path,
    top: int = 10,
    rows_at_a_time: int = ROWS_AT_A_TIME,
    runtime: Runtime | None = None,
) -> PlateResult:
    """Predict a features file with a blend, or with a single model as a blend of one.

    Args:
        features: csv with sig_id and the feature columns of the models' schema, in any order; at least one row.
        spec: members and weights; members that are not trained are left out, and the other weights are scaled up.
        weights: folder of trained weights.
        out: folder for the results; files appear there only when all rows are predicted.
        top: number of mechanisms per sample in ``ranked.csv``.
        rows_at_a_time: number of rows in memory at once; affects the results only by rounding.
        runtime: device and precision; None: ``Runtime.of()``.

    Raises:
        DataError: lists the problems of the file, at most 20.
        UserError: no member is trained.
    """
    names = [member.model for member in spec.members if member.weight > 0]
    trained = [name for name in names if WeightsFolder(weights).has(name)]
    if not trained:
        raise UserError(f"{weights}: holds trained weights of no member of {spec.name} ({', '.join(names)})")
    effective_weights(spec, trained, "renormalise")
    runtime = runtime or Runtime.of()
    models = {name: open_trained(name, weights, runtime) for name in trained}
    described = next((model for model in models.values() if model.familiarity() is not None), None)
    schema = next(iter(models.values())).schema
    with progress(f"check {features.name}, MiB", _size(features)) as bar:
        rows = check_file(features, rows_at_a_time, bar.update, schema)
    far = 0
    with ExitStack() as stack:
        files = {
            name: stack.enter_context(stack.enter_context(replacing(Path(out) / name)).open("wb"))
            for name in (PROBABILITIES, RANKED, SAMPLES)
        }
        bar = stack.enter_context(progress(f"predict {features.name}", rows))
        done = 0
        for part in read_parts(features, rows_at_a_time, schema):
            found = _predict_part(part, spec, models, described, top, schema)
            for name, table in found.items():
                append_csv(files[name], table, header=not done)
            far += int(found[SAMPLES]["warning"].ne("").sum())
            done += len(part)
            bar.update(done, f"{done:,} rows")
    absent = [name for name in names if name not in trained]
    return PlateResult(Path(out), rows, far if described else None, absent)


def _predict_part(
    part: pd.DataFrame,
    spec: BlendSpec,
    models: dict[str, Trained],
    described: Trained | None,
    top: int,
    schema: Assay,
) -> dict[str, pd.DataFrame]:
    """The three tables of some rows; ``described`` is any member whose weights describe the training data."""
    predictions = {name: model.predict(part, quiet=True) for name, model in models.items()}
    mixed = apply_blend(spec, predictions, missing="renormalise")
    probabilities = submission(mixed, part, list(mixed.columns), schema)
    samples = part[list(schema.control_columns)].copy()
    treated = schema.is_treated(part).to_numpy()
    usual = described.familiarity() if described else None
    if usual is None:
        samples["distance"] = samples["share_nearer"] = np.nan
    else:
        samples[["distance", "share_nearer"]] = usual.transform(part[list(schema.values)].to_numpy(np.float64))
    # Controls need no warning: their predictions are always 0.
    far = samples["share_nearer"].gt(FAR).to_numpy() & treated
    samples["warning"] = np.where(far, "far outside the training data", "")
    samples = samples.round({"distance": 3, "share_nearer": 4})
    return {
        PROBABILITIES: probabilities.astype(np.float32).reset_index(),
        RANKED: rank_mechanisms(probabilities[treated], described.prevalence() if described else None, top),
        SAMPLES: samples.rename_axis(SIG_ID).reset_index(),
    }


def rank_mechanisms(probabilities: pd.DataFrame, prevalence: pd.Series | None, top: int) -> pd.DataFrame:
    """The most likely mechanisms of each sample, the most likely first.

    Args:
        probabilities: shape (rows, targets), indexed by sig_id.
        prevalence: share of positive treated training rows for each target; None if it is not known.
        top: number of mechanisms per sample.

    Returns:
        sig_id, rank from 1, moa, probability, times_prevalence (probability / prevalence); shape (rows × top, 5).
    """
    values = probabilities.to_numpy()
    top = min(top, values.shape[1])
    order = np.argsort(-values, axis=1, kind="stable")[:, :top]
    chosen = np.take_along_axis(values, order, axis=1)
    names = probabilities.columns.to_numpy()[order].ravel()
    table = pd.DataFrame(
        {
            SIG_ID: np.repeat(probabilities.index.to_numpy(), top),
            "rank": np.tile(np.arange(1, top + 1), len(values)),
            "moa": names,
            "probability": chosen.ravel().astype(np.float32),
        }
    )
    # The ratio is undefined for a target without a positive in training.
    usual = np.nan if prevalence is None else prevalence.replace(0, np.nan).reindex(names).to_numpy()
    table["times_prevalence"] = np.divide(table["probability"].to_numpy(np.float64), usual).round(2)
    return table


def check_file(
    features: Path,
    rows_at_a_time: int,
    on_part: Callable[[float, str], None] | None = None,
    schema: Assay = COMPETITION,
) -> int:
    """Check a whole features file part by part.

    Args:
        features: the file.
        rows_at_a_time: number of rows in memory at once.
        on_part: called after each part with the MiB read so far, and the number of rows in words.
        schema: columns that the file must have.

    Returns:
        number of rows.

    Raises:
        DataError: lists the problems, each with its line in the file.
    """
    problems: list[str] = []
    seen = np.empty(0, np.int64)
    rows = done = 0
    for first_line, text in _parts(features, rows_at_a_time):
        part = Problems(first_line)
        table = _parse_part(features, text, part, schema)
        if table is not None:
            ids = np.array([_content(sig_id) for sig_id in table.index], np.int64)
            again = np.isin(ids, seen)
            part.rows(features.name, SIG_ID, again, table.index.to_series(), "each id once, found it above already")
            seen = np.concatenate([seen, ids])
            rows += len(table)
        # A missing column is missing in every part, and reported once.
        problems += [problem for problem in part if problem not in problems]
        done += len(text)
        if on_part:
            on_part(done / _MIB, f"{rows:,} rows")
        if len(problems) >= MOST_PROBLEMS:
            problems = [*problems[:MOST_PROBLEMS], f"{features.name}: reading was stopped after this many problems"]
            break
    if problems:
        raise DataError(problems)
    return rows


def read_parts(
    features: Path, rows_at_a_time: int = ROWS_AT_A_TIME, schema: Assay = COMPETITION
) -> Iterator[pd.DataFrame]:
    """Read a features file in parts of ``rows_at_a_time`` rows, each as from ``moa.data.dataset.read_features``.

    Raises:
        DataError: lists the problems of the first part that has any; ``check_file`` lists those of the whole file.
    """
    for first_line, text in _parts(features, rows_at_a_time):
        problems = Problems(first_line)
        table = _parse_part(features, text, problems, schema)
        if problems or table is None:
            raise DataError(problems)
        yield table


def _parse_part(features: Path, text: bytes, problems: Problems, schema: Assay) -> pd.DataFrame | None:
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        file.write(text)
        file.flush()
        table = parse_csv(Path(file.name), features.name, list(schema.text_columns), problems)
    return check_features(features.name, None if table is None else table.to_pandas(), problems, schema)


def _parts(features: Path, rows_at_a_time: int) -> Iterator[tuple[int, bytes]]:
    """Split the file into parts of some lines, each below a copy of the header; yield first line number and text."""
    first_line = 2
    with _open(features) as file:
        header = file.readline()
        while True:
            lines = list(islice(file, rows_at_a_time))
            # Blank lines are an error between rows but not at the end of the file, so a part must not end in one.
            while lines and not lines[-1].strip() and (more := file.readline()):
                lines.append(more)
            if first_line > 2 and not any(line.strip() for line in lines):
                return
            # A first part without rows is yielded too, so that this problem is reported.
            yield first_line, b"".join([header, *lines])
            if not lines:
                return
            first_line += len(lines)


def _open(features: Path) -> BinaryIO:
    try:
        return features.open("rb")
    except FileNotFoundError:
        raise UserError(f"{features}: not found; give a csv file with the columns of test_features.csv") from None
    except OSError as error:
        raise UserError(f"{features}: cannot be read ({error.strerror})") from None


def _size(features: Path) -> int:
    """Size in MiB, rounded up."""
    with _open(features) as file:
        return file.seek(0, 2) // _MIB + 1


def _content(sig_id: str) -> int:
    return int.from_bytes(blake2b(sig_id.encode(), digest_size=8).digest(), "little", signed=True)
