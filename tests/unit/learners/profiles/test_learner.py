"""The profile learners: what they learn from, that choices see no held-out row, and what they predict."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from moa.learners.base import FitJob, FoldData
from moa.learners.profiles import fitting, members
from moa.learners.profiles.learner import ProfileLearner
from moa.learners.profiles.members import (
    Neighbours,
    compare_neighbours,
    compare_regressions,
    fit_regression,
    neighbour_probabilities,
    regression_probabilities,
    sphered,
)
from moa.learners.profiles.treatments import InnerSplits, Treatments
from moa.metrics.losses import log_loss
from moa.metrics.ranking import micro_areas
from support.units import CPU

MECHANISMS, COMPOUNDS, DOSES, WELLS, FEATURES, CONTROLS = 4, 24, 2, 2, 30, 8


def fold_data(noise=0.5, seed=0, several=False, weeks=1):
    """Compounds of four mechanisms at two doses, two wells each, and controls; a fifth of the compounds is held out."""
    rng = np.random.default_rng(seed)
    compound = np.repeat(np.arange(COMPOUNDS), DOSES * WELLS)
    treatment = np.repeat(np.arange(COMPOUNDS * DOSES), WELLS)
    direction = rng.normal(size=(MECHANISMS, FEATURES))
    treated = direction[compound % MECHANISMS] + rng.normal(scale=noise, size=(len(compound), FEATURES))
    X = np.vstack([treated, rng.normal(size=(CONTROLS, FEATURES))])
    y = np.zeros((len(X), MECHANISMS), np.float32)
    y[np.arange(len(compound)), compound % MECHANISMS] = 1
    if several:
        y[np.flatnonzero(compound % MECHANISMS == 0), 3] = 1  # a second mechanism
        y[np.flatnonzero(compound == 5)] = 0  # none
    none = np.arange(CONTROLS)
    compounds = np.r_[compound, COMPOUNDS + none]
    held = np.isin(compounds, np.arange(0, COMPOUNDS, 5))
    controls = np.r_[np.zeros(len(compound), bool), np.ones(CONTROLS, bool)]
    week = np.r_[compound % weeks, np.full(CONTROLS, -1)]
    index = pd.Index([f"w{i}" for i in range(len(X))])
    return FoldData(
        pd.DataFrame(X.astype(np.float32), index),
        pd.DataFrame(y, index, [f"m{i}" for i in range(MECHANISMS)]),
        np.flatnonzero(~held),
        np.flatnonzero(held),
        keep_last=True,
        treatments=np.r_[treatment, COMPOUNDS * DOSES + none],
        compounds=compounds,
        controls=controls,
        apart=week[:, None] if weeks > 1 else None,
    )


def train(data, learner=None):
    learner = learner or ProfileLearner()
    fitted = learner.fit(data, 3, 1, CPU)
    return fitted, learner.predict(fitted, data.X.iloc[data.valid], CPU)


def test_a_treatment_is_the_mean_of_its_training_wells():
    data = fold_data()
    known = Treatments.of(data)
    assert known.profiles.shape == ((COMPOUNDS - 5) * DOSES, FEATURES) and known.apart is None
    rows = data.train[data.treatments[data.train] == data.treatments[data.train[0]]]
    assert len(rows) == WELLS and np.allclose(known.profiles[0], data.X.to_numpy(float)[rows].mean(axis=0))
    assert np.allclose(known.variances, data.X.to_numpy(float)[data.controls].var(axis=0))
    assert np.allclose(known.prior, (known.labels.sum(axis=0) + 0.5) / (len(known.labels) + 1))


def test_without_six_controls_variances_are_those_of_the_training_rows():
    data = fold_data()
    few = dataclasses.replace(data, controls=data.controls & (np.arange(len(data.X)) < len(data.X) - 4))
    values = data.X.to_numpy(float)
    assert np.allclose(Treatments.of(few).variances, values[data.train].var(axis=0))


def test_without_treatments_and_compounds_each_row_is_its_own():
    data = dataclasses.replace(fold_data(), treatments=None, compounds=None, controls=None)
    known = Treatments.of(data)
    assert len(known.labels) == len(data.train) == known.compounds.max() + 1


def test_inner_splits_hold_out_whole_compounds():
    known = Treatments.of(fold_data())
    splits = InnerSplits.of(known, 5, 0)
    assert len(splits.train) == 5 and splits.judged.all()
    for split in range(5):
        inside = splits.split == split
        assert not splits.train[split][inside].any() and splits.train[split][~inside].all()
        assert not set(known.compounds[inside]) & set(known.compounds[splits.train[split]])
    counts = splits.train @ known.labels
    expected = (counts + 0.5) / (splits.train.sum(axis=1)[:, None] + 1)
    assert np.allclose(splits.prior, expected[splits.split])


def test_with_weeks_apart_each_week_is_held_out_with_its_compounds():
    data = fold_data(weeks=3)
    compound = data.compounds.copy()
    compound[data.compounds == 1] = 3  # a compound that is in two weeks
    known = Treatments.of(dataclasses.replace(data, compounds=compound))
    splits = InnerSplits.of(known, 5, 0)
    assert len(splits.train) == 3 and (splits.split == known.apart).all()
    for week in range(3):
        train = splits.train[week]
        assert not (known.apart[train] == week).any()
        assert not set(known.compounds[train]) & set(known.compounds[known.apart == week])
        left = ~train & (known.apart != week)
        assert set(known.compounds[left]) <= set(known.compounds[known.apart == week])


def test_treatments_whose_mechanism_a_split_lacks_are_not_judged():
    known = Treatments.of(fold_data())
    alone = known.labels.copy()
    alone[known.compounds == 0] = [1, 0, 0, 0]
    alone[known.compounds != 0, 0] = 0
    splits = InnerSplits.of(dataclasses.replace(known, labels=alone), 5, 0)
    assert not splits.judged[known.compounds == 0].any() and splits.judged[alone[:, 1] > 0].all()


def apart(settings, X, stored, part):
    """The probabilities that a model predicts whose training treatments are those of a split."""
    X, known = (sphered(each, part.variances, settings.shrinkage) for each in (X, part.profiles))
    if isinstance(settings, Neighbours):
        return neighbour_probabilities(X, known, part.labels, settings)
    return regression_probabilities(X, stored)


def largest_difference(known):
    """Between the predictions that settings are compared by, and those of models fitted on a split's treatments."""
    splits, found = InnerSplits.of(known, 5, 0), 0.0
    learner = ProfileLearner()
    compared = [
        each
        for paths in (
            compare_regressions(known, splits, learner.shrinkages, learner.penalties),
            compare_neighbours(known, splits, learner.shrinkages, learner.neighbours, learner.temperatures),
        )
        for path in paths
        for each in path
    ]
    for split, train in enumerate(splits.train):
        part = Treatments(known.profiles[train], known.labels[train], known.compounds[train], None, known.variances)
        held = splits.split == split
        for settings, q in compared:
            stored = {} if isinstance(settings, Neighbours) else fit_regression(part, settings)
            found = max(found, np.abs(apart(settings, known.profiles[held], stored, part) - q[held]).max())
    return found


@pytest.mark.parametrize("several", [False, True])
def test_what_is_compared_is_what_a_model_predicts(several, monkeypatch):
    known = Treatments.of(fold_data(noise=3.0, several=several))
    assert largest_difference(known) < 0.005
    monkeypatch.setattr(members, "_COMPARED", 0.3)
    assert largest_difference(known) > 0.01, "regressions that are stopped early are others"


def test_a_path_of_penalties_is_left_where_the_loss_rises(monkeypatch):
    """The choice is that of all settings, where the loss along each path falls and then rises."""
    data, solved, penalties = fold_data(noise=2.0), [], (1000.0, 100.0, 10.0, 1.0, 0.1)
    one_by_one = [train(data, ProfileLearner(members=("regression",), penalties=(c,)))[0] for c in penalties]
    honest = members.fit_softmax

    def counting(*arguments):
        for found in honest(*arguments):
            solved.append(found)
            yield found

    monkeypatch.setattr(members, "fit_softmax", counting)
    fitted, _ = train(data, ProfileLearner(members=("regression",), penalties=penalties))
    assert len(solved) < 3 * 5 + 1, "of three shrinkages, and the model's own"
    best = min(one_by_one, key=lambda each: each.history[-1]["valid_loss"])
    assert fitted.meta["members"]["regression"] == best.meta["members"]["regression"]


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("members", [("regression",), ("neighbours",), ("regression", "neighbours")])
def test_mechanisms_of_held_out_compounds_are_recognised(members, several):
    data = fold_data(several=several)
    fitted, p = train(data, ProfileLearner(members=members))
    y = data.y.iloc[data.valid]
    found = pd.DataFrame(p, y.index, y.columns)
    assert p.dtype == np.float32 and micro_areas(y, found)[0] > 0.9
    assert fitted.meta["one"] is not several and np.isfinite(p).all() and (p > 0).all()
    if not several:
        assert np.allclose(p.sum(axis=1), 1, atol=1e-5)
        prior = np.tile(y.to_numpy().mean(axis=0), (len(y), 1))
        assert log_loss(y, found) < 0.5 * log_loss(y, pd.DataFrame(prior, y.index, y.columns))


def test_where_no_treatment_has_several_mechanisms_those_with_one_are_learned_from():
    data = fold_data()
    y = data.y.copy()
    y.iloc[np.isin(data.compounds, [1, 2])] = 0
    fitted, p = train(dataclasses.replace(data, y=y))
    share = 1 - 2 / 19  # of the compounds for training two have no mechanism
    assert fitted.meta["one"] and fitted.meta["labelled"] == pytest.approx(share)
    assert fitted.meta["treatments"] == 17 * DOSES and np.allclose(p.sum(axis=1), share, atol=1e-5)
    known = Treatments.of(fold_data(several=True))
    assert known.of_one_mechanism() is known, "some have two"


def held_out_changed(data, rows):
    """Other profiles and labels for some rows."""
    X, y = data.X.copy(), data.y.copy()
    X.iloc[rows] = 100 - X.iloc[rows]
    y.iloc[rows] = 1 - y.iloc[rows]
    return dataclasses.replace(data, X=X, y=y)


def same(first, second):
    return first.meta == second.meta and all(
        first.tensors[name].equal(second.tensors[name]) for name in first.tensors if name in second.tensors
    )


@pytest.mark.parametrize("weeks", [1, 3])
def test_choices_see_no_held_out_row(weeks):
    data = fold_data(noise=3.0, weeks=weeks)
    first, _ = train(data)
    changed, _ = train(held_out_changed(data, data.valid))
    assert same(first, changed)


def test_a_planted_leak_is_found(monkeypatch):
    """A learner whose treatments include the held-out rows does not pass the test above."""
    data = fold_data(noise=3.0)
    honest = Treatments.of.__func__

    def leaking(cls, data):
        return honest(cls, dataclasses.replace(data, train=np.arange(len(data.X))))

    monkeypatch.setattr(Treatments, "of", classmethod(leaking))
    first, _ = train(data)
    changed, _ = train(held_out_changed(data, data.valid))
    assert not same(first, changed)


def test_exchanged_profiles_say_nothing():
    """Six draws: profiles change places between treatments, labels and groups stay."""
    found = []
    for seed in range(6):
        data = fold_data(seed=seed)
        rng = np.random.default_rng(seed)
        rows = np.flatnonzero(~data.controls)
        order = rng.permutation(COMPOUNDS * DOSES)
        source = np.argsort(data.treatments[rows], kind="stable").reshape(-1, WELLS)[order].ravel()
        X = data.X.copy()
        X.iloc[rows] = data.X.to_numpy()[rows[source]]
        _, p = train(dataclasses.replace(data, X=X))
        y = data.y.iloc[data.valid]
        found.append(micro_areas(y, pd.DataFrame(p, y.index, y.columns))[0])
    assert np.mean(found) < 0.53


def test_one_compound_for_each_mechanism_gives_the_settings_in_the_middle():
    data = fold_data()
    chosen = np.isin(data.compounds, np.arange(MECHANISMS)) | data.controls
    data = dataclasses.replace(data, train=np.flatnonzero(chosen), valid=np.flatnonzero(~chosen))
    fitted, p = train(data)
    assert fitted.meta["judged"] == 0 and (fitted.meta["beta"], fitted.meta["gamma"]) == (1.0, 1.0)
    assert fitted.meta["members"]["regression"] == [[0.3, 30.0], 1.0]
    assert p.shape == (len(data.valid), MECHANISMS) and np.isfinite(p).all()


def test_a_mechanism_without_training_rows_is_unlikely():
    data = fold_data()
    left = data.train[data.y.to_numpy()[data.train, 2] == 0]
    _, p = train(dataclasses.replace(data, train=left))
    assert np.isfinite(p).all() and p[:, 2].max() < 0.01


def test_neighbours_vote_by_their_cosine():
    X, known = np.array([[1.0, 0.0]]), np.array([[1.0, 0.0], [0.6, 0.8], [-1.0, 0.0]])
    labels = np.array([[1, 0], [0, 1], [1, 1]])
    votes = np.exp(np.array([1.0, 0.6, -1.0]) / 0.5)
    every = neighbour_probabilities(X, known, labels, Neighbours(1.0, None, 0.5))
    assert np.allclose(every, votes @ labels / votes.sum())
    two = neighbour_probabilities(X, known, labels, Neighbours(1.0, 2, 0.5))
    assert np.allclose(two, votes[:2] @ labels[:2] / votes[:2].sum())
    one = neighbour_probabilities(X, known, labels, Neighbours(1.0, 1, 0.5))
    assert np.allclose(one, [[1, 0]])


def test_sphered_profiles_have_length_one():
    rng = np.random.default_rng(0)
    found = sphered(rng.normal(size=(5, 3)), np.array([4.0, 1.0, 0.0]), 0.5)
    assert np.allclose(np.linalg.norm(found, axis=1), 1)
    assert np.allclose(sphered(np.zeros((1, 3)), np.ones(3), 1.0), 0)


def test_a_unit_gives_the_same_bits_again():
    data = fold_data()
    assert same(train(data)[0], fitting.fit(ProfileLearner(), FitJob(data, 3, 1, CPU)))
