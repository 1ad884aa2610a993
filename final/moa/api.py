"""The package as functions: ``import moa``, then ``moa.train``, ``moa.load``, ``moa.predict``, ``moa.score`` and more.

Folders default to those of the command line: data in ``data``, results in ``output/PROFILE`` below the working folder.
A model is given by name, as a blend ("best-lb", "best-cv" or a YAML file), or as a file of your own
(``my_model.py``). Mistakes raise ``moa.errors.UserError`` with one line that says what to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import numpy as np
import pandas as pd

from moa.blending.answers import pooled_answers, rank_mechanisms
from moa.blending.blend import BlendSpec, apply_blend
from moa.blending.catalogue import BLENDS, expand_models, plate_blend
from moa.blending.reliability import Reliability, reliability
from moa.data.assay import Assay
from moa.data.checks import check_features
from moa.data.dataset import read_features
from moa.data.parts import is_features_file
from moa.data.problems import Problems
from moa.data.schema import COMPOUND, SIG_ID
from moa.data.wells import TREATMENT
from moa.environment import Folders
from moa.errors import DataError, UserError
from moa.importing.annotated import AnnData, is_annotated
from moa.importing.options import ImportOptions
from moa.jobs.options import PlateOptions, TrainOptions
from moa.jobs.plate_exports import obs_columns
from moa.jobs.predict import trained_members
from moa.models.base import Recipe
from moa.models.own import load_recipes
from moa.models.registry import known_recipes, recipe, register
from moa.models.remarks import footnotes
from moa.weights.trained import Trained, open_trained

if TYPE_CHECKING:
    from moa.importing.folder import Imported
    from moa.importing.import_plates import Plan

#: A model: a name, a blend's name or file, a Python file of one's own, or a recipe.
ModelName = str | Path | Recipe
#: Rows of features, a file, or an AnnData object.
Features: TypeAlias = pd.DataFrame | Path | str | AnnData


class Model:
    """A trained model, or the trained members of a blend, ready to predict; ``moa.load`` makes it.

    Attributes:
        spec: its members and their weights; a single model is a blend of one.
        members: the trained members by name.
        reliability: how reliable the model was out of fold, in tables of one row for each target or training row; None
            for weights without labels.
    """

    def __init__(self, spec: BlendSpec, members: Mapping[str, Trained]):
        self.spec, self.members = spec, dict(members)

    def __repr__(self) -> str:
        return f"<moa.Model {self.spec.name}: {', '.join(self.members)}>"

    @property
    def _first(self) -> Trained:
        return next(iter(self.members.values()))

    @property
    def assay(self) -> Assay:
        """What the features must be: groups, conditions and controls."""
        return self._first.schema

    @property
    def targets(self) -> list[str]:
        """Names of the scored targets, in the order of the training file."""
        return self._first.targets

    @property
    def settings(self) -> dict[str, dict[str, Any]]:
        """The settings that each member was trained with, by name."""
        return {name: each.config.model_dump(mode="json") for name, each in self.members.items()}

    def predict(
        self,
        features: Features,
        quiet: bool = True,
        *,
        wells: Sequence[Path | str] = (),
        level: str | None = None,
        mapping: Path | str | None = None,
        fill_missing: float | None = None,
        raw: bool = False,
    ) -> pd.DataFrame:
        """Probabilities of all targets; nothing is fitted, so a row's result does not depend on the others.

        Args:
            features: rows as in ``test_features.csv``, in any order, with ``sig_id`` as a column or as the index, or
                the path of such a file; columns of the assay may come in any order. Or a laboratory's own plate, as
                ``moa predict --features`` takes it: the path of a file (GCT, GCTX, profiles, ``.h5ad``), or an AnnData
                object (whatever has ``X``, ``obs`` and ``var``).
            quiet: show no progress, and not what was guessed of a laboratory's plate.
            wells: plate maps to join to a laboratory's plate.
            level: what the plate holds, as for ``moa data import``; None: recognised by its values.
            mapping: a ``mapping.yaml``, or settings of one alone; None: how the training's plates were read.
            fill_missing: value of features that the plate lacks; None: such plates are refused.
            raw: as the members give them; outside of the competition they are calibrated otherwise.

        Returns:
            shape (rows, targets), indexed by sig_id in the order of the rows; control rows are exactly 0.

        Raises:
            DataError: lists what is wrong with the rows, by column and row.
            UserError: a laboratory's plate cannot be read, or lacks what the model takes.
        """
        options = PlateOptions(
            wells=tuple(map(Path, wells)), level=level, mapping=mapping and Path(mapping), fill_missing=fill_missing
        )
        rows = self._plate(features, options, quiet)
        rows = features_of(features, self.assay) if rows is None else rows
        return self._mixed({name: each.predict(rows, quiet, raw) for name, each in self.members.items()})

    def _plate(self, features: Features, options: PlateOptions, quiet: bool) -> pd.DataFrame | None:
        """A laboratory's own plate as rows of the model; None for a table or file of rows."""
        features = Path(features) if isinstance(features, str) else features
        if isinstance(features, pd.DataFrame) or (
            isinstance(features, Path) and is_features_file(features, self.assay)
        ):
            if options.of_laboratory:
                raise UserError(
                    "rows with sig_id: wells, level, mapping and fill_missing are for a laboratory's own plates"
                )
            return None
        from moa.jobs.plates import laboratory_rows, print_notes

        found = laboratory_rows(features, self._first, options)
        if not quiet:
            print_notes(found.notes)
        return features_of(found.features, self.assay)

    def oof(self, raw: bool = False) -> pd.DataFrame:
        """Out-of-fold predictions of the training rows that all members cover, shape (rows, targets).

        They are calibrated outside of the competition, each fold by what the other folds choose, unless ``raw``.
        """
        tables = {name: each.oof() if raw else each.calibrated_oof() for name, each in self.members.items()}
        rows = reduce(partial(pd.Index.intersection, sort=False), (table.index for table in tables.values()))
        return self._mixed({name: table.loc[rows] for name, table in tables.items()})

    @cached_property
    def reliability(self) -> Reliability | None:
        """How reliable the model was out of fold, by mechanism and by compound; None for weights without labels."""
        return reliability(self.spec, list(self.members.values()))

    @property
    def _prevalence(self) -> pd.Series | None:
        return next((found for each in self.members.values() if (found := each.prevalence()) is not None), None)

    @property
    def _cautions(self) -> pd.Series | None:
        return None if self.reliability is None else self.reliability.trust.cautions

    def ranked(self, predictions: pd.DataFrame, top: int = 10) -> pd.DataFrame:
        """The likeliest mechanisms of each row, as the table ``ranked`` of ``moa predict --features``.

        Args:
            predictions: as from ``predict``; rows of zeros, which are controls, are left out.
            top: mechanisms of a row.

        Returns:
            sig_id, rank from 1, moa, probability, times_prevalence, and caution: why the mechanism deserves less trust.
        """
        treated = predictions.to_numpy().any(axis=1)
        return rank_mechanisms(predictions[treated], self._prevalence, top, self._cautions)

    def obs(self, predictions: pd.DataFrame) -> pd.DataFrame:
        """Columns for ``obs`` of AnnData: ``adata.obs.join(model.obs(model.predict(adata)))``.

        ``predictions`` are as from ``predict``. The columns are moa_1, moa_1_probability, moa_1_caution, moa_2 and so
        on, empty for controls; indexed as ``predictions``.
        """
        return obs_columns(self.ranked(predictions), pd.DataFrame(index=predictions.index))

    def answers(
        self,
        predictions: pd.DataFrame,
        compounds: pd.Series | Sequence[str],
        treatments: pd.Series | Sequence[str] | None = None,
        top: int = 10,
    ) -> dict[str, pd.DataFrame]:
        """One answer for each compound and treatment, the mean of its wells' evidence; and compounds by mechanism.

        Wells that were in training, or whose compound was, are answered by the out-of-fold predictions.

        Args:
            predictions: as from ``predict``; rows of zeros, which are controls, are left out.
            compounds: of the rows, shape (rows,); a series by sig_id, or in the order of the rows.
            treatments: likewise, such as a compound at a dose; None: the compounds.
            top: mechanisms of a compound.

        Returns:
            the tables "compounds", "treatments" and "mechanisms", as ``moa predict --features`` writes them.

        Raises:
            UserError: there is not a compound or treatment for each row, or no row has one.
        """
        wells = pd.DataFrame(index=predictions.index)
        for name, values in ((COMPOUND, compounds), (TREATMENT, compounds if treatments is None else treatments)):
            if len(values) != len(predictions):
                raise UserError(f"{name}s: {len(values)} for {len(predictions)} rows of predictions")
            wells[name] = values.reindex(predictions.index) if isinstance(values, pd.Series) else list(values)
        treated = predictions.to_numpy().any(axis=1)
        found = pooled_answers([(predictions[treated], wells[treated])], self.reliability)
        if found is None:
            raise UserError("compounds: no treated row has one; give a name for each row")
        return found.tables(self._prevalence, top, self._cautions)

    def _mixed(self, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
        found = apply_blend(self.spec, tables, "renormalise") if len(tables) > 1 else tables[next(iter(tables))]
        return found.astype(np.float32)

    def history(self) -> pd.DataFrame:
        """Learning curves, one row per epoch: model, stage, seed, fold, epoch, train_loss, valid_loss and others."""
        parts = [each.history().assign(model=name) for name, each in self.members.items()]
        table = pd.concat(parts, ignore_index=True)
        return table[["model", *(column for column in table if column != "model")]]


def load(
    model: ModelName,
    weights: Path | str | None = None,
    *,
    profile: str | None = None,
    device: str = "auto",
    precision: str | None = None,
) -> Model:
    """Open a trained model, or the trained members of a blend.

    Args:
        model: its name ("simple-nn-old-cv"), a blend's name ("best-lb") or YAML file, or a file of your own
            ("my_model.py").
        weights: weights folder; None: ``output/PROFILE/weights``.
        profile: "kaggle" or "demo", for the default folder; None: as the command line finds it.
        device: "auto", "cpu" or "cuda".
        precision: of predictions, as in ``moa predict --precision``.

    Returns:
        the model. Members of a blend that are not trained are left out, and the other weights are scaled up.

    Raises:
        UserError: there is no such model, or nothing of it is trained.
    """
    runtime = PlateOptions(device=device, precision=precision).runtime
    folder = Folders.find(profile, weights=weights).weights
    spec = _spec(model)
    names = trained_members(spec, folder)[0] if len(spec.members) > 1 else [spec.members[0].model]
    return Model(spec, {name: open_trained(name, folder, runtime) for name in names})


def import_plates(
    files: Path | str | AnnData | Sequence[Path | str | AnnData], out: Path | str | None = None, **options: Any
) -> Imported | Plan:
    """Make a data folder of plates as they come from the laboratory, as ``moa data import`` does.

    Args:
        files: one or several plates of one assay: files of any format that the command takes, or AnnData objects
            (whatever has ``X``, ``obs`` and ``var``).
        out: folder to write, new or of an earlier import; None: nothing is written.
        options: as the options of the command and the settings of ``mapping.yaml`` are called, such as
            ``wells=["map.csv"]``, ``moa="hub.txt"``, ``features=["emb_*"]``, ``cell_line="Model"`` or
            ``least_compounds=5``.

    Returns:
        what was written: ``folder``, ``counts`` of wells, features and targets, ``mapping`` with the role of each
        column, and ``notes`` with what was guessed, dropped and set aside. Without ``out``, mapping and notes.

    Raises:
        UserError: a file is damaged, or an option does not fit it; one line with place and fix.
    """
    from moa.importing import import_plates as importing

    items: list[Path | str | AnnData] = []
    if isinstance(files, str | Path) or is_annotated(files):
        items.append(files)
    else:
        items.extend(cast(Sequence[Path | str | AnnData], files))
    several = ("wells", "features", "metadata")
    stated = {
        name: (value,) if name in several and isinstance(value, str | Path) else value
        for name, value in options.items()
    }
    chosen = ImportOptions(**stated)
    plates = [Path(item) if isinstance(item, str) else item for item in items]
    if out is None:
        return importing.plan_import(plates, chosen)
    return importing.import_plates(plates, Path(out), chosen)


def train(
    models: ModelName | Sequence[ModelName] | None = None,
    data: Path | str | None = None,
    weights: Path | str | None = None,
    *,
    profile: str | None = None,
    settings: Mapping[str, Any] | None = None,
    seeds: int | Sequence[int] | None = None,
    folds: int | None = None,
    fold: int | None = None,
    stage: str | None = None,
    groups: Sequence[str] | None = None,
    hold_out: str | None = None,
    parts: int | Literal["each"] | None = None,
    device: str = "auto",
    on: str | None = None,
) -> pd.DataFrame:
    """Train what is not trained yet; units that are finished are kept, and a run that was stopped continues.

    Args:
        models: one or several, each as for ``moa.load``; a blend stands for its members, "all" for all models.
            None: "any-assay", for other data than the competition's.
        data: folder of the data set; None: ``data``, or the demo's.
        weights: weights folder to fill; None: ``output/PROFILE/weights``.
        profile: "kaggle" (published settings) or "demo"; None: "kaggle" for any data but the demo's.
        settings: settings to change in every model, nested: ``{"learner": {"hidden": 1024}}``.
        seeds: only the first so many seeds, or those of the list; None: all.
        folds: only the first so many folds.
        fold: only this fold.
        stage: only this stage.
        groups: train on these feature groups alone, such as ["genes"]; None: all.
        hold_out: what folds hold out: "compound", columns such as "compound,week", or "rows", each model's own folds;
            None: "rows" for the competition's columns, else "compound".
        parts: with ``hold_out``, the number of parts that compounds are spread over, anew for each seed, or "each" for
            one part for each; None: as the model has folds.
        device: "auto", "cpu" or "cuda".
        on: where units run, as in ``moa train --on``; None: on this machine.

    Returns:
        one row per model, indexed by name: "title", the out-of-fold log losses "treated rows" and "all rows", that of
        predicting each target's "prevalence", the share of "rows covered", and the "published CV" where there is one,
        with "remarks" on what it contains. "as published" is the loss of our predictions that compare with it where
        these are not the out-of-fold ones: after phase 3 of the 2-heads nets, which leaks, or clipped. NaN where there
        is none, or where it is not known yet. Figures are not rounded.

    Raises:
        UserError: a model, file or setting is wrong; one line says which.
    """
    from moa.jobs.fitting import default_recipe
    from moa.jobs.train import train_models

    where = Folders.find(profile, data, weights=weights)
    models = default_recipe(where.data) if models is None else models
    several = [models] if isinstance(models, str | Path | Recipe) else models
    chosen = list({each.name: each for model in several for each in recipes_of(model)}.values())
    options = TrainOptions(
        settings=dict(settings or {}),
        seeds=seeds,
        folds=folds,
        fold=fold,
        stage=stage,
        groups=None if groups is None else tuple(groups),
        hold_out=hold_out,
        parts=parts,
        device=device,
        on=on,
    )
    found = {
        each.model.name: {
            "title": each.model.title,
            "treated rows": each.treated_rows,
            "all rows": each.all_rows,
            "prevalence": each.prevalence,
            "rows covered": each.covered,
            "as published": each.as_published,
            "published CV": each.model.published.cv if each.model.published else np.nan,
            "remarks": " ".join(footnotes([each.model])),
        }
        for each in train_models(chosen, where, options)
    }
    return pd.DataFrame.from_dict(found, orient="index").rename_axis("model")


def predict(
    features: Features,
    model: ModelName = "best-lb",
    weights: Path | str | None = None,
    *,
    profile: str | None = None,
    device: str = "auto",
    precision: str | None = None,
    quiet: bool = True,
    wells: Sequence[Path | str] = (),
    level: str | None = None,
    mapping: Path | str | None = None,
    fill_missing: float | None = None,
    raw: bool = False,
) -> pd.DataFrame:
    """Probabilities of all targets for new rows, by a trained model or blend.

    ``moa.load(model).predict(features)`` does the same, and opens the model once for several tables.

    Args:
        features: rows as in ``test_features.csv``, or a laboratory's own plate; see ``Model.predict``.
        model: as for ``moa.load``.
        weights: weights folder; None: ``output/PROFILE/weights``.
        profile: "kaggle" or "demo", for the default folder.
        device: "auto", "cpu" or "cuda".
        precision: as in ``moa predict --precision``.
        quiet: show no progress.
        wells: as for ``Model.predict``, like the three that follow.
        level: what a laboratory's plate holds.
        mapping: how it is read.
        fill_missing: value of features that it lacks.
        raw: probabilities as the model gives them; outside of the competition they are calibrated otherwise.

    Returns:
        shape (rows, targets), float32, indexed by sig_id in the order of the rows; control rows are exactly 0.

    Raises:
        DataError: lists what is wrong with the rows.
        UserError: nothing of the model is trained.
    """
    opened = load(model, weights, profile=profile, device=device, precision=precision)
    return opened.predict(
        features, quiet, wells=wells, level=level, mapping=mapping, fill_missing=fill_missing, raw=raw
    )


def score(
    predictions: ModelName | Sequence[ModelName] | pd.DataFrame | Mapping[str, pd.DataFrame],
    truth: pd.DataFrame | None = None,
    *,
    data: Path | str | None = None,
    weights: Path | str | None = None,
    profile: str | None = None,
    by: str = "well",
    baselines: bool = True,
) -> pd.DataFrame:
    """Measures of predictions, beside the field's baselines.

    Args:
        predictions: names of trained models or blends, whose out-of-fold predictions are scored on ``data``; or
            probabilities, shape (rows, targets), indexed by sig_id, one table or several by name.
        truth: 0/1 labels, shape (rows, targets), indexed by sig_id; needed where tables are given.
        data: folder of the data set, as in ``moa.train``; not used where ``truth`` is given.
        weights: weights folder, likewise.
        profile: "kaggle" or "demo", likewise.
        by: "well", "treatment", "compound", "target", "seed" or a column that is known of the rows, as in ``moa score
            --by``.
        baselines: add prevalence, cell count, nearest neighbours where the features are known, shuffled labels and
            exchanged profiles.

    Returns:
        one row per prediction and baseline, and per level of ``by``; columns as in ``moa.jobs.score.Scores.table``. A
        model's calibrated predictions stand before its raw ones.

    Raises:
        UserError: tables and labels share no row or target, or a model is not trained.
    """
    from moa.jobs.score import score as measure
    from moa.jobs.score_inputs import case_of_tables, read_models

    if isinstance(predictions, pd.DataFrame):
        predictions = {"predictions": predictions}
    if isinstance(predictions, Mapping):
        if truth is None:
            raise UserError("moa.score: give the labels of these predictions as truth=, shape (rows, targets)")
        case = case_of_tables(predictions, truth)
    else:
        several = [predictions] if isinstance(predictions, str | Path | Recipe) else list(predictions)
        names = [name if isinstance(name, str) else each.name for name in several for each in recipes_of(name)]
        where = Folders.find(profile, data, weights=weights)
        case = read_models(list(dict.fromkeys(names)), where.data, where.weights)
    return measure(case, by, baselines=baselines).table


def report(
    out: Path | str | None = None,
    *,
    data: Path | str | None = None,
    weights: Path | str | None = None,
    predictions: Path | str | None = None,
    profile: str | None = None,
    blends: Sequence[Path | str] = (),
) -> Path:
    """Write ``report.html``: scores and published ones, every mechanism, blends, drugs, CNN attributions, costs.

    Args:
        out: folder for the page; None: ``output/PROFILE``.
        data: folder of the data set; None: ``data``, or the demo's.
        weights: weights folder; None: ``output/PROFILE/weights``.
        predictions: folder that ``moa predict`` wrote; None: ``output/PROFILE/predictions``.
        profile: "kaggle" or "demo", for the default folders.
        blends: YAML files of further blends.

    Returns:
        the page.

    Raises:
        UserError: there is nothing to report on.
    """
    from moa.reporting.report import write_report

    where = Folders.find(profile, data, weights=weights, predictions=predictions, output=out)
    return write_report(
        where.data, where.weights, where.predictions, where.output, blends=[Path(path) for path in blends]
    )


def features_of(features: pd.DataFrame | Path | str, assay: Assay) -> pd.DataFrame:
    """Checked features of an assay: columns ``assay.features``, indexed by sig_id in the order given.

    ``features`` is a table with sig_id as a column or as the index, or the path of a file.

    Raises:
        DataError: lists the problems.
    """
    if not isinstance(features, pd.DataFrame):
        return read_features(Path(features), assay)
    if not len(features):
        raise DataError(["features: the table has no rows"])
    ids = features[SIG_ID] if SIG_ID in features.columns else features.index
    known = set(assay.features)
    rows = features[[column for column in features.columns if column in known]].reset_index(drop=True)
    table, problems = pd.concat([pd.Series(np.asarray(ids.astype(str)), name=SIG_ID), rows], axis=1), Problems()
    found = check_features("features", table, problems, assay)
    if problems:
        raise DataError(problems)
    return found


def _spec(model: ModelName) -> BlendSpec:
    """A model as a blend of one; a blend as it is."""
    if isinstance(model, str) and not model.endswith(".py"):
        return plate_blend(model)
    if isinstance(model, Path) and model.suffix in (".yaml", ".yml"):
        return plate_blend(str(model))
    found = recipes_of(model)
    if len(found) > 1:
        names = ", ".join(each.name for each in found)
        raise UserError(f"{model}: holds several models; after reading it, name one of them: {names}")
    return plate_blend(found[0].name)


def recipes_of(model: ModelName) -> list[Recipe]:
    """The recipes that a model's name stands for; those of a file and of a recipe are known by name afterwards."""
    if isinstance(model, Recipe):
        if model != known_recipes().get(model.name):
            register(model)
        return [model]
    if str(model).endswith(".py"):
        return load_recipes(model)
    if isinstance(model, Path) or (model not in BLENDS and str(model).endswith((".yaml", ".yml"))):
        return [recipe(member.model) for member in plate_blend(str(model)).members]
    return [recipe(name) for name in expand_models([model])]
