"""Train models on one data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any, Literal, TypeVar

import pandas as pd

from moa.data.assay import COMPETITION
from moa.data.assay_files import load_assay
from moa.data.dataset import Dataset, load_dataset
from moa.data.schema import COMPOUND
from moa.errors import UserError
from moa.files import ensure_writable
from moa.jobs.fitting import fit_models, held_columns
from moa.learners.runtime import Runtime
from moa.metrics.losses import competition_log_loss, log_loss, prevalence_baseline
from moa.metrics.ranking import MEASURES, measures
from moa.models.base import ModelConfig, Recipe
from moa.progress import progress
from moa.training.executors import LocalExecutor, UnitExecutor
from moa.training.runner import Runner
from moa.training.unit import UnitsFailed
from moa.training.unit_progress import Board, Watch
from moa.weights.selection import Selection

#: The measures of a row of scores besides log loss, by name, and their headings.
RANKING = {name: heading for name, heading in MEASURES.items() if name not in ("log_loss", "accuracy")}
T, R = TypeVar("T"), TypeVar("R")
#: Seconds that an interrupted run waits for each model's thread to store what has come.
_PATIENCE = 5


def train_models(
    models: list[Recipe],
    data: Path,
    weights: Path,
    profile: str = "kaggle",
    selection: Selection | None = None,
    overlay: dict | None = None,
    runtime: Runtime | None = None,
    executor: UnitExecutor | None = None,
    groups: Sequence[str] | None = None,
    hold_out: str | None = None,
    parts: int | Literal["each"] | None = None,
) -> list[dict[str, str]]:
    """Train several models on one data set: one after another on this machine, at the same time on a cluster.

    Args:
        models: the recipes.
        data: folder of the data set.
        weights: weights folder; units that are finished there are kept.
        profile: "kaggle" (published settings) or "demo".
        selection: which units; None: all.
        overlay: nested mapping of settings to replace in every model's configuration.
        runtime: how units are run; None: ``Runtime.of()``. TensorBoard logs get one folder per model.
        executor: where units are run, see ``moa.training.machines.open_executor``; None: on this machine.
        groups: names of the feature groups to train on; None: all.
        hold_out: what the folds hold out: "compound", columns with commas between them, or "rows" for each recipe's own
            folds; None: the recipe's own for the competition's data, compounds for any other whose compounds are known.
        parts: with ``hold_out``, the number of parts that the compounds are spread over, anew for each seed, or "each"
            for each in turn; None: as many as the recipe has folds.

    Returns:
        a row of scores per model, see ``score_row``; models that cannot be trained on these data are left out with a
        note, unless all are.

    Raises:
        UserError: the runtime has options that a model's training does not take.
        TrainingIncomplete: units failed on a cluster; those that do not need them are finished.
    """
    ensure_writable(Path(weights))
    runtime = runtime or Runtime.of()
    configs = {model.name: model.configure(profile, overlay) for model in models}
    runtimes = {model.name: _training_runtime(runtime, model, configs[model.name]) for model in models}
    schema = load_assay(data)
    schema = schema.only(groups) if groups else schema
    columns = held_columns(hold_out, schema)
    needs = [model.needs(configs[model.name], schema) for model in models]
    known = schema.compound or schema.of_competition
    drugs = COMPOUND in columns or (not columns and known and any(need["drugs"] for need in needs))
    dataset = load_dataset(data, drugs, any(need["nonscored"] for need in needs), schema)
    plans = fit_models(models, configs, dataset, columns, parts)
    models = [plan.model for plan in plans.values()]
    executor = executor or LocalExecutor()

    def runner(model: Recipe, watch: Watch | None = None) -> Runner:
        plan, options = plans[model.name], runtimes[model.name]
        return Runner(model, weights, plan.config, options, profile, schema, executor, watch, plan.hold_out)

    def train(each: Runner) -> dict[str, str]:
        predictions = each.train(dataset, selection)
        return score_row(each.model, dataset, predictions.oof if predictions else None)

    if not executor.several:
        return [train(runner(model)) for model in models]
    runners = [runner(model) for model in models]
    total, done = (sum(counts) for counts in zip(*(each.count(selection) for each in runners), strict=True))
    with progress("units", total, done=done) as bar:
        board = Board(bar, done)
        for each in runners:
            each.watch = board
        found = side_by_side(train, runners, executor)
    rows = [row for row in found if not isinstance(row, UnitsFailed)]
    if len(rows) < len(models):
        names = [model.name for model, row in zip(models, found, strict=True) if isinstance(row, UnitsFailed)]
        raise TrainingIncomplete(board.failed, names, rows)
    return rows


class TrainingIncomplete(UserError):
    """Some units failed on a cluster.

    Attributes:
        rows: scores of the models that are finished.
    """

    exit_code = 1

    def __init__(self, failed: int, models: list[str], rows: list[dict[str, str]]):
        self.rows = rows
        super().__init__(
            f"{failed} units failed, so {', '.join(models)} are not finished; what is finished is kept, run the same "
            "command again to go on"
        )


def side_by_side(work: Callable[[T], R], items: Sequence[T], executor: UnitExecutor) -> list[R | UnitsFailed]:
    """``work`` of each item, in a thread each.

    Where one has failed for another reason than a failed unit, or the user interrupts, what runs is given up at once.

    Args:
        work: gives units to the executor.
        items: what to work on.
        executor: takes units from several threads.

    Returns:
        the results in order; in the place of those with failed units, the error.
    """
    found: list[Any] = [None] * len(items)
    ended: Queue[BaseException | None] = Queue()

    def run(number: int) -> None:
        try:
            found[number] = work(items[number])
        except UnitsFailed as error:
            found[number] = error
        except BaseException as error:
            ended.put(error)
            return
        ended.put(None)

    threads = [Thread(target=run, args=(number,), daemon=True) for number in range(len(items))]
    for thread in threads:
        thread.start()
    try:
        for _ in threads:
            if (error := ended.get()) is not None:
                raise error
    except BaseException:
        executor.stop()
        for thread in threads:  # results that have come are stored; who fits features is not waited for
            thread.join(timeout=_PATIENCE)
        raise
    return found


def _training_runtime(runtime: Runtime, model: Recipe, config: ModelConfig) -> Runtime:
    """The runtime of one model; refuses options of CNN training for other models."""
    given = {name for name in runtime.model_fields_set if name != "device"}
    if any(given - stage.learner.training_options for stage in model.stages(config, COMPETITION)):
        raise UserError(f"{model.name} is not a CNN, so options of CNN training do not apply; train it without them")
    if isinstance(runtime.tensorboard, Path):
        return runtime.replace(tensorboard=runtime.tensorboard / model.name)
    return runtime


def score_row(model: Recipe, data: Dataset, oof: pd.DataFrame | None) -> dict[str, str]:
    """Scores of an OOF table as text: log loss of the rows covered, and that of predicting each target's prevalence.
    Then the field's measures over treated rows, by the headings of `moa.metrics.ranking.MEASURES`.

    "OOF, same rows" is the figure to compare with the published CV beside it: over treated rows, or, where the winners'
    CV counts all rows, over all of them with controls predicted 0, once all treated rows are covered. Both are left out
    for data of another assay.

    Args:
        model: the recipe.
        data: the data set.
        oof: out-of-fold predictions; None where only earlier stages are trained.
    """
    scores = dict.fromkeys(("treated rows", "all rows", "prevalence"), "–") | {"rows covered": "0%"}
    ranking: dict[str, str] = {}
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
        found = measures(y_treated, oof_treated)
        ranking = {heading: f"{found[name]:.3f}" for name, heading in RANKING.items() if pd.notna(found[name])}
    same = scores[f"{model.cv_rows} rows"]
    row = {"model": model.title, **scores}
    if data.schema.of_competition:
        row |= {"OOF, same rows": same, "published CV": model.cv_text}
    return row | {heading: ranking.get(heading, "–") for heading in RANKING.values()}


def score_frame(model: Recipe, data: Dataset, oof: pd.DataFrame | None) -> pd.DataFrame:
    """`score_row` as a table for notebooks: a row per score, and the model as the only column."""
    row = score_row(model, data, oof)
    return pd.DataFrame({row.pop("model"): row})
