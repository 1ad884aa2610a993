"""The section on blends: members used, what a search gained, and why a member may be better than its blend."""

from dataclasses import replace
from pathlib import Path

import pytest

from moa.blending.blend import BlendSpec, Searched, load_blend, save_blend
from moa.blending.catalogue import BLENDS
from moa.models.registry import recipe
from moa.reporting.blends import blends, members_in_words
from moa.reporting.inputs import Inputs, ModelResult
from moa.reporting.page import Table, Text
from moa.reporting.scores import ReportScores
from moa.weights.records import ManifestRecord

GOOD, FAIR, POOR = "three-stage-nn-10fold", "two-heads-v2", "deepinsight-resnest-v1"
FACTS = Searched(method="slsqp", rows=800, loss=0.0199, best_single=GOOD)


@pytest.fixture
def made(dataset):
    """A function: the report's scores with these blends, of three models of which each is better than the next."""
    y = dataset.scored[dataset.treated]
    tables = {GOOD: y * 0.5 + 0.01, FAIR: y * 0.45 + 0.012, POOR: y * 0.1 + 0.05}

    def make(*specs, profile="demo"):
        manifest = ManifestRecord(profile=profile)
        models = {
            name: ModelResult(name, recipe(name).title, recipe(name), oof, manifest=manifest)
            for name, oof in tables.items()
        }
        known = dataset.scored.iloc[:, :0]
        by_name = {spec.name: spec for spec in specs}
        return ReportScores(Inputs(dataset, Path("none"), True, None, known, models, by_name))

    return make


def searched(**facts):
    weights = {GOOD: 0.7, FAIR: 0.3, POOR: 0.0}
    members = [{"model": name, "weight": weight} for name, weight in weights.items()]
    return BlendSpec(name="mine", title="Mine", members=members, searched=FACTS.model_copy(update=facts))


def words(found):
    return [block.text for block in blends(found).blocks if isinstance(block, Text)]


def test_members_of_weight_0_are_counted_apart(made):
    found = made(searched(), load_blend(BLENDS["best-cv"]))
    specs = found.inputs.blends
    assert members_in_words(found, specs["mine"]) == "2 of 3 members, 1 at weight 0"
    assert members_in_words(found, specs["best-cv"]) == "3 of 5 members"
    tables = [block for block in blends(found).blocks if isinstance(block, Table)]
    assert tables[0].columns == ["member", "Mine", "Best CV"], "searched and published weights side by side"
    rows = {row[0]: row[1:] for row in tables[0].rows}
    assert rows["3-stage NN (10 folds)"] == ["0.7000", "0.3670"] and rows["DeepInsight ResNeSt V2"] == ["–", "0.2721"]


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({}, "the search was not cross-validated"),
        ({"nested": 0.02, "gain": 2e-4, "interval": (1e-4, 3e-4)}, "+0.00020, 95 % interval +0.00010 to +0.00030"),
        ({"nested": 0.02, "gain": 2e-4, "interval": (1e-4, 3e-4)}, "an interval above 0: the gain is real"),
        ({"nested": 0.02, "gain": 2e-4, "interval": (-1e-4, 3e-4)}, "holds 0: the gain may be chance"),
        ({"nested": 0.02, "gain": -2e-4, "interval": (-3e-4, -1e-4)}, "the best single model is better"),
    ],
)
def test_what_a_search_gained_is_said(made, tmp_path, facts, said):
    save_blend(searched(**facts), tmp_path / "mine.yaml")
    (text,) = (each for each in words(made(load_blend(tmp_path / "mine.yaml"))) if "searched by slsqp" in each)
    assert said in text and "on 800 treated rows" in text


def test_why_a_member_is_better_than_its_blend(made):
    blend = load_blend(BLENDS["best-cv"])
    (text,) = words(made(blend))
    assert text.startswith("Best CV: 3-stage NN (10 folds) alone has ") and "the demo’s small models" in text
    worse = 0.10876667 / (0.36704255 + 0.0808577 + 0.10876667)
    assert f"{worse:.0%} of the weight lies with members that are worse than the blend: DeepInsight ResNeSt V1" in text
    assert "small models" not in words(made(blend, profile="kaggle"))[0]
    best = replace(made(blend).inputs, blends={})
    assert blends(ReportScores(best)) is None
