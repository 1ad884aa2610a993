"""The section on scores: published ones beside ours, and what of a training run differs most from the published one."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moa.blending.blend import load_blend
from moa.blending.catalogue import BLENDS
from moa.data.assay import COMPETITION
from moa.learners.two_heads.settings import AFTER
from moa.metrics.losses import log_loss
from moa.models.registry import recipe
from moa.reporting.inputs import Inputs, ModelResult
from moa.reporting.page import Table, Text
from moa.reporting.scores import ReportScores
from moa.reporting.sections import deviations, scores
from moa.weights.records import ManifestRecord

OLD = recipe("simple-nn-old-cv")


def test_a_published_score_stands_beside_what_it_is_of(dataset):
    y = dataset.scored[dataset.treated]
    honest, leaky, whole = y * 0.2 + 0.01, y * 0.3 + 0.01, y * 1.0
    models = {
        name: ModelResult(name, recipe(name).title, recipe(name), oof)
        for name, oof in (("two-heads-v2", honest), ("three-stage-nn-5fold", whole), ("three-stage-nn-10fold", honest))
    }
    models["two-heads-v2"].variants = {AFTER: leaky, "other": leaky}
    known = dataset.scored.iloc[:, :0]
    blends = {"best-cv": load_blend(BLENDS["best-cv"])}
    found = ReportScores(Inputs(dataset, Path("none"), False, None, known, models, blends))
    section = scores(found)
    (table,) = (block for block in section.blocks if isinstance(block, Table))
    rows = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    shown = {name: (row["OOF, same rows"], row["published"]) for name, row in rows.items()}
    assert shown == {
        "2-heads ResNet V2": (f"{log_loss(y, honest):.5f}", "0.01566 (treated) ‡"),
        "↳ after phase 3 ‡ (leaks)": (f"{log_loss(y, leaky):.5f}", "0.01566 (treated) ‡"),
        "↳ other (leaks)": ("–", "–"),
        "3-stage NN (5 folds)": ("0.00000", "0.01561 (treated) §"),
        "↳ clipped §": (f"{-np.log(0.9995):.5f}", "0.01561 (treated) §"),
        "3-stage NN (10 folds)": (f"{log_loss(y, honest):.5f}", "0.01546 (treated)"),
        "Best CV": (f"{log_loss(y, honest):.5f}", "0.015107 (treated) ‡"),
    }
    notes = [block.text for block in section.blocks if isinstance(block, Text)]
    (leaks,) = (note for note in notes if note.startswith("‡"))
    assert "0.01566 (2-heads ResNet V2) and 0.015107 (Best CV, of 2-heads ResNet V2)" in leaks
    assert any(note.startswith("§ The winners clipped") for note in notes) and not any("†" in note for note in notes)
    assert list(found.everything) == ["two-heads-v2", "three-stage-nn-5fold", "three-stage-nn-10fold", "best-cv"]


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
