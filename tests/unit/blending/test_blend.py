"""Blends by name: the published files, mixing, absent members."""

import logging

import numpy as np
import pandas as pd
import pytest
import yaml

from moa.blending.blend import BlendSpec, apply_blend, effective_weights, load_blend, save_blend
from moa.blending.catalogue import blend_path, expand_models, plate_blend
from moa.environment import FINAL
from moa.errors import UserError
from moa.models.registry import recipe, recipes
from support.predictions import table

MODELS = {
    "simple-nn-old-cv",
    "simple-nn-new-cv",
    "three-stage-nn-5fold",
    "three-stage-nn-10fold",
    "two-stage-nn-tabnet",
    "two-heads",
    "two-heads-v2",
    "deepinsight-efficientnet-b3",
    "deepinsight-resnest-v1",
    "deepinsight-resnest-v2",
}


def spec(**weights):
    return BlendSpec(name="mine", title="Mine", members=[{"model": m, "weight": w} for m, w in weights.items()])


def test_published_files():
    """Weights as the write-up prints them, members as this package names them."""
    lb, cv = load_blend(FINAL / "Best LB" / "blend.yaml"), load_blend(FINAL / "Best CV" / "blend.yaml")
    assert lb.weights.to_dict() == {
        "three-stage-nn-5fold": 0.333,
        "two-stage-nn-tabnet": 0.10,
        "simple-nn-old-cv": 0.09,
        "simple-nn-new-cv": 0.09,
        "two-heads": 0.09,
        "deepinsight-efficientnet-b3": 0.162,
        "deepinsight-resnest-v2": 0.135,
    }
    assert cv.weights.to_dict() == {
        "three-stage-nn-10fold": 0.36704255,
        "two-heads-v2": 0.0808577,
        "deepinsight-efficientnet-b3": 0.17120266,
        "deepinsight-resnest-v1": 0.10876667,
        "deepinsight-resnest-v2": 0.27213043,
    }
    assert lb.weights.sum() == pytest.approx(1.0, abs=1e-12)
    assert cv.weights.sum() == pytest.approx(1.00000001, abs=1e-12), "eight printed digits"
    assert set(lb.weights.index) | set(cv.weights.index) == MODELS
    assert (lb.published.public_lb, lb.published.private_lb, lb.published.oof) == (0.01808, 0.01599, None)
    assert (cv.published.public_lb, cv.published.private_lb, cv.published.oof) == (None, 0.01601, 0.015107)


def test_single_losses_behind_the_published_search():
    """The search's single OOF losses, printed with six digits, are the members' published CV, printed with five."""
    searched = {
        "three-stage-nn-10fold": 0.015461,
        "two-heads-v2": 0.015660,
        "deepinsight-efficientnet-b3": 0.016016,
        "deepinsight-resnest-v1": 0.015819,
        "deepinsight-resnest-v2": 0.015756,
    }
    known = recipes()
    for name in searched.keys() & known.keys():
        assert known[name].published.cv_rows == "treated", name
        assert known[name].published.cv == pytest.approx(searched[name], abs=5.1e-6), name
    assert load_blend(FINAL / "Best CV" / "blend.yaml").published.oof < min(searched.values())


@pytest.mark.parametrize(
    ("rest", "accepted"), [(0.60000001, True), (0.5999999, True), (0.60001, False), (0.5999, False)]
)
def test_weights_sum_to_one_within_what_was_rounded(rest, accepted):
    if accepted:
        assert spec(a=0.4, b=rest).weights.sum() == 0.4 + rest
    else:
        with pytest.raises(ValueError, match=r"the weights sum to .*; they must sum to 1"):
            spec(a=0.4, b=rest)


def test_save_and_load(tmp_path):
    mine = spec(a=0.1234567890123, b=0.8765432109877)
    save_blend(mine, tmp_path / "new" / "blend.yaml")
    assert load_blend(tmp_path / "new" / "blend.yaml") == mine


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"members": [{"model": "a", "weight": 0.5}, {"model": "a", "weight": 0.5}]}, "a is named twice"),
        ({"members": [{"model": "a", "weight": 0.5}, {"model": "b", "weight": 0.4}]}, "sum to 0.9"),
        ({"members": [{"model": "a", "weight": 1.2}, {"model": "b", "weight": -0.2}]}, "members.1.weight"),
        ({"members": [{"model": "a", "weight": float("nan")}]}, "members.0.weight"),
        ({"members": []}, "members"),
        ({"member": 3}, "member: Extra"),
        ({"name": "Best LB"}, "name"),
    ],
)
def test_a_wrong_file_is_reported_in_one_line(tmp_path, change, message):
    good = {"name": "x", "title": "X", "members": [{"model": "a", "weight": 1.0}]}
    path = tmp_path / "blend.yaml"
    path.write_text(yaml.safe_dump(good))
    assert load_blend(path).weights["a"] == 1.0
    path.write_text(yaml.safe_dump(good | change))
    with pytest.raises(UserError, match=message) as caught:
        load_blend(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_missing_or_broken_file(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        load_blend(tmp_path / "none.yaml")
    for text in ("members: [", "[" * 100_000):
        (tmp_path / "bad.yaml").write_text(text)
        with pytest.raises(UserError, match="not YAML") as caught:
            load_blend(tmp_path / "bad.yaml")
        assert "\n" not in str(caught.value)


def test_weighted_mean_by_name_not_position():
    a, b = table(1), table(2)
    moved = b.loc[["r3", "r1", "r4", "r2"], ["moa_c", "moa_a", "moa_b"]]
    mixed = apply_blend(spec(a=0.25, b=0.75), {"b": moved, "a": a, "unused": table(3)})
    pd.testing.assert_frame_equal(mixed, 0.25 * a + 0.75 * b)


def test_absent_member_is_an_error_or_renormalised(caplog):
    predictions = {"a": table(1), "b": table(2)}
    three = spec(a=0.2, b=0.3, c=0.5)
    with pytest.raises(UserError, match="no predictions of c"):
        apply_blend(three, predictions)
    with caplog.at_level(logging.INFO):
        mixed = apply_blend(three, predictions, missing="renormalise")
    assert "without c" in caplog.text
    pd.testing.assert_frame_equal(mixed, 0.4 * predictions["a"] + 0.6 * predictions["b"])
    assert effective_weights(spec(a=1.0, z=0.0), ["a"]).to_dict() == {"a": 1.0}
    with pytest.raises(UserError, match="no model"):
        effective_weights(three, [], "renormalise")


def test_differing_members_are_refused():
    with pytest.raises(UserError, match="predictions of b.*r4"):
        apply_blend(spec(a=0.5, b=0.5), {"a": table(1), "b": table(2).drop(index="r4")})
    spoilt = table(2)
    spoilt.loc["r2", "moa_b"] = np.nan
    with pytest.raises(UserError, match="predictions of b.*r2.*moa_b"):
        apply_blend(spec(a=0.5, b=0.5), {"a": table(1), "b": spoilt})


def test_an_unknown_name_gets_suggestions_of_models_and_blends():
    with pytest.raises(
        UserError, match=r"^no model or blend is named 'two-head'; did you mean 'two-heads'.*the path of"
    ):
        plate_blend("two-head")
    with pytest.raises(UserError, match=r"^no model or blend is named 'best-bl'; did you mean 'best-lb'"):
        expand_models(["best-bl"])


def test_one_name_that_is_nearly_right_has_one_message_wherever_it_is_given():
    for read in (blend_path, plate_blend, lambda name: expand_models([name])):
        with pytest.raises(UserError, match="^no model or blend is named 'any-asay'; did you mean 'any-assay'\\?"):
            read("any-asay")
    with pytest.raises(UserError, match="^no model is named 'any-asay'; did you mean 'any-assay'\\?"):
        recipe("any-asay")


def test_a_model_or_a_file_that_is_not_there_is_not_called_an_unknown_blend():
    with pytest.raises(UserError, match="^any-assay is a model and no blend; .* moa predict any-assay$"):
        blend_path("any-assay")
    with pytest.raises(UserError, match="^mine.yaml: there is no such file"):
        blend_path("mine.yaml")
