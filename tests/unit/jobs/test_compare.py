"""Planted runs beside the winners': what is judged, what is only shown, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from moa.data.schema import TRAIN_SCORED
from moa.data.stored_tables import write_table
from moa.data.synthetic import MARKER
from moa.errors import UserError
from moa.files import read_json, sha256, write_json
from moa.jobs.compare import compare_model, winners_curves
from moa.models import winners
from moa.weights.selection import Selection
from support.planted import fold_means, logged, plant

OLD, NEW, FIVE, CNN = "simple-nn-old-cv", "simple-nn-new-cv", "three-stage-nn-5fold", "deepinsight-resnest-v2"


@pytest.fixture
def real(tmp_path):
    """A folder that passes for the competition's."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / TRAIN_SCORED).write_text("sig_id,a\nid_1,0\n")
    return folder


def test_the_winners_own_run_is_within_their_spread(tmp_path, real):
    (made,) = compare_model(OLD, real, plant(tmp_path, OLD, logged(OLD)))
    assert made.judged and not made.beyond and len(made.units) == 30
    assert made.difference == pytest.approx(0, abs=1e-12)
    assert (made.units["ours"] == made.units["theirs"]).all()
    # 30 units of one level: about four standard deviations (3.2e-5) of a single loss; the mean is known far better.
    assert made.unit_margin == pytest.approx(1.3e-4, rel=0.05) and made.mean_margin == pytest.approx(3.7e-5, rel=0.05)


@pytest.mark.parametrize("shift", [5e-5, -5e-5])
def test_a_small_shift_of_all_units_is_beyond_in_the_mean_alone(tmp_path, real, shift):
    (made,) = compare_model(OLD, real, plant(tmp_path, OLD, logged(OLD, shift)))
    assert made.mean_beyond and not made.units_beyond.any() and made.beyond
    assert made.difference == pytest.approx(shift)


def test_one_unit_far_off_is_beyond(tmp_path, real):
    losses = fold_means(OLD)
    losses["nn", 940, 3] += 2e-4
    (made,) = compare_model(OLD, real, plant(tmp_path, OLD, losses))
    assert (
        made.units.loc[made.units_beyond, ["seed", "fold"]].to_numpy().tolist() == [[940, 3]] and not made.mean_beyond
    )


def test_a_run_that_failed_is_beyond(tmp_path, real):
    losses = fold_means(OLD) | {("nn", 940, 0): float("nan")}
    (made,) = compare_model(OLD, real, plant(tmp_path, OLD, losses))
    assert made.beyond and made.units_beyond.sum() == 1


def test_any_part_of_a_run_is_compared_with_its_own_folds(tmp_path, real):
    theirs = logged(OLD)
    weights = plant(tmp_path, OLD, {unit: loss for unit, loss in theirs.items() if unit[2] == 3})
    (made,) = compare_model(OLD, real, weights)
    assert not made.beyond and made.counts == (6, 6), "fold 3 is harder than the others, here and there"
    assert made.theirs > winners.logs(OLD)[0].best.mean() + 1e-4
    (one,) = compare_model(OLD, real, weights, Selection(seeds=1))
    assert one.counts == (1, 6) and one.unit_margin == one.mean_margin < made.unit_margin
    with pytest.raises(UserError, match="no unit of simple-nn-old-cv that was asked for and logged is finished"):
        compare_model(OLD, real, weights, Selection(fold=2))


def test_sister_runs_are_compared_by_means_without_a_verdict(tmp_path, real):
    losses = {(stage, seed % 5, fold): 2 * loss for (stage, seed, fold), loss in logged(FIVE).items() if fold < 2}
    first, second, third = compare_model(FIVE, real, plant(tmp_path, FIVE, losses))
    assert not any(made.judged or made.beyond for made in (first, second, third)), "twice the loss, and no verdict"
    log = winners.logs(FIVE)[0].best
    assert first.theirs == pytest.approx(log[log.index.get_level_values("fold") < 2].mean()), "the same folds"
    assert second.theirs == pytest.approx(winners.logs(FIVE)[1].best.mean()) and second.units.empty, "all folds"
    assert "folds differ" in second.notes[-1] and third.counts[1] == 30
    (alone,) = compare_model(FIVE, real, tmp_path, Selection(stage="stage2"))
    assert alone.ours == second.ours


def test_folds_of_the_new_cv_are_not_paired_with_the_winners(tmp_path, real):
    part = {unit: loss for unit, loss in logged(NEW).items() if unit[2] == 3}
    (made,) = compare_model(NEW, real, plant(tmp_path, NEW, part))
    log = winners.logs(NEW)[0].best
    assert made.units.empty and not made.judged and made.counts == (6, 30)
    assert made.theirs == pytest.approx(log.mean()), "not the mean of their fold 3"
    assert abs(log.xs(3, level="fold").mean() - log.mean()) > 1e-5
    assert "cannot be reproduced" in made.notes[-1]


def test_one_seed_shows_differences_and_no_verdict(tmp_path, real):
    (made,) = compare_model(CNN, real, plant(tmp_path, CNN, logged(CNN, 0.01), column="valid_loss"))
    assert not made.judged and not made.beyond
    assert made.units["difference"].to_numpy() == pytest.approx(0.01) and made.counts == (10, 10)


def test_phases_of_the_two_heads_are_compared_by_the_monitored_loss(tmp_path, real):
    weights = plant(tmp_path, "two-heads", logged("two-heads", 0.001), column="valid_stopping_loss")
    first, second = compare_model("two-heads", real, weights)
    assert (first.log.stage, second.log.stage) == ("phase1", "phase2")
    assert first.difference == pytest.approx(0.001) and second.difference == pytest.approx(0.001)


def test_the_leaky_loss_after_phase_3_is_computed_from_the_stored_predictions(tmp_path, real):
    rows, targets = pd.Index(["id_1", "id_2"], name="sig_id"), ["a", "b"]
    pd.DataFrame([[0, 1], [0, 0], [1, 1]], rows.union(["id_3"]), targets).to_csv(
        real / TRAIN_SCORED, index_label="sig_id"
    )
    weights = plant(tmp_path, "two-heads", {("phase2", 23, 4): 0.02}, column="valid_stopping_loss")
    unit = weights / "two-heads" / "phase2" / "seed-23" / "fold-4"
    write_table(unit / "oof-after-phase3.parquet", pd.DataFrame(0.25, rows, targets))
    stored = {
        "variants": ["after-phase3"],
        "sha256": {"oof-after-phase3.parquet": sha256(unit / "oof-after-phase3.parquet")},
    }
    write_json(unit / "unit.json", read_json(unit / "unit.json") | stored)
    monitored, leaky = compare_model("two-heads", real, weights)
    assert monitored.ours == pytest.approx(0.02) and leaky.log.kind == "after phase 3"
    assert leaky.ours == pytest.approx(-(np.log(0.25) + 3 * np.log(0.75)) / 4)
    assert leaky.theirs == pytest.approx(0.017270754245101105)


def test_other_folds_or_settings_are_reported(tmp_path, real):
    other = plant(tmp_path / "folds", OLD, logged(OLD, 1.0), overlay={"folds": {"n_splits": 3}})
    (made,) = compare_model(OLD, real, other)
    assert not made.judged and made.units.empty and "settings differ" in made.notes[0]
    wide = plant(tmp_path / "wide", OLD, logged(OLD, 1.0), overlay={"learner": {"hidden": 64}})
    (made,) = compare_model(OLD, real, wide)
    assert made.beyond and made.notes[0].endswith("learner.hidden: 2048 published, 64 here")


def test_without_the_mean_over_batches_that_over_rows_is_compared_and_reported(tmp_path, real):
    (made,) = compare_model(OLD, real, plant(tmp_path, OLD, logged(OLD), column="valid_loss"))
    assert not made.beyond and "valid_loss, the mean over rows" in made.notes[0]


def test_what_cannot_be_compared_is_refused(tmp_path, real):
    weights = plant(tmp_path / "weights", OLD, logged(OLD), data={TRAIN_SCORED: "of another file"})
    with pytest.raises(UserError, match="trained on another file"):
        compare_model(OLD, real, weights)
    plant(weights, OLD, logged(OLD), data={TRAIN_SCORED: sha256(real / TRAIN_SCORED)})
    assert not compare_model(OLD, real, weights)[0].beyond
    with pytest.raises(UserError, match="holds no weights of simple-nn-new-cv"):
        compare_model(NEW, real, weights)
    with pytest.raises(UserError, match="simple-nn-old-cv has nn"):
        compare_model(OLD, real, weights, Selection(stage="stage2"))
    with pytest.raises(UserError, match="holds no train_targets_scored.csv"):
        compare_model(OLD, tmp_path, weights)
    (real / MARKER).write_text("{}")
    with pytest.raises(UserError, match="these data are synthetic"):
        compare_model(OLD, real, weights)


def test_a_model_without_a_log_has_nothing_to_compare(tmp_path, real):
    assert compare_model("two-stage-nn-tabnet", real, tmp_path) == []


def test_notebooks_get_the_winners_curves_or_the_reason_why_not(real, capsys):
    pd.testing.assert_frame_equal(winners_curves(OLD, real), winners.curves(OLD))
    assert winners_curves("two-heads", real) is None and "left no losses by epoch" in capsys.readouterr().out
    (real / MARKER).write_text("{}")
    assert winners_curves(OLD, real) is None and "these data are synthetic" in capsys.readouterr().out
