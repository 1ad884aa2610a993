"""Charts: drawings keep apart on a page and serve the notebooks."""

import re

import pandas as pd

from moa.models import winners
from moa.plots.charts import correlation_heatmap, learning_curves
from moa.reporting.page import svg


def test_drawings_keep_apart_and_serve_the_notebooks():
    history = pd.DataFrame(
        [
            {"stage": stage, "seed": 0, "fold": fold, "epoch": epoch, "train_loss": 1 / (epoch + 1), "valid_loss": 0.5}
            for stage in ("first", "second") for fold in (0, 1) for epoch in range(4)
        ]
    )  # fmt: skip
    figure = learning_curves(history)
    assert [axes.get_title() for axes in figure.axes] == ["first", "second"]
    assert figure.axes[0].lines[0].get_ydata().tolist() == [1, 1 / 2, 1 / 3, 1 / 4]
    square = pd.DataFrame([[1, 0.8], [0.8, 1]], ["a", "b"], ["a", "b"])
    one, two = (svg(correlation_heatmap(square), prefix) for prefix in ("one", "two"))
    assert one.startswith("<svg") and "0.80" in one and "data:image/png;base64," in one
    names = [set(re.findall(r'id="([^"]+)"', text)) for text in (one, two)]
    assert names[0] and not names[0] & names[1]
    assert all(name in names[0] for name in re.findall(r'(?:href="#|url\(#)([^")]+)', one))


def test_winners_are_lines_by_epoch_or_dots_of_best_epochs():
    row = {"seed": 1120, "fold": 0, "train_loss": 0.016, "valid_loss": 0.015}
    history = pd.DataFrame([{"stage": "cnn", "epoch": epoch, **row} for epoch in range(3)])
    axes = learning_curves(history, winners.curves("deepinsight-resnest-v2")).axes[0]
    dots = axes.collections[0].get_offsets()
    assert len(dots) == 10 and tuple(dots[0]) == (25, 0.014446)
    axes = learning_curves(history.assign(stage="stage1"), winners.curves("three-stage-nn-5fold")).axes[0]
    assert axes.lines[0].get_label() == "winners' validation, sister run" and len(axes.lines[0].get_xdata()) == 15
