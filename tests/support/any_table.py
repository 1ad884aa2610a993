"""A model for a table of any numbers: standardised columns into a small perceptron."""

from functools import partial

from sklearn.preprocessing import StandardScaler

from moa.data.folds import Folds
from moa.features.pipeline import FeaturePipeline, Step, encode_conditions, keep_treated, named
from moa.learners.perceptron.learner import MLPLearner
from moa.models.base import ModelConfig, Recipe, Stage


class Config(ModelConfig):
    """Settings."""

    seeds: tuple[int, ...] = (0,)
    folds: Folds = Folds(scheme="kfold", n_splits=2)
    learner: MLPLearner = MLPLearner(hidden=32, epochs=40, batch_size=16, max_lr=0.03, dropout=(0.0, 0.0, 0.0))


def features(config, assay):
    """Standardised columns."""
    scale = Step("scale", StandardScaler(), named(*assay.values), "in place", fit_on="train")
    return FeaturePipeline([keep_treated(assay), scale, *encode_conditions(assay)])


def stages(config, assay):
    """One stage."""
    return (Stage("nn", "scored", partial(features, config, assay), config.folds, config.seeds, config.learner),)


RECIPE = Recipe("any-table", "Any table", Config(), stages)
