"""Predict new plates: from a features file of any size, probabilities, ranked mechanisms and warnings per sample.

The file is read once, in numbered parts, by this process. Parts are checked and predicted by whatever takes streams of
work, each on one thread: the cores of this machine, or a cluster. They come back as files of a hidden folder and are
joined at the end in the order of the rows, so a run that was killed goes on after the parts that are there, and nothing
else is written if the file has an error. Only the weights folder is needed; nothing is fitted, and no training data is
read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from rich.markup import escape

from moa.blending.answers import pooled_answers
from moa.blending.blend import BlendSpec, effective_weights
from moa.blending.explained import PlateResult
from moa.blending.reliability import Trust, reliability
from moa.data.assay import Assay
from moa.data.checks import Unusual
from moa.data.csv_files import METADATA
from moa.data.parts import Part, SeenIds, file_size, id_hashes, is_features_file, read_parts
from moa.data.problems import Problems
from moa.data.schema import SIG_ID
from moa.data.stored_tables import write_table
from moa.errors import DataError, UserError
from moa.files import digest, ensure_writable
from moa.jobs.options import PlateOptions
from moa.jobs.plate_exports import EXPORTS, export, write_result
from moa.jobs.plate_parts import EXPLAINED, TABLES, WELLS, FoundPart, PartPredictor, PartsFolder, predict_part
from moa.jobs.predict import trained_members
from moa.parallel import Here
from moa.progress import Bar, console, progress
from moa.training.executors import LocalExecutor, Machines
from moa.weights.for_workers import weights_for
from moa.weights.trained import Trained, open_trained
from moa.whole_folders import only_one

if TYPE_CHECKING:
    from moa.importing.for_model import ModelRows
    from moa.importing.notes import Notes

MOST_PROBLEMS = 20
#: Samples that are explained on the page: a competition's test file, or ten plates. Their tables are held in memory.
MOST_EXPLAINED = 4096


def predict_plates(
    features: Path,
    spec: BlendSpec,
    weights: Path,
    out: Path,
    options: PlateOptions | None = None,
    executor: Machines | None = None,
) -> PlateResult:
    """Predict a features file with a blend, or with a single model as a blend of one.

    Args:
        features: csv (may be packed) or parquet with sig_id and the feature columns of the models' schema, in any
            order; at least one row. Or a laboratory's own file, such as GCT, GCTX or a profile table: its features are
            matched to the models' by Entrez id, symbol or probe, see ``moa.importing.for_model``.
        spec: members and weights; members that are not trained are left out, and the other weights are scaled up.
        weights: folder of trained weights.
        out: folder for the results; files appear there only when all rows are predicted.
        options: None: the defaults. The size of parts affects the results only by rounding.
        executor: what predicts the parts; None: where ``options`` say, or this machine's cores, or its GPU.

    Raises:
        DataError: lists the problems of the file, at most 20.
        UserError: no member is trained, or another process predicts into the same folder.
    """
    trained, absent = trained_members(spec, weights)
    effective_weights(spec, trained, "renormalise")
    options = options or PlateOptions()
    runtime = options.runtime
    if executor is None and options.on is not None:
        with options.executor() as executor:
            return predict_plates(features, spec, weights, out, options, executor)
    executor = executor or (LocalExecutor() if runtime.torch_device.type == "cpu" else Here())
    ensure_writable(Path(out))
    models = [open_trained(name, weights, runtime) for name in trained]
    schema = _shared_schema(models)
    known = reliability(spec, models, raw=options.raw)
    trust = Trust() if known is None else known.trust
    prevalence = next((found for model in models if (found := model.prevalence()) is not None), None)
    busy = f"{out}: another `moa predict` writes there; wait until it has finished, or give another --out"
    with only_one(Path(out), busy), _as_features_file(features, models[0], Path(out), options) as source:
        size, sent = file_size(source), weights_for(executor, weights, trained)
        top, rows = options.top, options.rows_at_a_time
        shown = (EXPLAINED, WELLS, options.raw)
        settings = (spec.model_dump(mode="json"), top, rows, runtime.precision, runtime.device, *shown)
        said = (trust.cautions.to_dict(), np.empty(0) if trust.distances is None else trust.distances)
        folder = PartsFolder(out, digest(sent.content, *settings, *said))
        prepare = partial(PartPredictor, sent, trained, spec, top, trust, executor.place(runtime), options.raw)
        with progress(f"predict {features.name}, MiB", size) as bar:
            run = _Run(source, features.name, rows, folder, bar)
            stream = executor.stream(prepare, partial(predict_part, features.name, schema), run.missing_parts())
            with closing(stream):
                for number, found in stream:
                    run.receive(number, found)
                    if len(run.problems) >= MOST_PROBLEMS:
                        break
        if run.problems:
            raise DataError(run.report())
        with progress(f"join {features.name}", len(TABLES)) as bar:
            explained = folder.explained(range(run.parts), trained, MOST_EXPLAINED)
            answers = pooled_answers(folder.wells(range(run.parts)), known)
            parquet = (run.parquet and source == features) if options.format is None else options.format == "parquet"
            kind: Literal["csv", "parquet"] = "parquet" if parquet else "csv"
            files = folder.join(range(run.parts), kind)
            tables = {} if answers is None else answers.tables(prevalence, top, trust.cautions)
            files += [write_result(Path(out) / f"{name}.{kind}", table) for name, table in tables.items()]
            if options.format in EXPORTS:
                files += export(Path(out), options.format)
            bar.update(len(TABLES))
    notes = run.notes if source == features else []  # those of a laboratory's file are printed already
    for note in [*notes, *run.unusual.notes(features.name, schema)]:
        console.print(f"[yellow]{note}[/yellow]", highlight=False, soft_wrap=True)
    described = any(model.familiarity() is not None for model in models)
    far = run.far if described else None
    return PlateResult(features.name, spec, Path(out), files, run.rows, far, absent, explained, known, answers)


@contextmanager
def _as_features_file(features: Path, trained: Trained, out: Path, options: PlateOptions) -> Iterator[Path]:
    """A file with sig_id and the columns that a model takes, for as long as it is predicted.

    A features file of this project is yielded as it is. Any other (GCT, GCTX, profiles, AnnData) is read as for
    `moa data import`, its features are matched to the model's, and what was guessed and left over is printed; the rows
    lie in a hidden file of ``out`` until the block ends, with what is known of the wells as ``Metadata_`` columns.

    Raises:
        UserError: the file cannot be read, or lacks what the model takes.
    """
    if is_features_file(features, trained.schema):
        if options.of_laboratory:
            raise UserError(f"{features.name}: has a sig_id already; options of a laboratory's file do not apply")
        yield features
        return
    rows = laboratory_rows(features, trained, options)
    print_notes(rows.notes)
    wells = rows.wells.drop(columns=[column for column in rows.wells if column in rows.features])
    wells = wells.rename(columns=lambda name: name if name.startswith(METADATA) else f"{METADATA}{name}")
    wells = wells.loc[:, ~wells.columns.duplicated()].astype("string")
    hidden = out / ".plate.parquet"
    write_table(hidden, rows.features.join(wells))
    try:
        yield hidden
    finally:
        hidden.unlink(missing_ok=True)


def laboratory_rows(features: Any, trained: Trained, options: PlateOptions) -> ModelRows:
    """A laboratory's own file, or an AnnData object, as rows of a model, read like the plates it was trained on.

    Raises:
        UserError: the file cannot be read, or lacks what the model takes.
    """
    from moa.importing.for_model import read_for_model  # h5py and the readers take a second to import
    from moa.importing.mapping import mapping_of

    plain = trained.mapping()
    mapping = None if plain is None else mapping_of(plain, str(trained.store.layout.training))
    return read_for_model(
        [features], trained.schema, trained.identities(), options.importing, options.fill_missing, mapping
    )


def print_notes(notes: Notes) -> None:
    """Print what was guessed and left over when a laboratory's file was read."""
    for note in notes:
        console.print(f"[yellow]{escape(note.line())}[/yellow]", highlight=False, soft_wrap=True)


def _shared_schema(models: list[Trained]) -> Assay:
    """The assay that all members were trained on.

    Raises:
        UserError: they were trained on different columns.
    """
    first = models[0]
    for other in models[1:]:
        for what in ("values", "condition_columns", "levels", "control"):
            if getattr(other.schema, what) != getattr(first.schema, what):
                raise UserError(
                    f"{first.model.name} and {other.model.name} were trained on different columns "
                    f"({first.schema.name}: {_groups(first.schema)}; {other.schema.name}: {_groups(other.schema)}); "
                    "predict with members of one kind"
                )
    return first.schema


def _groups(schema: Assay) -> str:
    return ", ".join(f"{len(group.columns)} {group.name}" for group in schema.groups)


class _Run:
    """The parts of one file: which are given out, what came back, and what was found in the order of the rows.

    Attributes:
        parts, rows, far: numbers of parts, of rows, and of samples with a warning so far.
        parquet: whether the file is a parquet file.
        problems, notes, unusual: found so far.
    """

    def __init__(self, features: Path, name: str, rows_at_a_time: int, folder: PartsFolder, bar: Bar):
        self._features, self._name, self._rows_at_a_time = features, name, rows_at_a_time
        self._folder, self._bar = folder, bar
        self.parts = self.rows = self.far = 0
        self.parquet = False
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.unusual = Unusual()
        self._given: dict[int, tuple[Part, str]] = {}
        self._waiting: dict[int, tuple[Part, FoundPart]] = {}
        self._seen, self._read = SeenIds(), 0.0

    def missing_parts(self) -> Iterator[tuple[Part, bool, int]]:
        """The parts that are not there yet, as ``predict_part`` takes them; a file with an error is only checked."""
        given = 0
        for part in read_parts(self._features, self._rows_at_a_time):
            self.parquet = part.parquet
            if (known := self._folder.recall(part)) is not None:
                self._note(part, known)
                continue
            self._given[given] = (replace(part, content=b""), part.digest)
            given += 1
            before = part.number * self._rows_at_a_time  # at least as many rows as there are
            yield part, not self.problems, max(0, MOST_EXPLAINED - before)

    def receive(self, number: int, found: FoundPart) -> None:
        """Keep the part that was given out with that number."""
        part, digest = self._given.pop(number)
        if found.tables:
            self._folder.write(part, digest, found)
        self._note(part, replace(found, tables={}))  # it may wait for an earlier part

    def report(self) -> list[str]:
        """The problems, at most 20."""
        if len(self.problems) < MOST_PROBLEMS:
            return self.problems
        stopped = f"{self._name}: reading was stopped after this many problems"
        return [*self.problems[:MOST_PROBLEMS], stopped]

    def _note(self, part: Part, found: FoundPart) -> None:
        """Take note of parts in the order of the file, whichever comes first."""
        self._waiting[part.number] = (replace(part, content=b""), found)
        self._read += part.size
        while self.parts in self._waiting:
            part, found = self._waiting.pop(self.parts)
            self.parts += 1
            self.rows, self.far = self.rows + len(found.ids), self.far + found.far
            problems = Problems(part.first, "row" if part.parquet else "line")
            ids = pd.Series(found.ids, dtype=object)
            again = self._seen.add(id_hashes(ids))
            problems.rows(self._name, SIG_ID, again, ids, "each id once, found it above already")
            # A missing column is missing in every part, and reported once.
            self.problems += [each for each in (*found.problems, *problems) if each not in self.problems]
            self.notes += [each for each in found.notes if each not in self.notes]
            self.unusual += found.unusual
        self._bar.update(self._read, f"{self.rows:,} rows")
