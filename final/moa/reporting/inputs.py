"""The inputs of a report: the data, and for each model its predictions and what is known about its training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from moa.blending.blend import BlendSpec, load_blend
from moa.blending.catalogue import BLENDS
from moa.data.assay import Assay
from moa.data.dataset import Dataset, load_dataset
from moa.data.holdout import HoldOut
from moa.data.input_tables import find_table, has_table
from moa.data.schema import SIG_ID, TEST_FEATURES, TRAIN_DRUG, TRAIN_SCORED, WELLS
from moa.data.stored_tables import read_table
from moa.data.synthetic import TRUTH, is_synthetic
from moa.data.wells import describe_rows, read_wells
from moa.errors import UserError
from moa.models.base import Recipe, Stage
from moa.models.registry import recipes
from moa.weights.layout import WeightsFolder
from moa.weights.records import ManifestRecord
from moa.weights.store import ModelStore
from moa.weights.stored_model import stages_of

#: Columns that a row of a learning curve needs.
CURVE = {"epoch", "train_loss", "valid_loss"}


class Difference(NamedTuple):
    """A setting that differs from the published one."""

    setting: str
    used: Any
    published: Any


@dataclass
class ModelResult:
    """One model.

    Attributes:
        name: as used on the command line.
        title: as shown in tables.
        recipe: None if this package does not know the model.
        oof: probabilities, shape (training rows covered, targets); None if there is no file.
        test: probabilities, shape (test rows, targets); None if there is no file.
        variants: further OOF predictions besides the honest ones, by name.
        manifest: of the trained weights; None if there are none.
        units: one row per finished unit: stage, seed, fold, seconds, device.
        history: learning curves: stage, seed, fold, epoch, train_loss, valid_loss.
        folds: of each row by seed, in the last stage; None if no fold of it is finished.
        stages: of the trained settings; empty if they are not known.
    """

    name: str
    title: str
    recipe: Recipe | None = None
    oof: pd.DataFrame | None = None
    test: pd.DataFrame | None = None
    variants: dict[str, pd.DataFrame] = field(default_factory=dict)
    manifest: ManifestRecord | None = None
    units: pd.DataFrame = field(default_factory=pd.DataFrame)
    history: pd.DataFrame = field(default_factory=pd.DataFrame)
    stages: tuple[Stage, ...] = ()
    folds: pd.DataFrame | None = None

    @property
    def differences(self) -> list[Difference]:
        """Settings that differ from the published ones."""
        if self.recipe is None or self.manifest is None or self.manifest.settings is None:
            return []
        return list(_differences(self.manifest.settings, self.recipe.config.model_dump(mode="json")))


@dataclass(frozen=True)
class Inputs:
    """Everything that the sections read.

    Attributes:
        data: the competition's data.
        weights: folder of trained weights; may be missing.
        synthetic: whether the data were made by ``moa data synthesize``.
        truth: 0/1 targets of the test rows, if a synthetic data set has them.
        known: compound, dose, plate, treatment and others of the training rows, as far as they are known.
        models: those with predictions, in the order of the recipes.
        blends: the published blends, and those that were given or found.
    """

    data: Dataset
    weights: Path
    synthetic: bool
    truth: pd.DataFrame | None
    known: pd.DataFrame
    models: dict[str, ModelResult]
    blends: dict[str, BlendSpec]


def collect(data: Path, weights: Path, predictions: Path, blends: Sequence[Path] = ()) -> Inputs:
    """Read all inputs.

    Args:
        data: folder of the competition's files.
        weights: folder of trained weights; models without any have no learning curves and costs.
        predictions: folder with ``<model>/oof.parquet`` and ``<model>/test.parquet`` as ``moa predict`` writes them,
            of any models and any part of their rows; YAML files of blends in it are included.
        blends: YAML files of further blends.

    Raises:
        UserError: there are no OOF predictions, their rows or targets are not those of the data, or two blends have the
            same name.
    """
    oofs, tests = ({path.parent.name for path in predictions.glob(f"*/{kind}.parquet")} for kind in ("oof", "test"))
    if not oofs:
        raise UserError(f"{predictions}: holds no <model>/oof.parquet; run `moa predict all --out {predictions}` first")
    dataset = load_dataset(data, drugs=has_table(data, TRAIN_DRUG), nonscored=False)
    known, found = recipes(), oofs | tests
    order = [*(name for name in known if name in found), *sorted(found - set(known))]
    models = {name: _model(name, known.get(name), dataset, weights, predictions / name) for name in order}
    synthetic = is_synthetic(data)
    truth = _truth(data / TRUTH, dataset) if synthetic else None
    specs = _blends([*blends, *sorted(predictions.glob("*.yaml"))])
    wells = read_wells(find_table(data, WELLS)) if has_table(data, WELLS) else None
    rows = describe_rows(dataset.features, dataset.schema, dataset.drugs, wells)
    return Inputs(dataset, weights, synthetic, truth, rows, models, specs)


def _blends(further: Sequence[Path]) -> dict[str, BlendSpec]:
    found = {name: load_blend(path) for name, path in BLENDS.items() if path.is_file()}
    for path in dict.fromkeys(path.resolve() for path in further):
        spec = load_blend(path)
        if spec.name in found:
            raise UserError(f"{path}: there is another blend named {spec.name}; change the name in the file")
        found[spec.name] = spec
    return found


def _truth(path: Path, data: Dataset) -> pd.DataFrame | None:
    if not path.exists():
        return None
    table = pd.read_csv(path, index_col=SIG_ID)
    return _fitting(table, data.test.index, data.scored.columns, path, TEST_FEATURES).reindex(data.test.index)


def _model(name: str, recipe: Recipe | None, data: Dataset, weights: Path, folder: Path) -> ModelResult:
    result = ModelResult(name, recipe.title if recipe else name, recipe)
    targets = data.scored.columns
    if (path := folder / "oof.parquet").exists():
        result.oof = _fitting(read_table(path), data.scored.index, targets, path, TRAIN_SCORED)
    if (path := folder / "test.parquet").exists():
        result.test = _fitting(read_table(path), data.test.index, targets, path, TEST_FEATURES)
        lost = data.test.index[data.test_treated].difference(result.test.index)
        if len(lost):
            raise UserError(
                f"{path}: {len(lost)} treated test rows are missing, the first is {lost[0]!r}; predict again"
            )
    if WeightsFolder(weights).has(name):
        store = ModelStore(weights, name)
        result.manifest = store.manifest()
        result.stages = _stages(recipe, result.manifest, data.schema)
        _read_units(result, store, data)
    return result


def _fitting(table: pd.DataFrame, rows: pd.Index, columns: pd.Index, path: Path, source: str) -> pd.DataFrame:
    """The table with its columns in the order of the data; raises an error if its rows or targets are unknown."""
    unknown = {f"row of {source}": table.index.difference(rows), "scored target": table.columns.difference(columns)}
    for kind, labels in unknown.items():
        if len(labels):
            raise UserError(f"{path}: {labels[0]!r} is no {kind}; these predictions are of other data")
    lost = columns.difference(table.columns)
    if len(lost):
        raise UserError(f"{path}: column {lost[0]!r} is missing; predict again")
    if not table.index.is_unique:
        raise UserError(f"{path}: row {table.index[table.index.duplicated()][0]!r} is there twice; predict again")
    if not len(table):
        raise UserError(f"{path}: holds no rows; predict again")
    return table[list(columns)]


def _read_units(result: ModelResult, store: ModelStore, data: Dataset) -> None:
    """Costs, learning curves and variants of the finished units of a model."""
    units, curves = [], []
    variants: dict[str, list[pd.DataFrame]] = {}
    order = {stage.name: number for number, stage in enumerate(result.stages)}
    for key in sorted(store.layout.units(), key=lambda key: (order.get(key.stage, len(order)), key)):
        facts = store.unit_facts(*key)
        units.append({**key._asdict(), "seconds": facts.seconds, "device": facts.device})
        curves += [{**key._asdict(), **row} for row in facts.history if set(row) >= CURVE]
        for name in facts.variants:
            table = store.load_oof(*key, variant=name)
            if set(table.columns) == set(data.scored.columns):
                variants.setdefault(name, []).append(table)
    result.units, result.history = pd.DataFrame(units), pd.DataFrame(curves)
    last = result.stages[-1].name if result.stages else None
    finished = [(key.seed, key.fold) for key in store.layout.units() if key.stage == last]
    result.folds = store.held_out_folds(last, finished) if last and finished else None
    for name, parts in variants.items():
        table = pd.concat(parts).groupby(level=0, sort=True).mean()
        result.variants[name] = _fitting(table, data.scored.index, data.scored.columns, store.layout.path, TRAIN_SCORED)


def _stages(recipe: Recipe | None, manifest: ManifestRecord, schema: Assay) -> tuple[Stage, ...]:
    """The stages of the trained settings; empty if they are not known."""
    if recipe is None or manifest.settings is None:
        return ()
    try:
        config = type(recipe.config).model_validate(manifest.settings)
        schema = Assay.model_validate(manifest.data_schema) if manifest.data_schema else schema
        hold_out = HoldOut.model_validate(manifest.hold_out) if manifest.hold_out else None
        return stages_of(recipe, config, schema, hold_out)
    except ValueError:  # settings of another version of the package
        return ()


def _differences(used: Any, published: Any, setting: str = "") -> Iterator[Difference]:
    if isinstance(used, dict) and isinstance(published, dict):
        for name in dict.fromkeys([*published, *used]):
            yield from _differences(used.get(name), published.get(name), f"{setting}.{name}" if setting else name)
    elif used != published:
        yield Difference(setting, used, published)
