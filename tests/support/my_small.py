"""A model of one's own, in a file outside of the package: small, and trained in a second."""

from functools import partial

from sklearn.decomposition import PCA

from moa.data.folds import Folds
from moa.features.pipeline import FeaturePipeline, Step, drop, keep_treated, named
from moa.learners.perceptron.learner import MLPLearner
from moa.models.base import ModelConfig, Recipe, Stage


class Config(ModelConfig):
    seeds: tuple[int, ...] = (0,)
    folds: Folds = Folds(scheme="kfold", n_splits=2)
    learner: MLPLearner = MLPLearner(hidden=8, epochs=1, batch_size=32)
    components: int = 5


def features(config, schema):
    return FeaturePipeline(
        [
            keep_treated(schema),
            drop("conditions", named(*schema.condition_columns)),
            Step("pc", PCA(config.components, random_state=0), named(*schema.values), "replace", fit_on="train"),
        ]
    )


def stages(config, schema):
    return (Stage("nn", "scored", partial(features, config, schema), config.folds, config.seeds, config.learner),)


RECIPES = [Recipe("my-small", "My small model", Config(), stages, published=None)]
