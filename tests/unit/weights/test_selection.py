"""Which units a run trains."""

import pytest

from moa.data.folds import Folds
from moa.errors import UserError
from moa.models.base import Stage
from moa.weights.selection import Selection, UnitName, parse_seeds

STAGE = Stage("stage2", "scored", None, Folds(scheme="kfold", n_splits=3), (0, 1, 3, 4), None)


def of(**options):
    return Selection.of(**options).units(STAGE, feeds_later=False)


def test_seeds_are_a_number_or_named():
    assert of(seeds=2, folds=1) == [(0, 0), (1, 0)]
    assert of(seeds=(4, 3), fold=2) == [(3, 2), (4, 2)], "in the order of the stage"
    assert of(seeds=(3,)) == [(3, 0), (3, 1), (3, 2)]
    with pytest.raises(UserError, match="--seeds 3,7: stage2 has no seed 7, but 0, 1, 3, 4"):
        of(seeds=(3, 7))


def test_seeds_as_the_command_line_takes_them():
    assert (parse_seeds("2"), parse_seeds("4,3"), parse_seeds("3,"), parse_seeds("3,3")) == (2, (4, 3), (3,), (3,))
    for wrong in ("0", "a", "3,,4", ",", "-1", ""):
        with pytest.raises(UserError, match=f"--seeds {wrong}: expected a number of seeds such as 2"):
            parse_seeds(wrong)


def test_numbers_of_any_length_are_refused_in_one_line():
    digits = "9" * 5000
    for read in (parse_seeds, lambda text: parse_seeds(f"1,{text}"), lambda text: of(units=[f"stage2:seed={text}"])):
        with pytest.raises(UserError, match="^--(seeds|unit) .*expected") as caught:
            read(digits)
        assert len(str(caught.value)) < 250


def test_any_unit_can_be_named():
    assert of(units=["stage2:seed=3:fold=1"]) == [(3, 1)]
    assert of(units=["stage2:fold=1:seed=3", "stage2:seed=0:fold=2"]) == [(0, 2), (3, 1)]
    assert of(units=["stage2:fold=1"]) == [(0, 1), (1, 1), (3, 1), (4, 1)]
    assert len(of(units=["stage2"])) == 12 and of(units=["stage1:seed=3"]) == []
    assert Selection.of(units=["stage2:seed=3"]).units(STAGE, feeds_later=True) == [(3, 0), (3, 1), (3, 2)]
    for wrong in ("", ":seed=1", "seed=1", "stage2:3", "stage2:seed=x", "stage2:fold=1:fold=2", "stage2:seed=-1"):
        with pytest.raises(UserError, match="expected STAGE, STAGE:seed=3 or STAGE:seed=3:fold=1"):
            UnitName.parse(wrong)
    with pytest.raises(UserError, match="--unit stage2:seed=2: stage2 has no seed 2"):
        of(units=["stage2:seed=2"])
    with pytest.raises(UserError, match="--unit stage2:fold=3: stage2 has folds 0 to 2"):
        of(units=["stage2:fold=3"])
    with pytest.raises(UserError, match="give it without --seeds"):
        of(units=["stage2"], seeds=1)


def test_a_stage_that_is_named_must_be_there():
    stages = {"stage1": None, "stage2": STAGE}
    for options in ({"stage": "stage3"}, {"units": ["stage3:seed=1"]}):
        selection = Selection.of(**options)
        with pytest.raises(UserError, match="stage3.*: my-model has stage1, stage2"):
            selection.check("my-model", stages)
    one = Selection.of(units=["stage2:seed=3"])
    one.check("my-model", stages)
    assert one.has("stage2") and not one.has("stage1")


def test_folds_are_narrowed_only_where_no_later_stage_needs_them():
    assert len(Selection.of(seeds=1, fold=1).units(STAGE, feeds_later=True)) == 3
    assert Selection.of(seeds=1, fold=1, stage="stage2").units(STAGE, feeds_later=True) == [(0, 1)]
