"""One job of an array: train one fold of a small two-stage model, as soon as all other jobs are ready too."""

import time
from pathlib import Path

from sklearn.decomposition import PCA

from moa.data.assay import COMPETITION
from moa.data.dataset import load_dataset
from moa.data.folds import Folds
from moa.data.schema import GENES
from moa.features.condition_steps import keep_treated
from moa.features.pipeline import FeaturePipeline, Step, drop, named
from moa.learners.perceptron.learner import MLPLearner
from moa.models.base import ModelConfig, Published, Recipe, Stage
from moa.training.runner import Runner
from moa.weights.selection import Selection
from moa.weights.trained import Trained


class Config(ModelConfig):
    folds: Folds = Folds(scheme="kfold", n_splits=2)
    learner: MLPLearner = MLPLearner(hidden=8, epochs=1)


def features():
    others = drop("others", lambda columns: [c for c in columns if c.startswith(("c", "g-")) and "pca" not in c])
    return FeaturePipeline([Step("pca", PCA(3, random_state=0), named(*GENES)), keep_treated(COMPETITION), others])


def from_first():
    others = drop("others", lambda columns: [c for c in columns if not c.startswith("first:")])
    return FeaturePipeline([keep_treated(COMPETITION), others])


def stages(config, schema):
    first = Stage("first", "scored", features, config.folds, (0,), config.learner)
    return first, Stage("second", "scored", from_first, config.folds, (0,), config.learner, uses=("first",))


MODEL = Recipe("toy", "Toy", Config(), stages, Published(0.1, 0.1, 0.1))


def train(weights, data, selection):
    return Runner(Trained(MODEL, Path(weights), Config()), profile="demo").train(
        load_dataset(Path(data), drugs=False, nonscored=False), selection
    )


def run(weights, data, fold, job, jobs):
    """Train a fold as job number ``job`` of ``jobs``."""
    ready = Path(weights).parent / "ready"
    ready.mkdir(parents=True, exist_ok=True)
    (ready / str(job)).touch()
    deadline = time.monotonic() + 300
    while len(list(ready.iterdir())) < jobs and time.monotonic() < deadline:
        time.sleep(0.01)
    train(weights, data, Selection(fold=fold))
