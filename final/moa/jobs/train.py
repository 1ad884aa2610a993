"""Train models on one data set."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from moa.data.dataset import Dataset, load_dataset
from moa.errors import UserError
from moa.learners.deepinsight.learner import CNNLearner
from moa.learners.runtime import Runtime
from moa.metrics import competition_log_loss, log_loss, prevalence_baseline
from moa.models.base import ModelConfig, Recipe
from moa.training.runner import Runner, Selection, needs, pick_device


def train_models(
    models: list[Recipe],
    data: Path,
    weights: Path,
    profile: str = "kaggle",
    device: str = "auto",
    selection: Selection | None = None,
    overlay: dict | None = None,
    runtime: Runtime | None = None,
) -> list[dict[str, str]]:
    """Train several models on one data set; returns a row of scores each.

    Args:
        runtime: how CNNs are trained: devices, precision, logs (a folder a model below the one given).

    Raises:
        UserError: a runtime for a model that is no CNN, or one that does not fit the device.
    """
    configs = {model.name: run_by(runtime, model, model.configure(profile, overlay)) for model in models}
    if runtime is not None:
        runtime.check(pick_device(device))
    wanted = [needs(model, configs[model.name]) for model in models]
    dataset = load_dataset(data, **{file: any(need[file] for need in wanted) for file in ("drugs", "nonscored")})
    rows = []
    for model in models:
        runner = Runner(model, weights, configs[model.name], pick_device(device), profile)
        predictions = runner.train(dataset, selection)
        rows.append(score_row(model, dataset, predictions.oof if predictions else None))
    return rows


def run_by(runtime: Runtime | None, model: Recipe, config: ModelConfig) -> ModelConfig:
    """The configuration with its CNN run as asked; settings as written to a manifest are the same."""
    if runtime is None:
        return config
    learner = getattr(config, "learner", None)
    if not isinstance(learner, CNNLearner):
        raise UserError(f"{model.name} is no CNN and takes no options of CNN training; train it without them")
    if isinstance(runtime.tensorboard, Path):
        runtime = runtime.model_copy(update={"tensorboard": runtime.tensorboard / model.name})
    return config.model_copy(update={"learner": learner.model_copy(update={"runtime": runtime})})


def score_row(model: Recipe, data: Dataset, oof: pd.DataFrame | None) -> dict[str, str]:
    """Scores of an OOF table in words: log loss of the rows covered, and of the per-target prevalence on them.

    None stands for no OOF yet: earlier stages alone are trained.
    """
    if oof is None:
        scores = ("treated rows", "all rows", "prevalence")
        published = f"{model.published.cv:.5f}"
        return {"model": model.title, **dict.fromkeys(scores, "–"), "rows covered": "0%", "published CV": published}
    y = data.scored.loc[oof.index]
    treated = data.treated.loc[oof.index]
    y_treated, oof_treated = y[treated], oof[treated]
    baseline = prevalence_baseline(data.scored[data.treated], y_treated.index)
    covered = len(y_treated) / int(data.treated.sum())
    whole = f"{competition_log_loss(data.scored, oof, data.treated):.5f}" if covered == 1 else "–"
    return {
        "model": model.title,
        "treated rows": f"{log_loss(y_treated, oof_treated):.5f}",
        "all rows": whole,
        "prevalence": f"{log_loss(y_treated, baseline):.5f}",
        "rows covered": f"{covered:.0%}",
        "published CV": f"{model.published.cv:.5f}",
    }
