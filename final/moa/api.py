"""The package as functions: ``import moa``, then ``moa.train``, ``moa.load``, ``moa.predict``, ``moa.score`` and more.

Folders default to those of the command line: data in ``data``, results in ``output/PROFILE`` below the working folder.
A model is given by name, as a blend ("best-lb", "best-cv" or a YAML file), or as a file of your own
(``my_model.py``). Mistakes raise ``moa.errors.UserError`` with one line that says what to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import pandas as pd

from moa.blending.blend import BlendSpec
from moa.blending.catalogue import BLENDS, expand_models, plate_blend
from moa.environment import Folders
from moa.errors import UserError
from moa.importing.annotated import AnnData, is_annotated
from moa.importing.options import ImportOptions
from moa.jobs.options import PlateOptions, TrainOptions
from moa.jobs.predict import trained_members
from moa.loaded import Features, Model
from moa.models.base import Recipe
from moa.models.own import load_recipes
from moa.models.registry import known_recipes, recipe, register
from moa.models.remarks import footnotes
from moa.weights.trained import open_trained

if TYPE_CHECKING:
    from moa.importing.folder import Imported
    from moa.importing.import_plates import Plan

#: A model: a name, a blend's name or file, a Python file of one's own, or a recipe.
ModelName = str | Path | Recipe


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
