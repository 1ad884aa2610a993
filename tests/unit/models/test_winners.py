"""The winners' logs: complete, of the right models, and with the figures that their notebooks printed."""

import pytest

from moa.data.assay import COMPETITION
from moa.models import winners
from moa.models.registry import recipe, recipes

LOGGED = [name for name in recipes() if winners.logs(name)]


def test_the_models_without_a_log():
    assert set(recipes()) - set(LOGGED) == {"three-stage-nn-10fold", "two-stage-nn-tabnet"}
    assert winners.epochs("nope").empty and winners.milestones("nope").empty and winners.curves("nope").empty


@pytest.mark.parametrize("name", LOGGED)
def test_logs_are_of_stages_and_folds_of_the_recipe(name):
    stages = {stage.name: stage for stage in recipe(name).stages(recipe(name).config, COMPETITION)}
    for log in winners.logs(name):
        stage = stages[log.stage]
        seeds, folds = (set(log.best.index.get_level_values(level)) for level in ("seed", "fold"))
        assert folds <= set(range(stage.folds.n_splits))
        assert log.best.index.is_unique and log.best.notna().all()
        if log.run == "exact":
            assert sorted(log.best.index) == sorted(stage.units()), "every unit of the plan"
        elif log.run == "one seed":
            assert seeds == {stage.seeds[0]}


def test_only_the_run_behind_the_published_score_is_exact():
    exact = {(name, log.stage) for name in LOGGED for log in winners.logs(name) if log.run == "exact"}
    assert exact == {("simple-nn-old-cv", "nn")}
    other = {(name, log.stage) for name in LOGGED for log in winners.logs(name) if not log.same_folds}
    assert other == {("three-stage-nn-5fold", "stage2"), ("three-stage-nn-5fold", "stage3"), ("simple-nn-new-cv", "nn")}


@pytest.mark.parametrize("name", LOGGED)
def test_no_log_of_the_new_cv_has_our_folds(name):
    """Ties between drugs stood in the hash order of one process."""
    stages = {stage.name: stage for stage in recipe(name).stages(recipe(name).config, COMPETITION)}
    for log in winners.logs(name):
        assert not log.same_folds or stages[log.stage].folds.scheme != "drug-aware"


def test_figures_known_from_elsewhere():
    epochs = winners.epochs("simple-nn-old-cv")
    assert len(epochs) == 30 * 25 and epochs["train_loss"].iloc[0] == 0.47104251
    (log,) = winners.logs("simple-nn-old-cv")
    assert log.best.mean() == pytest.approx(0.01604, abs=5e-6)
    first = winners.milestones("deepinsight-efficientnet-b3").iloc[0]
    assert (first["epoch"], first["loss"]) == (24, 0.014525)
    leaky = winners.logs("two-heads")[-1]
    assert leaky.kind == "after phase 3" and leaky.best.mean() == pytest.approx(0.016627, abs=5e-6)


def test_curves_have_every_epoch_or_the_best_one():
    lines, points = winners.curves("three-stage-nn-5fold"), winners.curves("deepinsight-resnest-v1")
    assert len(lines) == 30 * (15 + 25 + 25) and set(lines["run"]) == {"sister"}
    assert len(points) == 10 and points["epoch"].dtype == int
    assert winners.curves("two-heads").empty
