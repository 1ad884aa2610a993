"""Recipes for any assay: profiles of treatments, sphered on controls; regression, neighbours, and their blend.

They are for the plates of a laboratory, which have hundreds of wells and few compounds for each mechanism. Source: the
practice of the field (sphering on controls, nearest neighbours, regularised regression), not the winners' write-up.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from moa.data.assay import Assay
from moa.data.folds import Folds
from moa.errors import UserError
from moa.features.pipeline import LEAST_CONTROLS, FeaturePipeline, FitOn, Step, drop, named, starting
from moa.features.profile_steps import profile_steps
from moa.learners.profiles.learner import ProfileLearner
from moa.models.base import DataFacts, ModelConfig, Recipe, Stage

NAME = "any-assay"


class ProfileConfig(ModelConfig):
    """Settings of a profile recipe.

    Attributes:
        seeds: of the parts of the compounds, and of the inner folds.
        folds: where compounds are not known.
        learner: what is compared, and what predicts.
        reference: rows that features are standardised and sphered on: controls, once for all folds; or a fold's
            training rows, which is the choice where there are fewer than six controls.
    """

    seeds: tuple[int, ...] = (940, 1513, 1269)
    folds: Folds = Folds(scheme="multilabel", n_splits=5, seed=None, shuffle=True)
    learner: ProfileLearner = ProfileLearner()
    reference: Literal["controls", "training rows"] = "controls"


def features(config: ProfileConfig, schema: Assay) -> FeaturePipeline:
    """Coordinates of profiles along the controls' principal axes; without controls the profiles as they are.

    Conditions are left out.
    """
    steps = [drop("conditions", named(*schema.control_columns, *schema.condition_columns))]
    return FeaturePipeline(steps + (_axes(schema, "controls") if config.reference == "controls" else []))


def unit_features(schema: Assay, seed: int) -> FeaturePipeline:
    """Coordinates along the principal axes of a fold's training rows; nothing is drawn, so ``seed`` has no effect."""
    del seed
    return FeaturePipeline(_axes(schema, "train"))


def _axes(schema: Assay, fit_on: FitOn) -> list[Step]:
    from moa.features import Sphering

    axes = Step("axes", Sphering(), starting(""), "replace", fit_on=fit_on, own_names=True)
    return [*profile_steps(schema, fit_on), axes]


def stages(config: ProfileConfig, schema: Assay) -> tuple[Stage, ...]:
    """One stage on the scored targets."""
    inside = partial(unit_features, schema) if config.reference == "training rows" else None
    return (
        Stage(
            "profiles",
            "scored",
            partial(features, config, schema),
            config.folds,
            config.seeds,
            config.learner,
            unit_features=inside,
        ),
    )


def adapt(config: ProfileConfig, facts: DataFacts) -> tuple[ProfileConfig, list[str]]:
    """What features are measured against; the competition is left to the winners' models.

    Raises:
        UserError: the data are the competition's.
    """
    if facts.assay.of_competition:
        raise UserError("is for other assays than the competition's; train one of its models: moa models lists them")
    if config.reference == "controls" and facts.controls < LEAST_CONTROLS:
        changed = config.model_copy(update={"reference": "training rows"})
        found = f"{facts.controls} controls" if facts.controls else "no controls"
        return changed, [f"{found}, so features are standardised and sphered on the training rows of each fold"]
    return config, []


def _recipe(name: str, title: str, *members: Literal["regression", "neighbours"]) -> Recipe:
    config = ProfileConfig(learner=ProfileLearner(members=members))
    return Recipe(name, title, config, stages, rows="all", adapt=adapt, version=1)


ANY_ASSAY = (
    _recipe(NAME, "Any assay: regression and neighbours", "regression", "neighbours"),
    _recipe("profile-logistic", "Softmax regression on sphered profiles", "regression"),
    _recipe("profile-neighbours", "Nearest neighbours of sphered profiles", "neighbours"),
)
