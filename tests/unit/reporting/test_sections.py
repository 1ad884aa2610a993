"""Remarks on a score: what of a training run differs most from the published one."""

import pandas as pd
import pytest

from moa.data.assay import COMPETITION
from moa.models.registry import recipe
from moa.reporting.inputs import ModelResult
from moa.reporting.sections import deviations
from moa.weights.records import ManifestRecord

OLD = recipe("simple-nn-old-cv")


def trained(profile="kaggle", overlay=None, missing=0):
    config = OLD.configure(profile, overlay)
    stages = OLD.stages(config, COMPETITION)
    units = pd.DataFrame({"seconds": 1.0}, range(sum(len(stage.units()) for stage in stages) - missing))
    manifest = ManifestRecord(profile=profile, settings=config.model_dump(mode="json"))
    return ModelResult(OLD.name, OLD.title, OLD, manifest=manifest, units=units, stages=stages)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (trained(), []),
        (trained(missing=1), ["29 of 30 units trained"]),
        (trained("demo"), ["demo profile", "2 of 6 seeds", "3 folds instead of 5"]),
        (trained(overlay={"seeds": [1, 2, 3, 4, 5, 6]}), ["other seeds"]),
        (ModelResult("other", "Other", units=pd.DataFrame({"seconds": [1.0]})), []),
    ],
)
def test_deviations_are_named_in_a_few_words(model, words):
    assert deviations(model) == words
