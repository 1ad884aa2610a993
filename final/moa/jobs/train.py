"""Train models on one data set."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from moa.data.dataset import Dataset, load_dataset
from moa.data.schema import COMPETITION
from moa.errors import UserError
from moa.files import ensure_writable
from moa.learners.runtime import Runtime
from moa.metrics import competition_log_loss, log_loss, prevalence_baseline
from moa.models.base import ModelConfig, Recipe
from moa.training.runner import Runner
from moa.training.selection import Selection


def train_models(
    models: list[Recipe],
    data: Path,
    weights: Path,
    profile: str = "kaggle",
    selection: Selection | None = None,
    overlay: dict | None = None,
    runtime: Runtime | None = None,
) -> list[dict[str, str]]:
    """Train several models on one data set.

    Args:
        models: the recipes.
        data: folder of the data set.
        weights: weights folder; units that are finished there are kept.
        profile: "kaggle" (published settings) or "demo".
        selection: which units; None: all.
        overlay: nested mapping of settings to replace in every model's configuration.
        runtime: how units are run; None: ``Runtime.of()``. TensorBoard logs get one folder per model.

    Returns:
        a row of scores per model, see ``score_row``.

    Raises:
        UserError: the runtime has options that a model's training does not take.
    """
    ensure_writable(Path(weights))
    runtime = runtime or Runtime.of()
    configs = {model.name: model.configure(profile, overlay) for model in models}
    runtimes = {model.name: _training_runtime(runtime, model, configs[model.name]) for model in models}
    needs = [model.needs(configs[model.name]) for model in models]
    dataset = load_dataset(data, **{file: any(need[file] for need in needs) for file in ("drugs", "nonscored")})
    rows = []
    for model in models:
        config = configs[model.name]
        runner = Runner(model, weights, config, runtimes[model.name], profile, dataset.schema)
        predictions = runner.train(dataset, selection)
        rows.append(score_row(model, dataset, predictions.oof if predictions else None))
    return rows


def _training_runtime(runtime: Runtime, model: Recipe, config: ModelConfig) -> Runtime:
    """The runtime of one model; refuses options of CNN training for other models."""
    given = {name for name in runtime.model_fields_set if name != "device"}
    if any(given - stage.learner.training_options for stage in model.stages(config, COMPETITION)):
        raise UserError(f"{model.name} is no CNN and takes no options of CNN training; train it without them")
    if isinstance(runtime.tensorboard, Path):
        return runtime.replace(tensorboard=runtime.tensorboard / model.name)
    return runtime


def score_row(model: Recipe, data: Dataset, oof: pd.DataFrame | None) -> dict[str, str]:
    """Scores of an OOF table as text: log loss of the rows covered, and that of predicting each target's prevalence.

    "OOF, same rows" is the figure to compare with the published CV beside it: over treated rows, or, where the winners'
    CV counts all rows, over all of them with controls predicted 0, once all treated rows are covered.

    Args:
        model: the recipe.
        data: the data set.
        oof: out-of-fold predictions; None where only earlier stages are trained.
    """
    scores = dict.fromkeys(("treated rows", "all rows", "prevalence"), "–") | {"rows covered": "0%"}
    if oof is not None:
        y = data.scored.loc[oof.index]
        treated = data.treated.loc[oof.index]
        y_treated, oof_treated = y[treated], oof[treated]
        covered = len(y_treated) / int(data.treated.sum())
        scores["treated rows"] = f"{log_loss(y_treated, oof_treated):.5f}"
        if covered == 1:
            scores["all rows"] = f"{competition_log_loss(data.scored, oof, data.treated):.5f}"
        baseline = prevalence_baseline(data.scored[data.treated], y_treated.index)
        scores["prevalence"] = f"{log_loss(y_treated, baseline):.5f}"
        scores["rows covered"] = f"{covered:.0%}"
    same = scores[f"{model.cv_rows} rows"]
    return {"model": model.title, **scores, "OOF, same rows": same, "published CV": model.cv_text}
