"""Charts: drawings keep apart on a page and serve the notebooks."""

import re

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from moa.models import winners
from moa.plots import charts
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


def tiny_gains():
    return charts.gain_intervals(pd.DataFrame({"gain": [3e-6, 1e-5], "low": -2e-6, "high": 2e-5}, ["slsqp", "tpe"]))


def near_losses():
    scores = pd.DataFrame({"log loss": [0.0160001, 0.0160002], "prevalence": 0.0160004, "blend": [False, True]})
    return charts.score_dots(scores.set_axis(["a", "b"]))


def long_runs():
    epochs = [{"stage": "s", "seed": 0, "fold": 0, "epoch": e, "train_loss": 1e6, "valid_loss": 2e6} for e in range(3)]
    return learning_curves(pd.DataFrame(epochs))


def many_drugs():
    return charts.histogram({"a": pd.Series([0.01, 0.02] * 60_000)}, "log loss", "drugs")


@pytest.mark.parametrize("chart", [tiny_gains, near_losses, long_runs, many_drugs])
def test_no_factor_of_an_axis_stands_where_its_label_does(chart):
    figure = chart()
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            factor = axis.get_offset_text()
            overlap = factor.get_window_extent(renderer).overlaps(axis.label.get_window_extent(renderer))
            assert not factor.get_text() or not overlap, factor.get_text()
            shown = [text.get_text() for text in axis.get_ticklabels() if text.get_text()]
            assert len(set(shown)) == len(shown), "ticks of different values read alike"


def test_bars_of_missing_weights_are_empty_and_stages_are_stacked():
    weights = pd.DataFrame({"slsqp": [0.25, 0.75], "tpe": [1.0, None]}, ["a", "b"])
    figure = charts.weight_bars(weights)
    assert [[bar.get_width() for bar in bars] for bars in figure.axes[0].containers] == [[0.25, 0.75], [1, 0]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["slsqp", "tpe"]
    cost = pd.DataFrame({"model": [*"aab"], "stage": ["one", "two", "one"], "seconds": [60.0, 240.0, 30.0]})
    axes = charts.stacked_bars(cost).axes[0]
    assert [(bar.get_x(), bar.get_width()) for bar in axes.patches] == [(0, 1), (1, 4), (0, 0.5)]
    assert [text.get_text() for text in axes.texts] == ["one", "two"], "a short bar has no name"
    assert axes.get_xlabel() == "training time, minutes"
