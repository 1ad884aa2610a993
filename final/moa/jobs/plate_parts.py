"""One part of a features file, predicted; and the folder where parts wait until all are there."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from moa.blending.answers import rank_mechanisms
from moa.blending.blend import BlendSpec, apply_blend
from moa.blending.explained import Explained, packed, unpacked
from moa.blending.reliability import Trust
from moa.blending.submission import submission
from moa.data.assay import Assay
from moa.data.checks import Unusual
from moa.data.csv_files import METADATA
from moa.data.feature_names import display_names
from moa.data.parts import Part, parse_part
from moa.data.schema import SIG_ID
from moa.data.stored_tables import append_csv, arrow_table
from moa.data.wells import COMPOUND, TREATMENT, described_wells
from moa.features.familiarity import FAR, UNUSUAL
from moa.files import read_json, replacing, replacing_folder, write_json
from moa.learners.runtime import Runtime
from moa.weights.for_workers import WorkerWeights
from moa.weights.trained import open_trained

#: Number of features that are named for each sample.
STRONGEST = 5
PROBABILITIES, RANKED, SAMPLES = "probabilities", "ranked", "samples"
TABLES = (PROBABILITIES, RANKED, SAMPLES)
#: What the page about the first samples needs besides; not a table of the results.
EXPLAINED = "explained"
#: And what is known of the compounds of all samples, which their answers are pooled by; not a table either.
WELLS = "wells"
#: Why a sample gets a warning.
FAR_AWAY, MIXED = "far outside the training data", "unusual combination of values"
_PART = "part.json"


@dataclass(frozen=True)
class FoundPart:
    """What became of a part."""

    ids: list[str]  # sig_id of its rows; empty where there are problems
    far: int = 0  # number of samples with a warning
    problems: list[str] = field(default_factory=list)  # of its rows, with their places in the whole file
    notes: list[str] = field(default_factory=list)  # on columns that are set aside
    unusual: Unusual = Unusual()
    #: Parquet files by name; none where the rows were only checked. ``EXPLAINED`` is there for the first parts alone.
    tables: dict[str, bytes] = field(default_factory=dict)


class PartPredictor:
    """Predicts parts: the weights of a blend's trained members, ``names``, are read once and kept in memory.

    ``top`` is the number of mechanisms that are ranked per sample, and ``trust`` what is said of samples besides.
    Probabilities are calibrated outside of the competition, unless ``raw``.
    """

    def __init__(
        self,
        weights: WorkerWeights,
        names: list[str],
        spec: BlendSpec,
        top: int,
        trust: Trust,
        runtime: Runtime,
        raw: bool = False,
    ):
        folder = weights.open()
        self._spec, self._top, self._trust, self._raw = spec, top, trust, raw
        self._models = {name: open_trained(name, folder, runtime, whole=False).keep() for name in names}
        # Any member whose weights describe the training data.
        described = [model for model in self._models.values() if model.familiarity() is not None]
        self._usual = described[0].familiarity() if described else None
        self._prevalence = described[0].prevalence() if described else None
        first = next(iter(self._models.values()))
        self._names = list(display_names(first.schema.values, first.identities()).values())

    def predict(self, part: pd.DataFrame, schema: Assay, explained: int = 0) -> dict[str, pd.DataFrame]:
        """The three tables of some rows, and what the first ``explained`` of them are explained from."""
        predictions = {name: model.predict(part, quiet=True, raw=self._raw) for name, model in self._models.items()}
        mixed = apply_blend(self._spec, predictions, missing="renormalise")
        probabilities = submission(mixed, part, list(mixed.columns), schema)
        described = [column for column in part if column.startswith(METADATA)]
        known = described_wells(part[described], part, schema)
        samples, strongest = self._samples(part, schema, known.get(COMPOUND))
        treated = schema.is_treated(part).to_numpy()
        samples = samples.join(part[described])
        ranked = rank_mechanisms(probabilities[treated], self._prevalence, self._top, self._trust.cautions)
        ranked["strongest_features"] = ""
        ranked.loc[ranked["rank"] == 1, "strongest_features"] = strongest[treated]
        wells = known.reindex(columns=[COMPOUND, TREATMENT]).astype("string")
        tables = {
            PROBABILITIES: probabilities.astype(np.float32).reset_index(),
            RANKED: ranked,
            SAMPLES: samples.rename_axis(SIG_ID).reset_index(),
            WELLS: wells.assign(treated=treated).rename_axis(SIG_ID).reset_index(),
        }
        if explained:
            first, columns = part.index[:explained], list(mixed.columns)
            members = {name: table.loc[first, columns] for name, table in predictions.items()}
            tables[EXPLAINED] = packed(members, part.loc[first, list(schema.features)])
        return tables

    def _samples(
        self, part: pd.DataFrame, schema: Assay, compounds: pd.Series | None
    ) -> tuple[pd.DataFrame, np.ndarray]:
        """How familiar samples are, and the features of each that lie furthest from the training mean, in words."""
        samples = part[list(schema.control_columns)].copy()
        strongest = np.full(len(part), "", dtype=object)
        names = ["distance", "share_nearer", "unexplained", "share_better_explained"]
        samples[names] = np.nan
        if self._usual is not None:
            values = part[list(schema.values)].to_numpy(np.float64)
            samples[names[:2]] = self._usual.transform(values)
            if (unexplained := self._usual.unexplained(values)) is not None:
                samples[names[2:]] = unexplained
            strongest = strongest_features((values - self._usual.mean_) / self._usual.scale_, self._names)
        samples["right_at_distance"] = self._trust.right_at(samples["share_nearer"].fillna(0).to_numpy())
        samples["in_training"] = self._trust.in_training(part.index, compounds)
        # Controls need no warning: their predictions are always 0.
        treated = schema.is_treated(part).to_numpy()
        unusual = getattr(self._usual, "unusual_", UNUSUAL)  # which a fit of an earlier version lacks
        reasons = {FAR_AWAY: samples["share_nearer"].gt(FAR), MIXED: samples["share_better_explained"].gt(unusual)}
        found = [[words for words, rows in reasons.items() if rows.iloc[row]] for row in range(len(part))]
        samples["warning"] = np.where(treated, ["; ".join(each) for each in found], "")
        digits = dict.fromkeys(names, 4) | {"distance": 3, "right_at_distance": 3}
        return samples.round(digits), strongest


def predict_part(name: str, schema: Assay, predictor: PartPredictor, item: tuple[Part, bool, int]) -> FoundPart:
    """Check the rows of a part of the file of that name, and predict them.

    ``item`` is the part; whether to predict it (False: the file has an error already, and this part is only checked);
    and the number of its first rows that are explained.
    """
    part, wanted, explained = item
    parsed = parse_part(part, name, schema)
    rows = parsed.rows
    found = FoundPart([] if rows is None else list(rows.index), 0, parsed.problems, parsed.notes, parsed.unusual)
    if rows is None or not wanted:
        return found
    tables = predictor.predict(rows, schema, explained)
    far = int(tables[SAMPLES]["warning"].ne("").sum())
    return replace(found, far=far, tables={name: _packed(table) for name, table in tables.items()})


def strongest_features(deviations: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """The features of each sample that lie furthest from the training mean, in words, such as "HMOX1 +6.1".

    Deviations from the mean are in standard deviations, shape (rows, features); the text has the shape (rows,).
    """
    places = np.argsort(-np.abs(deviations), axis=1, kind="stable")[:, :STRONGEST]
    words = [
        ", ".join(f"{names[place]} {row[place]:+.1f}" for place in chosen)
        for row, chosen in zip(deviations, places, strict=True)
    ]
    return np.array(words, dtype=object)


class PartsFolder:
    """Finished parts beside the results, in a hidden folder of ``out``; each appears whole or not at all.

    ``work`` identifies weights, settings and the size of parts; parts of other work are removed.
    """

    def __init__(self, out: Path, work: str):
        self.out, self.path = Path(out), Path(out) / ".parts"
        known = self.path / "work.json"
        if self.path.exists() and not (known.exists() and read_json(known) == {"work": work}):
            shutil.rmtree(self.path)
        if not known.exists():
            write_json(known, {"work": work})

    def recall(self, part: Part) -> FoundPart | None:
        """A part that is there already, without its tables; None where there is none of the same rows."""
        folder = self._folder(part.number)
        if not (folder / _PART).exists():
            return None
        facts = read_json(folder / _PART)
        if facts["digest"] != part.digest:
            return None
        ids = pyarrow.parquet.read_table(folder / f"{SAMPLES}.parquet", columns=[SIG_ID])[SIG_ID].to_pylist()
        return FoundPart(ids, facts["far"])

    def write(self, part: Part, digest: str, found: FoundPart) -> None:
        """Keep a finished part."""
        folder = self._folder(part.number)
        shutil.rmtree(folder, ignore_errors=True)  # of other rows
        with replacing_folder(folder) as temporary:
            for name, content in found.tables.items():
                (temporary / f"{name}.parquet").write_bytes(content)
            write_json(temporary / _PART, {"digest": digest, "far": found.far})

    def explained(self, parts: Iterable[int], members: Sequence[str], most: int) -> Explained | None:
        """What the first ``most`` samples are explained from; None where nothing of it was kept."""
        folders = [folder for folder in map(self._folder, parts) if (folder / f"{EXPLAINED}.parquet").exists()]
        if not folders:
            return None

        def first(name: str) -> pd.DataFrame:
            files = (pyarrow.parquet.read_table(folder / f"{name}.parquet") for folder in folders)
            return pa.concat_tables(files).to_pandas()

        stored = first(EXPLAINED).iloc[:most]
        samples = first(SAMPLES).iloc[: len(stored)].set_index(SIG_ID)
        probabilities = first(PROBABILITIES).iloc[: len(stored)].set_index(SIG_ID)
        found, features = unpacked(stored.set_index(samples.index), members, list(probabilities))
        ranked = first(RANKED)
        strongest = ranked[ranked["rank"] == 1].set_index(SIG_ID)["strongest_features"]
        return Explained(samples, probabilities, found, features, strongest.reindex(samples.index).fillna(""))

    def wells(self, parts: Iterable[int]) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
        """The probabilities of treated samples, and their compounds and treatments, of one part after another."""
        for folder in map(self._folder, parts):
            known = pyarrow.parquet.read_table(folder / f"{WELLS}.parquet").to_pandas().set_index(SIG_ID)
            found = pyarrow.parquet.read_table(folder / f"{PROBABILITIES}.parquet").to_pandas().set_index(SIG_ID)
            rows = known.pop("treated").to_numpy()
            yield found[rows], known[rows].dropna(axis=1, how="all")

    def join(self, parts: Iterable[int], kind: Literal["csv", "parquet"]) -> list[str]:
        """Write the tables of all parts, in their order, and remove the parts; returns the names of the files."""
        parts = list(parts)
        with ExitStack() as stack:  # all files appear at the end
            names = [f"{table}.{kind}" for table in TABLES]
            for table, name in zip(TABLES, names, strict=True):
                file = stack.enter_context(stack.enter_context(replacing(self.out / name)).open("wb"))
                files = (self._folder(number) / f"{table}.parquet" for number in parts)
                (_join_csv if kind == "csv" else _join_parquet)(files, file)
        shutil.rmtree(self.path)
        return names

    def _folder(self, number: int) -> Path:
        return self.path / f"{number:06d}"


def _join_csv(files: Iterable[Path], file: BinaryIO) -> None:
    for number, path in enumerate(files):
        append_csv(file, pyarrow.parquet.read_table(path).to_pandas(), header=not number)


def _join_parquet(files: Iterable[Path], file: BinaryIO) -> None:
    writer = None
    try:
        for path in files:
            table = pyarrow.parquet.read_table(path)
            if writer is None:
                writer = pyarrow.parquet.ParquetWriter(file, table.schema, use_dictionary=_texts(table))
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def _packed(frame: pd.DataFrame) -> bytes:
    """A table as a parquet file; the columns have the same types in all parts, also where a part has no rows."""
    table = arrow_table(frame)
    for place, column in enumerate(table.schema):
        if pa.types.is_null(column.type) or pa.types.is_large_string(column.type):
            table = table.set_column(place, column.name, table[column.name].cast(pa.string()))
    sink = BytesIO()
    # Probabilities rarely repeat: dictionary encoding makes the file a third larger and twice as slow to write.
    pyarrow.parquet.write_table(table, sink, use_dictionary=_texts(table))
    return sink.getvalue()


def _texts(table: pa.Table) -> list[str]:
    return [column.name for column in table.schema if pa.types.is_string(column.type)]
