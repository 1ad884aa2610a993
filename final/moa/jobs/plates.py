"""New plates: a features file of any size in, probabilities, ranked mechanisms and a warning a sample out.

The file is read in parts, twice: once to check all of it, so that nothing is written for a file that is wrong
somewhere, and once to predict. Memory holds one part, whatever the file's size, and 8 bytes of each sig_id. Only the
weights folder is needed; nothing is fitted, and no training data is read.
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
from moa.data.csv_files import Problems, parse_csv
from moa.data.dataset import TEXT_COLUMNS, check_features
from moa.data.schema import CELLS, CONTROL, CP_TYPE, GENES, SIG_ID
from moa.data.table_files import append_csv
from moa.errors import DataError, UserError
from moa.files import replacing
from moa.progress import progress
from moa.training.runner import Runner, open_runner

ROWS_AT_A_TIME = 16_384
MOST_PROBLEMS = 20
# A sample farther out than all but one in a thousand training samples is warned of.
FAR = 0.999
_MIB = 2**20

PROBABILITIES, RANKED, SAMPLES = "probabilities.csv", "ranked.csv", "samples.csv"


@dataclass(frozen=True)
class PlateResult:
    """What was written.

    Attributes:
        folder: holds ``probabilities.csv`` (sig_id and a column a target; controls 0), ``ranked.csv`` (sig_id, rank,
            moa, probability, times_prevalence) and ``samples.csv`` (sig_id, cp_type, distance, share_nearer, warning).
        rows: samples predicted.
        far: how many of them lie far outside the training data; None where the weights do not tell.
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
    device: str = "auto",
    top: int = 10,
    rows_at_a_time: int = ROWS_AT_A_TIME,
    precision: str | None = None,
) -> PlateResult:
    """Predict a features file with a blend, or with a single model as a blend of one.

    Args:
        features: csv with sig_id and the 875 feature columns, in any order; any number of rows from 1.
        spec: members and weights; members that are not trained are left out, the others scaled up.
        weights: folder of trained weights.
        out: folder for the results, which appear when all is done.
        device: where networks run.
        top: mechanisms a sample in ``ranked.csv``.
        rows_at_a_time: rows in memory at once; the results do not depend on it beyond rounding.
        precision: of ``moa.training.runner.open_runner``.

    Raises:
        DataError: everything found wrong with the file, up to 20 problems.
        UserError: no member is trained.
    """
    names = [member.model for member in spec.members if member.weight > 0]
    trained = [name for name in names if (Path(weights) / name / "manifest.json").exists()]
    if not trained:
        raise UserError(f"{weights}: holds trained weights of no member of {spec.name} ({', '.join(names)})")
    effective_weights(spec, trained, "renormalise")
    runners = {name: open_runner(name, weights, device, precision) for name in trained}
    described = next((runner for runner in runners.values() if runner.familiarity() is not None), None)
    with progress(f"check {features.name}, MiB", _size(features)) as bar:
        rows = check_file(features, rows_at_a_time, bar.update)
    far = 0
    with ExitStack() as stack:
        files = {
            name: stack.enter_context(stack.enter_context(replacing(Path(out) / name)).open("wb"))
            for name in (PROBABILITIES, RANKED, SAMPLES)
        }
        bar = stack.enter_context(progress(f"predict {features.name}", rows))
        done = 0
        for part in read_parts(features, rows_at_a_time):
            found = _predict_part(part, spec, runners, described, top)
            for name, table in found.items():
                append_csv(files[name], table, header=not done)
            far += int(found[SAMPLES]["warning"].ne("").sum())
            done += len(part)
            bar.update(done, f"{done:,} rows")
    absent = [name for name in names if name not in trained]
    return PlateResult(Path(out), rows, far if described else None, absent)


def _predict_part(
    part: pd.DataFrame, spec: BlendSpec, runners: dict[str, Runner], described: Runner | None, top: int
) -> dict[str, pd.DataFrame]:
    """The three tables of some rows; ``described`` is a member that knows the training data, the same for all."""
    predictions = {name: runner.predict(part, quiet=True) for name, runner in runners.items()}
    mixed = apply_blend(spec, predictions, missing="renormalise")
    probabilities = submission(mixed, part, list(mixed.columns))
    samples = pd.DataFrame({CP_TYPE: part[CP_TYPE]})
    control = (part[CP_TYPE] == CONTROL).to_numpy()
    usual = described.familiarity() if described else None
    if usual is None:
        samples["distance"] = samples["share_nearer"] = np.nan
    else:
        samples[["distance", "share_nearer"]] = usual.transform(part[[*GENES, *CELLS]].to_numpy(np.float64))
    # Control samples are predicted 0 whatever they look like.
    far = samples["share_nearer"].gt(FAR).to_numpy() & ~control
    samples["warning"] = np.where(far, "far outside the training data", "")
    samples["distance"] = samples["distance"].round(3)
    return {
        PROBABILITIES: probabilities.astype(np.float32).reset_index(),
        RANKED: rank_mechanisms(probabilities[~control], described.prevalence() if described else None, top),
        SAMPLES: samples.rename_axis(SIG_ID).reset_index(),
    }


def rank_mechanisms(probabilities: pd.DataFrame, prevalence: pd.Series | None, top: int) -> pd.DataFrame:
    """The likeliest mechanisms of each sample, likeliest first.

    Args:
        probabilities: shape (rows, targets), indexed by sig_id.
        prevalence: share of treated training rows that carry a target, by target; None where it is not known.
        top: how many a sample.

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
    # A target without a positive in training has no ratio.
    usual = np.nan if prevalence is None else prevalence.replace(0, np.nan).reindex(names).to_numpy()
    table["times_prevalence"] = np.divide(table["probability"].to_numpy(np.float64), usual).round(2)
    return table


def check_file(
    features: Path, rows_at_a_time: int, on_part: Callable[[float, str], None] = lambda read, note: None
) -> int:
    """Check a whole features file part by part; returns its number of rows.

    Args:
        features: the file.
        rows_at_a_time: rows in memory at once.
        on_part: called after each part with the MiB read so far, and the rows in words.

    Raises:
        DataError: what is wrong, each problem with its line in the file.
    """
    problems: list[str] = []
    seen = np.empty(0, np.int64)
    rows = done = 0
    for first_line, text in _parts(features, rows_at_a_time):
        part = Problems(first_line)
        table = _parse_part(features, text, part)
        if table is not None:
            ids = np.array([_content(sig_id) for sig_id in table.index], np.int64)
            again = np.isin(ids, seen)
            part.rows(features.name, SIG_ID, again, table.index.to_series(), "each id once, found it above already")
            seen = np.concatenate([seen, ids])
            rows += len(table)
        problems += [problem for problem in part if problem not in problems]  # a column may be wrong in every part
        done += len(text)
        on_part(done / _MIB, f"{rows:,} rows")
        if len(problems) >= MOST_PROBLEMS:
            problems = [*problems[:MOST_PROBLEMS], f"{features.name}: reading was stopped after this many problems"]
            break
    if problems:
        raise DataError(problems)
    return rows


def read_parts(features: Path, rows_at_a_time: int = ROWS_AT_A_TIME) -> Iterator[pd.DataFrame]:
    """A features file in parts of so many rows, each as ``moa.data.dataset.read_features`` returns it.

    Raises:
        DataError: a part is wrong; use ``check_file`` to learn of all problems before.
    """
    for first_line, text in _parts(features, rows_at_a_time):
        problems = Problems(first_line)
        table = _parse_part(features, text, problems)
        if problems or table is None:
            raise DataError(problems)
        yield table


def _parse_part(features: Path, text: bytes, problems: Problems) -> pd.DataFrame | None:
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        file.write(text)
        file.flush()
        table = parse_csv(Path(file.name), features.name, list(TEXT_COLUMNS), problems)
    return check_features(features.name, None if table is None else table.to_pandas(), problems)


def _parts(features: Path, rows_at_a_time: int) -> Iterator[tuple[int, bytes]]:
    """Header and some lines at a time, with the number of the first of these lines in the file."""
    first_line = 2
    with _open(features) as file:
        header = file.readline()
        while True:
            lines = list(islice(file, rows_at_a_time))
            # Blank lines are told where rows follow, and let go at the end: a part must not end before that is known.
            while lines and not lines[-1].strip() and (more := file.readline()):
                lines.append(more)
            if first_line > 2 and not any(line.strip() for line in lines):
                return
            yield first_line, b"".join([header, *lines])  # without rows too: to be told what it lacks
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
    """In MiB, rounded up."""
    with _open(features) as file:
        return file.seek(0, 2) // _MIB + 1


def _content(sig_id: str) -> int:
    return int.from_bytes(blake2b(sig_id.encode(), digest_size=8).digest(), "little", signed=True)
