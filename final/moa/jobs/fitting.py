"""Fit recipes to a data set: its size, what it has and lacks, and the folds that hold out its compounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from moa.data.assay import Assay
from moa.data.assay_files import load_assay
from moa.data.dataset import Dataset
from moa.data.holdout import HoldOut
from moa.data.schema import COMPOUND, TRAIN_DRUG
from moa.errors import UserError
from moa.learners.runtime import Runtime
from moa.models.any_assay import NAME as ANY_ASSAY
from moa.models.base import DataFacts, ModelConfig, Recipe, needs_of
from moa.models.registry import recipe
from moa.progress import console
from moa.weights.trained import Trained


@dataclass(frozen=True)
class FittedModel:
    """A recipe as it is trained on a data set."""

    model: Recipe
    config: ModelConfig  # its settings for the data
    hold_out: HoldOut | None  # the folds that hold out whole compounds; None: the recipe's own

    def trained(self, weights: Path, schema: Assay, runtime: Runtime) -> Trained:
        """What is stored of it in a weights folder."""
        return Trained(self.model, weights, self.config, schema, runtime, self.hold_out)


def default_recipe(data: Path) -> Recipe:
    """The model that is trained on a data folder where none is named.

    Raises:
        UserError: the data are the competition's, whose ten models have no default.
    """
    if load_assay(data).of_competition:
        raise UserError("name models or blends, 'all', or a file of your own: --recipe FILE")
    return recipe(ANY_ASSAY)


def held_columns(hold_out: str | None, schema: Assay) -> tuple[str, ...]:
    """The columns that folds hold out by an option ``--hold-out``; none for the recipes' own folds."""
    if hold_out == "rows" or (hold_out is None and (schema.of_competition or not schema.compound)):
        return ()
    return tuple(part.strip() for part in (hold_out or COMPOUND).split(","))


def refuse_row_folds(hold_out: str | None, schema: Assay) -> None:
    """Refuse folds over rows that nobody asked for: with unknown compounds a compound would be in several folds.

    Raises:
        UserError: says how compounds are named, and how row folds are asked for.
    """
    if hold_out is None and not schema.of_competition and not schema.compound:
        raise UserError(
            f"the data name no compounds ({TRAIN_DRUG}), so wells of one compound would be in several folds and scores "
            "would be too good: import with --compound COLUMN, or train with --hold-out plate (or rows, if each row is "
            "a compound of its own)"
        )


def fit_models(
    models: Sequence[Recipe],
    configs: Mapping[str, ModelConfig],
    data: Dataset,
    columns: tuple[str, ...] = (),
    parts: int | Literal["each"] | None = None,
    quiet: bool = False,
) -> dict[str, FittedModel]:
    """The models that can be trained on a data set, by name; prints what is changed for the data, and who cannot.

    ``configs`` are the settings asked for, by name; ``columns`` is what folds hold out, see ``held_columns``, and
    ``parts`` is as in ``moa.jobs.options.TrainOptions``. With ``quiet``, what is changed is not printed.

    Raises:
        UserError: no model can be trained; says why.
    """
    fitted, refused = {}, []
    for model in models:
        scheme = None
        try:
            config, notes = model.fit_to(configs[model.name], facts_of(model, data, bool(columns)))
            if columns:
                own = model.stages(config, data.schema)[-1].folds.n_splits
                scheme = HoldOut.of(columns, None if parts == "each" else parts or own, data)
            _check(model, config, data, scheme)
        except UserError as error:
            refused.append(f"{model.name}: {error}")
            continue
        for note in () if quiet else notes:
            console.print(f"[yellow]{note}[/yellow]", highlight=False, soft_wrap=True)
        fitted[model.name] = FittedModel(model, config, scheme)
    if not fitted:
        raise UserError(*refused)
    for reason in refused:
        console.print(f"[yellow]left out: {reason}[/yellow]", highlight=False, soft_wrap=True)
    return fitted


def facts_of(model: Recipe, data: Dataset, held_out: bool = False) -> DataFacts:
    """What of a data set a model's settings depend on; ``held_out``: its folds hold out whole compounds."""
    rows = len(data.features) if model.rows == "all" else int(data.treated.sum())
    nonscored = data.schema.n_nonscored != 0 and (data.nonscored is None or bool(data.nonscored.to_numpy().any()))
    compounds = None if data.drugs is None else data.drugs[data.treated].nunique()
    blind = held_out or not data.schema.of_competition
    controls = int((~data.treated).sum())
    return DataFacts(data.schema, rows, nonscored, blind, compounds, data.scored.shape[1], controls)


def _check(model: Recipe, config: ModelConfig, data: Dataset, scheme: HoldOut | None) -> None:
    """Check that a model finds what it needs.

    Raises:
        UserError: names what is missing, and what to do.
    """
    if scheme is None and data.drugs is None and needs_of(model.stages(config, data.schema))["drugs"]:
        raise UserError(f"its folds keep compounds together, and the data do not name them ({TRAIN_DRUG})")
    for group in data.schema.groups:
        if len(group.columns) < model.least_columns:
            others = ",".join(each.name for each in data.schema.groups if len(each.columns) >= model.least_columns)
            fix = f"; leave it out: --groups {others}" if others else ""
            raise UserError(
                f"its row statistics need {model.least_columns} columns of each feature group, and '{group.name}' has "
                f"{len(group.columns)}{fix}"
            )
