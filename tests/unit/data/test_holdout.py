"""Folds that hold out whole compounds, each in turn or in parts, and what else a fold's training rows must not have."""

import numpy as np
import pandas as pd
import pytest

from moa.data.assay import Assay
from moa.data.dataset import Dataset
from moa.data.holdout import HoldOut
from moa.errors import UserError

ASSAY = Assay.model_validate(
    {
        "name": "screen",
        "groups": {"genes": {"columns": ["g"]}},
        "control": {"column": "cp_type", "values": ["ctl_vehicle"]},
        "compound": True,
    }
)


def screen(compounds=12, wells=4, controls=6, weeks=3):
    """Each two compounds share a mechanism; a compound's wells lie in two weeks."""
    rows = compounds * wells + controls
    index = pd.Index([f"w{number:03d}" for number in range(rows)], name="sig_id")
    compound = np.r_[np.repeat([f"drug {n:02d}" for n in range(compounds)], wells), ["DMSO"] * controls]
    kind = np.where(compound == "DMSO", "ctl_vehicle", "trt_cp")
    week = np.array([f"week {(n // wells + n % 2) % weeks}" for n in range(rows)])
    mechanism = np.where(kind == "trt_cp", np.arange(rows) // (2 * wells), -1)
    scored = pd.DataFrame({f"moa {m}": (mechanism == m).astype(np.uint8) for m in range(compounds // 2)}, index)
    features = pd.DataFrame({"cp_type": kind, "g": np.arange(rows, dtype=float)}, index)
    order = np.random.default_rng(0).permutation(rows)
    return Dataset(
        features.iloc[order], scored.iloc[order], None, features.iloc[:0],
        pd.Series(compound, index).iloc[order], None, {}, ASSAY, wells=pd.DataFrame({"week": week}, index),
    )  # fmt: skip


def folds_of(scheme, data):
    held = scheme.assign(data, data.features.index)
    known = pd.DataFrame({"fold": held.fold, "compound": data.drugs, "treated": data.treated}, data.features.index)
    return held, known.join(data.wells)


@pytest.mark.parametrize("parts", [None, 2, 5])
def test_every_compound_is_held_out_whole(parts):
    data = screen()
    scheme = HoldOut.of(("compound",), parts, data)
    held, known = folds_of(scheme, data)
    treated = known[known["treated"]]
    assert (treated.groupby("compound")["fold"].nunique() == 1).all()
    assert scheme.n_splits == treated["fold"].nunique() == (parts or 12) and scheme.label == f"compound-{parts or 12}"
    for fold in range(scheme.n_splits):
        train = known.iloc[held.train(fold)]
        assert not set(train.loc[train["treated"], "compound"]) & set(treated.loc[treated["fold"] == fold, "compound"])
        assert sorted([*train.index, *known.index[known["fold"] == fold]]) == sorted(known.index), (
            "all others are trained on"
        )


def test_compounds_of_a_mechanism_are_spread_over_the_parts():
    data = screen()
    _, known = folds_of(HoldOut.of(("compound",), 4, data), data)
    by_mechanism = known[known["treated"]].groupby(data.scored.idxmax(axis=1)[known["treated"]])["fold"].nunique()
    assert (by_mechanism == 2).all(), "each mechanism can be learned from its other compound"


def test_each_model_seed_draws_its_own_parts():
    data = screen()
    scheme = HoldOut.of(("compound",), 5, data)
    draws = [scheme.assign(data, data.features.index, seed) for seed in (0, 1, 1)]
    assert scheme.per_seed and (draws[1].fold == draws[2].fold).all() and (draws[0].fold != draws[1].fold).any()
    for columns, parts in ((("compound",), None), (("compound", "week"), 5)):
        scheme = HoldOut.of(columns, parts, data)
        one, other = (scheme.assign(data, data.features.index, seed) for seed in (0, 1))
        assert not scheme.per_seed and (one.fold == other.fold).all()


@pytest.mark.parametrize("compounds", range(3, 9))
def test_no_part_is_empty_in_any_draw(compounds):
    data = screen(compounds=compounds, wells=2)
    for parts in range(2, compounds + 1):
        scheme = HoldOut.of(("compound",), parts, data)
        for seed in range(20):
            held = scheme.assign(data, data.features.index[data.treated], seed)
            assert set(held.fold) == set(range(parts)) and scheme.n_splits == parts


def test_controls_are_spread_over_the_folds_by_rows():
    data = screen(controls=7)
    scheme = HoldOut.of(("compound",), 3, data)
    held, known = folds_of(scheme, data)
    assert sorted(known.loc[~known["treated"], "fold"].value_counts()) == [2, 2, 3]
    controls = set(np.flatnonzero(~known["treated"]))
    for fold in range(3):
        inside = set(np.flatnonzero(known["fold"] == fold)) & controls
        assert controls - inside <= set(held.train(fold)) and not inside & set(held.train(fold))


def test_the_folds_follow_from_the_treated_rows_alone():
    data = screen()
    scheme = HoldOut.of(("compound",), 3, data)
    treated = data.features.index[data.treated]
    whole, part = scheme.assign(data, data.features.index), scheme.assign(data, treated)
    assert (whole.fold[data.treated.to_numpy()] == part.fold).all()
    assert (scheme.assign(data, treated[::-1]).fold[::-1] == part.fold).all()


@pytest.mark.parametrize("parts", [None, 3])
def test_a_further_column_is_left_out_of_the_training_rows(parts):
    data = screen()
    scheme = HoldOut.of(("compound", "week"), parts, data)
    held, known = folds_of(scheme, data)
    assert scheme.label == f"compound+week-{scheme.n_splits}"
    for fold in range(scheme.n_splits):
        train, valid = known.iloc[held.train(fold)], known[(known["fold"] == fold) & known["treated"]]
        assert len(train) and valid["week"].nunique() == 1
        assert not set(train["compound"]) & set(valid["compound"]) - {"DMSO"}
        assert set(valid["week"]).isdisjoint(train["week"]), "controls of that week included"
    pairs = known[known["treated"]].groupby(["compound", "week"])["fold"]
    assert (pairs.nunique() == 1).all() and (parts or scheme.n_splits == len(pairs))


def test_what_cannot_be_held_out_is_refused():
    data = screen()
    for columns, change, expected in (
        (("batch",), data, "column 'batch' of the rows is not known; choose of: .*week"),
        (("compound", "compound"), data, "name each column once"),
        (("week",), screen(weeks=1), "all treated rows have one week"),
    ):
        with pytest.raises(UserError, match=expected) as caught:
            HoldOut.of(columns, None, change)
        assert "\n" not in str(caught.value)
    data.wells.loc[data.features.index[data.treated][3], "week"] = None
    with pytest.raises(UserError, match="--hold-out compound,week: 1 treated rows have no week, the first is 'w"):
        HoldOut.of(("compound", "week"), None, data)


def test_a_fold_without_training_rows_is_refused():
    data = screen(weeks=1)
    scheme = HoldOut.of(("compound", "week"), None, data)
    with pytest.raises(UserError, match="fold 0: no treated row is left to train on; hold out fewer columns"):
        scheme.assign(data, data.features.index).train(0)
