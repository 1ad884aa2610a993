"""Options of training and of plates, as the command line and as Python give them."""

import pytest

from moa.errors import UserError
from moa.jobs.options import DeviceOptions, PlateOptions, RunOptions, TrainOptions, UnitOptions
from moa.weights.selection import Selection, UnitName


def test_text_of_the_command_line_and_values_of_python_are_the_same():
    typed = TrainOptions(seeds="3,4", groups="genes,cells", parts="5", settings=["learner.hidden=4"])
    given = TrainOptions(seeds=[3, 4], groups=["genes", "cells"], parts=5, settings={"learner": {"hidden": 4}})
    assert typed == given and typed.seeds == (3, 4) and typed.groups == ("genes", "cells")
    assert TrainOptions(groups="") == TrainOptions() and TrainOptions(parts="each").parts == "each"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"seeds": "0"}, "--seeds 0: expected a number of seeds such as 2"),
        ({"seeds": 0}, "--seeds 0: expected a number of seeds such as 2"),
        ({"seeds": True}, "--seeds True: expected a number of seeds such as 2"),
        ({"seeds": [-1]}, "--seeds -1,: expected a number of seeds such as 2"),
        ({"seeds": []}, "--seeds : expected a number of seeds such as 2"),
        ({"seeds": 1.5}, "--seeds 1.5: expected a number of seeds such as 2"),
        ({"parts": "1"}, "--parts 1: expected a number of at least 2, or each"),
        ({"parts": 1}, "--parts 1: expected a number of at least 2, or each"),
        ({"settings": ["hidden"]}, "--set hidden: expected NAME=VALUE"),
        ({"folds": 0}, "--folds 0: expected at least 1"),
    ],
)
def test_values_that_cannot_be_used(values, message):
    with pytest.raises(UserError, match=message):
        TrainOptions(**values)


def test_the_units_that_are_selected():
    assert UnitOptions(seeds="2", folds=1).selection == Selection(2, 1)
    assert TrainOptions(seeds="3,", fold=1, stage="nn").selection == Selection((3,), None, 1, "nn")
    assert TrainOptions(units=["nn:seed=3"]).selection == Selection(names=(UnitName("nn", 3),))
    with pytest.raises(UserError, match="give it without --seeds"):
        _ = TrainOptions(units=["nn"], seeds=1).selection


def test_what_is_not_given_is_left_to_the_runtime():
    assert DeviceOptions(device="cpu").runtime.model_fields_set == {"device"}
    runtime = TrainOptions(device="cpu", devices="2", channels_last=True).runtime
    assert runtime.devices == 2 and runtime.model_fields_set == {"device", "devices", "channels_last"}
    assert RunOptions(device="cuda", on="local").runtime.device, (
        "the device is that of the cluster, not of this machine"
    )


def test_options_of_a_laboratorys_file_are_known():
    """Also where they are given with their default, which goes before the mapping's setting."""
    assert not PlateOptions(top=3, wells=[]).of_laboratory
    for values in (
        {"fill_missing": 0},
        {"wells": ["map.csv"]},
        {"level": "4"},
        {"level": "auto"},
        {"mapping": "m.yaml"},
    ):
        assert PlateOptions(**values).of_laboratory
    assert PlateOptions(level="4").importing.level == "4" and PlateOptions().importing.level == "auto"
