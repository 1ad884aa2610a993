"""Scores of a small case: which rows they are over, what they are beside, and treatments."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from moa.errors import UserError
from moa.jobs.score import score
from moa.jobs.score_compared import find_leak
from moa.jobs.score_inputs import Case, Prediction
from moa.jobs.score_sphered import LEAST_CONTROLS, sphered, votes_without_controls
from moa.jobs.score_tables import FIRST, as_json, score_rows, write_scores
from moa.metrics.held_out import training_prevalence
from moa.metrics.losses import log_loss
from moa.metrics.neighbours import neighbour_votes
from moa.metrics.pooling import pool
from moa.metrics.ranking import measures

FOLDS = "folds of compounds"


@pytest.fixture
def case():
    """Twenty compounds at two doses, three wells each; a mechanism of five for each, and a model that knows some."""
    rng = np.random.default_rng(0)
    compound = np.repeat(np.arange(20), 6)
    rows = pd.Index([f"id_{i}" for i in range(120)], name="sig_id")
    y = pd.DataFrame(np.eye(5, dtype=np.uint8)[compound % 5], rows, list("abcde"))
    dose = np.tile([2.0, 2.0, 2.0, 10.0, 10.0, 10.0], 20)
    known = pd.DataFrame({"compound": [f"drug {c}" for c in compound], "dose": dose, "plate": "P1"}, rows)
    known["treatment"] = [f"drug {c} @ {d}" for c, d in zip(compound, dose, strict=True)]
    features = pd.DataFrame(2 * y.to_numpy() + rng.normal(size=y.shape), rows)
    folds = pd.DataFrame({0: compound % 4, 1: compound // 5}, rows)

    def model(strength, seed):
        noise = np.random.default_rng(seed).random(y.shape)
        return pd.DataFrame((strength * y + noise) / (strength + 1), rows, y.columns)

    seeds = {0: model(0.3, 1), 1: model(0.5, 2)}
    table = (seeds[0] + seeds[1]) / 2
    return Case(y, y.mean(), y, features, known, [Prediction("model", table, folds, FOLDS, lambda: seeds)])


def lines(found):
    return found.table.set_index("prediction")


def test_a_table_has_the_model_and_what_it_is_compared_with(case):
    found, (model,) = score(case), case.predictions
    table = lines(found)
    kinds = ["model", "prevalence", "training prevalence", *["neighbours"] * 4, "exchanged profiles", "shuffled labels"]
    assert list(table["kind"]) == kinds
    assert table.loc["model", "log_loss"] == pytest.approx(log_loss(case.y, model.table))
    assert table.loc["model", "roc_auc_macro"] == pytest.approx(roc_auc_score(case.y, model.table, average="macro"))
    micro = average_precision_score(case.y, model.table, average="micro")
    assert table.loc["model", "average_precision_micro"] == pytest.approx(micro)
    assert table.loc["prevalence", ["roc_auc_macro", "average_precision_macro"]].tolist() == pytest.approx([0.5, 0.2])
    near = measures(case.y, neighbour_votes(case.features, case.y, model.groups, 5), probabilities=False)
    shown = table.loc[f"5-NN, {FOLDS}"]
    assert np.isnan(shown["log_loss"]) and shown["accuracy"] == near["accuracy"] > 0.5
    assert table.loc["shuffled labels", "roc_auc_macro"] == pytest.approx(0.5, abs=0.1)
    assert list(score(case, baselines=False).table["prediction"]) == ["model"] and not found.notes


def test_what_is_held_out_with_the_compounds_is_kept_from_the_neighbours_too(case):
    """A week is left out of a fold's training rows: rows of it are no neighbours, whatever their fold."""
    week = pd.DataFrame({"week": np.repeat(["1", "2"], 60)}, case.y.index)
    model = replace(case.predictions[0], apart=("week",))
    found = lines(score(replace(case, known=case.known.join(week), predictions=[model]))).loc[f"5-NN, {FOLDS}"]
    near = neighbour_votes(case.features, case.y, model.groups, 5, apart=week)
    assert found["accuracy"] == measures(case.y, near, probabilities=False)["accuracy"]
    assert not near.equals(neighbour_votes(case.features, case.y, model.groups, 5))


def test_models_are_compared_on_the_rows_that_all_cover(case):
    part = Prediction("part", case.predictions[0].table.iloc[30:], None)
    found = score(Case(case.y, case.prevalence, case.y, None, case.known, [*case.predictions, part]))
    table = lines(found)
    assert (table["rows"] == 90).all() and "30 of 120 rows have no prediction" in found.notes[0]
    assert table.loc["model", "log_loss"] == table.loc["part", "log_loss"] == table.loc["mean of these 2", "log_loss"]
    other = Prediction("other", case.predictions[0].table.head(30), None)
    with pytest.raises(UserError, match="no row with a label is predicted by all"):
        score(Case(case.y, case.prevalence, case.y, None, case.known, [part, other]))


def test_each_kind_of_folds_has_its_neighbours_once(case):
    (model,) = case.predictions
    others = [Prediction("same folds", model.table, model.groups, FOLDS)]
    others.append(Prediction("rows", model.table, pd.DataFrame({0: np.arange(120) % 3}, case.y.index), "rows"))
    table = score(Case(case.y, case.prevalence, case.y, case.features, case.known, [model, *others])).table
    near = table.loc[table["kind"] == "neighbours", "prediction"]
    expected = [f"{k}-NN{how}, {folds}" for folds in (FOLDS, "rows") for how in ("", " sphered") for k in (1, 5)]
    assert list(near) == expected


def test_wells_of_a_treatment_count_together(case, tmp_path):
    (model,) = case.predictions
    found = score(case, "treatment")
    table, of = lines(found), case.known["treatment"]
    y, p = case.y.groupby(of).max(), model.table.groupby(of).mean()
    assert found.unit == "treatment" and table.loc["model", "rows"] == 40
    assert table.loc["model", "log_loss"] == pytest.approx(log_loss(y, p))
    right = y.to_numpy()[np.arange(40), p.to_numpy().argmax(axis=1)]
    assert table.loc["model", "accuracy"] == pytest.approx(right.mean())
    near = neighbour_votes(case.features.groupby(of).median(), y, model.groups.groupby(of).first(), 1)
    assert table.loc[f"1-NN, {FOLDS}", "accuracy"] == measures(y, near, probabilities=False)["accuracy"]
    files = write_scores(tmp_path / "s.csv", found)
    assert [path.name for path in files] == ["s.csv", "s-treatments.csv"]
    details = pd.read_csv(files[1]).set_index("treatment").loc[y.index]
    assert (details["mechanisms"] == y.idxmax(axis=1)).all() and (details["most_likely"] == p.idxmax(axis=1)).all()
    assert (details["right"] == right.astype(bool)).all()
    assert ((details["wrong_above"] == 0) == details["right"]).all()


def test_folds_of_controls_do_not_matter(case):
    """A control has a compound, a dose and a fold too."""
    (model,) = case.predictions
    controls = pd.Index(["ctl_1", "ctl_2"])
    known = pd.concat([case.known, case.known.iloc[[0, 0]].set_axis(controls)])
    folds = pd.concat([model.groups, (model.groups.iloc[[0, 0]] + 1).set_axis(controls)])
    with_controls = Prediction("model", model.table, folds, FOLDS)
    found = score(Case(case.y, case.prevalence, case.y, case.features, known, [with_controls]), "treatment")
    pd.testing.assert_frame_equal(found.table, score(case, "treatment").table)


def test_neighbours_are_wells_where_folds_split_a_treatment(case):
    (model,) = case.predictions
    rows = Prediction("rows", model.table, pd.DataFrame({0: np.arange(120) % 3}, case.y.index), "rows")
    found = lines(score(Case(case.y, case.prevalence, case.y, case.features, case.known, [rows]), "treatment"))
    votes = neighbour_votes(case.features, case.y, rows.groups, 5).groupby(case.known["treatment"]).mean()
    expected = measures(case.y.groupby(case.known["treatment"]).max(), votes, probabilities=False)
    assert found.loc["5-NN, rows", "average_precision_micro"] == pytest.approx(expected["average_precision_micro"])


def test_neighbours_of_a_treatment_are_not_sought_in_folds_that_it_is_partly_in(case):
    """Where only the first fold is trained, wells of other folds may be neighbours, those of the treatment too."""
    (model,) = case.predictions
    first = pd.DataFrame({0: np.where(np.arange(120) % 3 == 0, 0.0, np.nan)}, case.y.index)
    part = Prediction("part", model.table[first[0].notna()], first, "rows")
    found = score(Case(case.y, case.prevalence, case.y, case.features, case.known, [part]), "treatment")
    assert "5-NN, rows" in lines(found).index


def test_levels_are_in_order_and_scored_alone(case):
    found = score(case, "dose").table
    assert list(found["dose"].unique()) == [2.0, 10.0] and (found["rows"] == 60).all()
    rows = case.y.index[case.known["dose"] == 10]
    shown = found[(found["dose"] == 10) & (found["kind"] == "model")].iloc[0]
    assert shown["log_loss"] == pytest.approx(log_loss(case.y.loc[rows], case.predictions[0].table.loc[rows]))
    text = case.known.assign(dose=case.known["dose"].map({2.0: "2", 10.0: "10"}))
    assert list(score(Case(*case_parts(case, text)), "dose").table["dose"].unique()) == ["2", "10"]


def case_parts(case, known):
    return case.y, case.prevalence, case.labels, case.features, known, case.predictions


def test_targets_and_seeds(case):
    table = score(case, "target").table
    model = table[table["kind"] == "model"].set_index("target")
    p = case.predictions[0].table
    np.testing.assert_allclose(model["roc_auc"], roc_auc_score(case.y, p, average=None))
    assert (model["positives"] == 24).all() and "shuffled labels" not in set(table["kind"])
    seeds = score(case, "seed").table
    own = seeds[seeds["prediction"] == "model"].set_index("seed")["log_loss"]
    expected = [log_loss(case.y, each) for each in case.predictions[0].seeds().values()]
    assert list(own[["0", "1"]]) == pytest.approx(expected)
    assert own["mean"] == pytest.approx(np.mean(expected)) and own["sd"] == pytest.approx(np.std(expected, ddof=1))
    both = score(case, "treatment,seed").table
    assert set(both["rows"]) == {40} and len(both[both["prediction"] == "model"]) == 4


def test_neighbours_have_the_folds_of_each_seed_where_seeds_do_not_share_them(case):
    folds = case.predictions[0].groups
    near = score(case, "seed", neighbours=5).table.query("kind == 'neighbours'").set_index("seed")
    assert list(near.index) == ["0", "1", "mean", "sd"] * 2
    assert list(dict.fromkeys(near["prediction"])) == [f"5-NN, {FOLDS}", f"5-NN sphered, {FOLDS}"]
    near = near[near["prediction"] == f"5-NN, {FOLDS}"]
    for seed in (0, 1):
        alone = measures(case.y, neighbour_votes(case.features, case.y, folds[[seed]], 5), probabilities=False)
        assert near.loc[str(seed), "roc_auc_micro"] == alone["roc_auc_micro"]
    shared = replace(case, predictions=[replace(case.predictions[0], groups=folds[[0, 0]].set_axis([0, 1], axis=1))])
    assert set(score(shared, "seed").table.query("kind == 'neighbours'")["seed"]) == {""}


def test_what_cannot_be_scored_by_is_refused(case):
    with pytest.raises(UserError, match="--by week: .*one of: well, treatment, compound, target, seed, dose, plate"):
        score(case, "week")
    with pytest.raises(UserError, match="give one of dose, plate"):
        score(case, "dose,plate")
    bare = Case(*case_parts(case, case.known[["plate"]]))
    with pytest.raises(UserError, match="--by treatment needs compounds"):
        score(bare, "treatment")
    file = Prediction("file", case.predictions[0].table)
    with pytest.raises(UserError, match="--by seed: file is a file"):
        score(Case(*case_parts(case, case.known)[:-1], [file]), "seed")


def test_what_is_left_out_of_a_treatment_is_reported(case):
    known = case.known.assign(treatment=case.known["treatment"].where(np.arange(120) > 4))
    y = case.y.copy()
    y.iloc[7, 0] = 1
    found = score(Case(y, case.prevalence, y, case.features, known, case.predictions), "treatment")
    assert found.notes[:2] == [
        "left out: 5 wells of no known treatment",
        "1 treatment has wells with different labels: a label of any well counts",
    ]


def test_rows_whose_mechanism_no_training_row_had_can_be_scored_apart(case):
    """Drugs 4, 9, 14 and 19 have mechanism e; in the first seed's folds each part holds five drugs, one of each."""
    from moa.jobs.score_inputs import _learnable

    folds, week = case.predictions[0].groups.iloc[:, :1], pd.DataFrame({"week": "1"}, case.y.index)
    assert _learnable(case.y, folds, (), week).eq("yes").all()
    week.loc[case.y["e"] == 1] = "2"  # all of mechanism e, in one week
    found = _learnable(case.y, folds, ("week",), week)
    # The others are all of week 1: nothing is left to learn them from either, but from week 2, which lacks them.
    assert found.eq("no").all()
    week.loc[case.known["compound"] == "drug 3"] = "2"
    found = _learnable(case.y, folds, ("week",), week)
    assert found[case.y["d"] == 1].eq("yes").all() and found[case.y["d"] == 0].eq("no").all()
    unlabelled = case.y.copy()
    unlabelled.iloc[0] = 0
    assert pd.isna(_learnable(unlabelled, folds, (), week).iloc[0])
    table = score(replace(case, known=case.known.assign(learnable=found)), by="learnable", baselines=False).table
    assert list(table["learnable"]) == ["no", "yes"] and list(table["rows"]) == [96, 24]


def test_a_calibrated_model_stands_beside_its_raw_predictions(case):
    (model,) = case.predictions
    raw = model.table**3
    table = score(replace(case, predictions=[replace(model, raw=raw, one=False)])).table
    assert list(table["prediction"][:2]) == ["model", "model, raw"] and list(table["kind"][:2]) == ["model", "raw"]
    assert table["log_loss"][1] == pytest.approx(log_loss(case.y, raw)) and table["ece"][0] != table["ece"][1]
    found = score(replace(case, predictions=[replace(model, raw=raw, one=False)]), "compound").table
    of = case.known["compound"]
    y = case.y.groupby(of).max()
    assert found["log_loss"][0] == pytest.approx(log_loss(y, pool(model.table, of, False))) and found["rows"][0] == 20
    assert found["log_loss"][1] == pytest.approx(log_loss(y, raw.groupby(of).mean())), "raw ones as they ever were"


def test_the_prevalence_of_training_rows_is_that_of_other_folds(case):
    found = lines(score(case)).loc["training prevalence"]
    expected = training_prevalence(case.y, case.predictions[0].groups)
    assert found["log_loss"] == pytest.approx(log_loss(case.y, expected))
    assert found["log_loss"] > lines(score(case)).loc["prevalence", "log_loss"], "it knows less"


def test_frequencies_of_treatments_are_those_of_treatments(case):
    """A treatment of many wells counts once."""
    kept = case.y.index[~((case.y["a"] == 1) & (np.arange(120) % 3 > 0))]
    y = case.y.loc[kept]
    part = replace(
        case, y=y, labels=y, prevalence=y.mean(), features=case.features.loc[kept], known=case.known.loc[kept]
    )
    found = lines(score(part, "treatment"))
    constant = pd.DataFrame(0.2, range(40), y.columns)
    expected = log_loss(pd.DataFrame(np.eye(5)[np.arange(40) % 5], columns=y.columns), constant)
    assert found.loc["prevalence", "log_loss"] == pytest.approx(expected)
    assert y.mean()["a"] < 0.1, "of wells"


def test_cell_counts_are_a_baseline_where_they_are_known(case):
    count = pd.Series(100.0 * case.y.to_numpy().argmax(axis=1), case.y.index)
    found = lines(score(replace(case, count=count)))
    assert found.loc["cell count", "top_1"] == 1 and found.loc["cell count", "kind"] == "cell count"
    assert score(replace(case, count=count), "treatment").table.set_index("prediction").loc["cell count", "rows"] == 40
    assert "cell count" not in lines(score(case)).index


def test_profiles_are_sphered_on_controls_or_else_on_training_rows(case):
    controls = pd.DataFrame(np.random.default_rng(1).normal(size=(60, 5)) @ np.tri(5), columns=case.features.columns)
    groups, name = case.predictions[0].groups, f"5-NN sphered, {FOLDS}"
    found = lines(score(replace(case, controls=controls))).loc[name, "roc_auc_micro"]
    near = neighbour_votes(sphered(case.features, controls), case.y, groups, 5)
    assert found == measures(case.y, near, probabilities=False)["roc_auc_micro"]
    few = lines(score(replace(case, controls=controls.head(LEAST_CONTROLS - 1)))).loc[name, "roc_auc_micro"]
    own = votes_without_controls(case.features, case.y, groups, (5,))[5]
    assert few == measures(case.y, own, probabilities=False)["roc_auc_micro"] != found
    # Treatments: the mean of sphered wells.
    of = case.known["treatment"]
    pooled = sphered(case.features, controls).groupby(of).mean()
    near = neighbour_votes(pooled, case.y.groupby(of).max(), groups.groupby(of).first(), 5)
    by = lines(score(replace(case, controls=controls), "treatment")).loc[name, "roc_auc_micro"]
    assert by == measures(case.y.groupby(of).max(), near, probabilities=False)["roc_auc_micro"]


def test_sphering_takes_out_what_controls_share():
    rng = np.random.default_rng(0)
    compound, shared = np.repeat(np.arange(20), 6), 2 * rng.normal(size=(3, 40))
    y = pd.DataFrame(np.eye(5)[compound % 5])
    plain = (
        np.pad(2 * y.to_numpy(), ((0, 0), (0, 35))) + rng.normal(size=(120, 40)) + rng.normal(size=(120, 3)) @ shared
    )
    plain = pd.DataFrame(plain)
    controls = pd.DataFrame(rng.normal(size=(60, 40)) + rng.normal(size=(60, 3)) @ shared)
    areas = [
        measures(y, neighbour_votes(features, y, pd.Series(compound), 5), probabilities=False)["roc_auc_micro"]
        for features in (plain, sphered(plain, controls))
    ]
    assert areas[1] > areas[0] + 0.08
    named = plain.set_axis([*(f"f{i}" for i in range(39)), "Cells_Location_Center_X"], axis=1)
    named.iloc[0, 3] = 5000.0
    named_controls = controls.set_axis(named.columns, axis=1).assign(f5=1.0)
    left = {"Cells_Location_Center_X", "f3", "f5"}  # bookkeeping, far too large, and constant over the controls
    assert set(named) - set(sphered(named, named_controls)) == left


def test_a_sentence_says_whether_a_model_is_better_than_every_simple_method(case):
    (model,) = case.predictions
    (good,) = score(case).compared
    chance = pd.DataFrame(np.random.default_rng(0).random(case.y.shape), case.y.index, case.y.columns)
    (bad,) = score(replace(case, predictions=[replace(model, table=chance)])).compared
    near = replace(model, table=neighbour_votes(case.features, case.y, model.groups, 5))
    (same,) = score(replace(case, predictions=[near])).compared
    assert bad.sentence.startswith("model: worse than ") and "-NN" in bad.best["average_precision_micro"]
    assert same.sentence.startswith("model: not better than ") and not same.better
    perfect = replace(model, table=case.y * 0.9 + 0.02)
    (best,) = score(replace(case, predictions=[perfect])).compared
    assert best.better and best.sentence.startswith("model: better than ") and "over compounds" in best.sentence
    assert good.found["log_loss"].value == pytest.approx(
        lines(score(case)).loc[good.best["log_loss"], "log_loss"] - lines(score(case)).loc["model", "log_loss"]
    )


def test_a_sentence_says_how_much_of_a_score_leaks_where_that_is_beyond_noise(case):
    (model,) = case.predictions
    noise = pd.DataFrame(np.random.default_rng(3).random(case.y.shape), case.y.index, case.y.columns)
    better, alike, worse = (
        replace(case, predictions=[replace(model, table=table)])
        for table in (model.table + 0.1 * case.y, model.table + 1e-3 * (noise - 0.5), noise)
    )
    partly = replace(better, y=better.y.iloc[:-6])
    leak = find_leak("model", case, {"wells": better, "plates": alike, "batches": worse})
    assert list(leak.found) == ["wells"] and leak.found["wells"].low > 0
    figures = [average_precision_score(case.y.to_numpy().ravel(), table.to_numpy().ravel())
               for table in (model.table, better.predictions[0].table)]  # fmt: skip
    assert (leak.honest, leak.found["wells"].value) == pytest.approx((figures[0], figures[1] - figures[0]))
    start = (
        f"model: average precision {figures[0]:.3f}, with compounds held out, is what holds for new compounds; it is "
    )
    assert leak.sentence.startswith(f"{start}higher with wells by {figures[1] - figures[0]:.3f} [")
    assert find_leak("model", case, {"plates": alike, "batches": worse}) is None, "nothing to say"
    assert find_leak("model", case, {}) is None
    assert find_leak("model", case, {"wells": partly}).found, "rows that one of them lacks are left out"


def test_rows_have_every_figure(case):
    rows = score_rows(score(case, "treatment"))
    first = rows.iloc[0]
    assert list(rows)[: len(FIRST)] == list(FIRST) and (first["prediction"], first["by"]) == ("model", "treatment")
    assert first["top_1_difference"] == pytest.approx(
        first["top_1"] - rows["top_1"][rows["kind"] != "model"].max(), abs=0.2
    )
    assert rows["better"].notna().sum() == 1
    doses = score_rows(score(case, "treatment,dose", baselines=False))
    assert list(doses["by"]) == ["treatment,dose"] * 2 and list(doses["level"]) == [2.0, 10.0]
    targets = score_rows(score(case, "target", baselines=False))
    assert list(targets["level"]) == list("abcde") and targets["roc_auc"].between(0, 1).all()
    parsed = json.loads(as_json(rows))
    assert parsed[0]["kind"] == "model" and parsed[-2]["log_loss"] is None and isinstance(parsed[0]["rows"], int)
