"""Settings of a command line: how they are read, and what is said of those that a model lacks."""

import pytest

from moa.errors import UserError
from moa.models.registry import recipe
from moa.models.settings import parse_settings

MODEL = recipe("two-stage-nn-tabnet")


def test_assignments_become_nested_values():
    found = parse_settings(
        [
            "learner.hidden=1024",
            "seeds=[0, 1]",
            "learner.block=2-fc",
            "lr=1e-3",
            "a.b.c=null",
            "d=None",
            "e=true",
            "f=a=b",
        ]
    )
    assert found == {
        "learner": {"hidden": 1024, "block": "2-fc"},
        "seeds": [0, 1],
        "lr": "1e-3",
        "a": {"b": {"c": None}},
        "d": None,
        "e": True,
        "f": "a=b",
    }
    assert parse_settings(["a=1", "a=2", "b=1", "b.c=3"]) == {"a": 2, "b": {"c": 3}} and parse_settings([]) == {}


@pytest.mark.parametrize("text", ["hidden", "=3", "a..b=3", "a b=3", "learner.=3", "a=[1", "a={", "0=1"])
def test_what_is_no_assignment_is_refused(text):
    with pytest.raises(UserError, match="--set") as caught:
        parse_settings([text])
    assert "\n" not in str(caught.value)


def test_settings_are_those_of_the_model():
    config = MODEL.configure("demo", parse_settings(["tabnet.learner.lr=1e-3", "nonscored.seeds=[7]"]))
    assert config.tabnet.learner.lr == 0.001 and config.nonscored.seeds == (7,)
    assert config.tabnet.learner.epochs == MODEL.demo["tabnet"]["learner"]["epochs"], "the profile holds for the others"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seeds=[0]", "two-stage-nn-tabnet: there is no setting seeds; it has nonscored, tabnet, meta_features"),
        ("tabnet.learner.epoch=3", r"did you mean tabnet.learner.epochs\? tabnet.learner has"),
        ("tabnet.seeds=no", "wrong setting: tabnet.seeds"),
        ("tabnet.learner.epochs=many", "tabnet.learner.epochs: .*integer"),
        ("meta_features.x=1", "wrong setting: meta_features"),
    ],
)
def test_wrong_settings_are_named(text, message):
    with pytest.raises(UserError, match=message) as caught:
        MODEL.configure("kaggle", parse_settings([text]))
    assert "\n" not in str(caught.value)
