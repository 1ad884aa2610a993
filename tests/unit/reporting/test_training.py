"""Learning curves of the report: beside the winners' on the real data, and alone on any other."""

from types import SimpleNamespace

import pandas as pd
import pytest

from moa.data.assay import COMPETITION
from moa.reporting.inputs import ModelResult
from moa.reporting.page import Figures, Text
from moa.reporting.training import WINNERS, curves

OLD, TABNET = "simple-nn-old-cv", "two-stage-nn-tabnet"


def found(*names, synthetic=False, schema=COMPETITION):
    """What the section reads of the scores: models with one unit of three epochs."""
    row = {"seed": 940, "fold": 0, "train_loss": 0.02, "valid_loss": 0.03, "valid_batch_loss": 0.017}
    history = pd.DataFrame([{"stage": "nn", "epoch": epoch, **row} for epoch in range(3)])
    models = {name: ModelResult(name, name, history=history) for name in names}
    return SimpleNamespace(
        inputs=SimpleNamespace(models=models, synthetic=synthetic, data=SimpleNamespace(schema=schema))
    )


def drawn(section):
    """Labels of the lines of each figure, and the paragraphs."""
    figures = [figure for block in section.blocks if isinstance(block, Figures) for figure, _ in block.figures]
    labels = [[line.get_label() for line in figure.axes[0].lines] for figure in figures]
    return labels, [block.text for block in section.blocks if isinstance(block, Text)], figures


def test_the_winners_curves_are_drawn_on_the_real_data():
    labels, words, figures = drawn(curves(found(OLD, TABNET)))
    assert labels == [["winners' validation", "training", "validation"], ["training", "validation"]]
    assert words == [WINNERS]
    lines = figures[0].axes[0].lines
    assert len(lines[0].get_xdata()) == 25 and lines[0].get_ydata().min() == pytest.approx(0.01604, abs=2e-5)
    assert lines[2].get_ydata()[0] == 0.017, "both are means over batches"
    assert figures[1].axes[0].lines[1].get_ydata()[0] == 0.03


@pytest.mark.parametrize("other", [{"synthetic": True}, {"schema": COMPETITION.model_copy(update={"targets": 3})}])
def test_they_are_left_out_on_other_data(other):
    labels, words, _ = drawn(curves(found(OLD, **other)))
    assert labels == [["training", "validation"]] and len(words) == 1 and "are left out" in words[0]


def test_without_a_history_there_is_no_section():
    none = found(OLD)
    none.inputs.models[OLD].history = pd.DataFrame()
    assert curves(none) is None
