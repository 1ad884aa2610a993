"""The setting ``sphered`` of the networks: off as published, and the first of the features where it is set."""

import pytest

from moa.models.registry import recipe
from support.screens import screen

#: The part of the settings that holds it, and the stage that takes the features.
WHERE = {
    "simple-nn-old-cv": ("", "nn"),
    "simple-nn-new-cv": ("", "nn"),
    "three-stage-nn-5fold": ("", "stage2"),
    "two-stage-nn-tabnet": ("tabnet", "tabnet"),
    "two-heads": ("", "phase2"),
}


@pytest.mark.parametrize("name", list(WHERE))
def test_features_are_sphered_first_where_it_is_set(name):
    part, stage_name = WHERE[name]
    schema, model = screen().schema, recipe(name)
    first = {"selection": "t-test"} if name == "two-heads" else {}

    def steps(overlay):
        config = model.configure("kaggle", {part: overlay | first} if part else overlay | first)
        (stage,) = [each for each in model.stages(config, schema) if each.name == stage_name]
        return stage.features().steps

    plain, sphered = steps({}), steps({"sphered": 0.3})
    assert [step.name for step in sphered[:3]] == ["log", "standardised", "sphered"]
    assert [step.name for step in sphered[3:]] == [step.name for step in plain]
    assert sphered[2].transformer.shrinkage == 0.3 and sphered[2].fit_on == "controls"
