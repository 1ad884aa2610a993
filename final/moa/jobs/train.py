"""Train models on one data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any, TypeVar

from moa.data.assay import COMPETITION
from moa.data.assay_files import load_assay
from moa.data.dataset import load_dataset
from moa.data.schema import COMPOUND
from moa.environment import Folders
from moa.errors import UserError
from moa.files import ensure_writable
from moa.jobs.fitting import fit_models, held_columns, refuse_row_folds
from moa.jobs.model_scores import ModelScores, score_model
from moa.jobs.options import TrainOptions
from moa.learners.base import traits
from moa.learners.runtime import Runtime
from moa.models.base import ModelConfig, Recipe
from moa.progress import progress
from moa.training.executors import UnitExecutor
from moa.training.runner import Runner
from moa.training.unit import UnitsFailed
from moa.training.unit_progress import Board

T = TypeVar("T")
R = TypeVar("R")
#: Seconds that an interrupted run waits for each model's thread to store what has come.
_PATIENCE = 5


def train_models(
    models: Sequence[Recipe],
    where: Folders,
    options: TrainOptions | None = None,
    executor: UnitExecutor | None = None,
) -> list[ModelScores]:
    """Train several models on one data set: one after another on this machine, at the same time on a cluster.

    Args:
        models: the recipes.
        where: profile, data, and the weights folder; units that are finished there are kept.
        options: what is trained, and how; None: everything, as published. TensorBoard logs get one folder per model.
        executor: where units are run; None: where ``options`` say.

    Returns:
        scores of each model; models that cannot be trained on these data are left out with a note, unless all are.

    Raises:
        UserError: the options are not valid, or a model's training does not take them.
        TrainingIncomplete: units failed on a cluster; those that do not need them are finished.
    """
    options = options or TrainOptions()
    runtime, selection = options.runtime, options.selection
    if executor is None:
        with options.executor() as executor:
            return train_models(models, where, options, executor)
    ensure_writable(where.weights)
    configs = {model.name: model.configure(where.profile, options.settings) for model in models}
    runtimes = {model.name: _training_runtime(runtime, model, configs[model.name]) for model in models}
    schema = load_assay(where.data)
    schema = schema.only(options.groups) if options.groups else schema
    refuse_row_folds(options.hold_out, schema)
    columns = held_columns(options.hold_out, schema)
    needs = [model.needs(configs[model.name], schema) for model in models]
    known = schema.compound or schema.of_competition
    drugs = COMPOUND in columns or (not columns and known and any(need["drugs"] for need in needs))
    dataset = load_dataset(where.data, drugs, any(need["nonscored"] for need in needs), schema)
    fitted = fit_models(models, configs, dataset, columns, options.parts)
    runners = (
        Runner(each.trained(where.weights, schema, runtimes[name]), where.profile, executor)
        for name, each in fitted.items()
    )

    def train(runner: Runner) -> ModelScores:
        predictions = runner.train(dataset, selection)
        if predictions is None:
            return score_model(runner.model, dataset, None)
        return score_model(runner.model, dataset, predictions.oof, runner.trained.oof_as_published())

    if not executor.several:
        return [train(runner) for runner in runners]
    together = list(runners)
    total, done = (sum(counts) for counts in zip(*(each.count(selection) for each in together), strict=True))
    with progress("units", total, done=done) as bar:
        board = Board(bar, done)
        for each in together:
            each.watch = board
        found = side_by_side(train, together, executor)
    scores = [each for each in found if not isinstance(each, UnitsFailed)]
    if len(scores) < len(found):
        failed = [
            runner.model.name for runner, each in zip(together, found, strict=True) if isinstance(each, UnitsFailed)
        ]
        raise TrainingIncomplete(board.units.n_failed, failed, scores)
    return scores


class TrainingIncomplete(UserError):
    """Some units failed on a cluster.

    Attributes:
        scores: of the models that are finished.
    """

    exit_code = 1

    def __init__(self, failed: int, models: list[str], scores: list[ModelScores]):
        self.scores = scores
        super().__init__(
            f"{failed} units failed, so {', '.join(models)} are not finished; what is finished is kept, run the same "
            "command again to go on"
        )


def side_by_side(work: Callable[[T], R], items: Sequence[T], executor: UnitExecutor) -> list[R | UnitsFailed]:
    """``work`` of each item, each in a thread of its own.

    ``work`` gives units to the ``executor``. Where one has failed for another reason than a failed unit, or the user
    interrupts, what runs is given up at once.

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
    if any(given - traits(stage.learner).training_options for stage in model.stages(config, COMPETITION)):
        raise UserError(f"{model.name} is not a CNN, so options of CNN training do not apply; train it without them")
    if isinstance(runtime.tensorboard, Path):
        return runtime.replace(tensorboard=runtime.tensorboard / model.name)
    return runtime
