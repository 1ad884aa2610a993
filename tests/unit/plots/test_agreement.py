"""Charts of how alike models are: what is drawn of a table, and in which order."""

import numpy as np
import pandas as pd
import pytest

from moa.plots.agreement import correlation_bars, search_history, target_correlations, weight_and_diversity


def names(axes):
    """The rows of a chart from the top."""
    low, high = axes.get_ylim()
    assert low > high, "the first row is at the top"
    return [label.get_text() for label in axes.get_yticklabels()]


def test_one_bar_per_model_and_kind_of_correlation():
    table = pd.DataFrame({"probabilities": [0.9, 0.4], "ranks": [0.5, -0.2]}, ["one", "two"])
    axes = correlation_bars(table).axes[0]
    assert names(axes) == ["one", "two"]
    assert [[bar.get_width() for bar in bars] for bars in axes.containers] == [[0.9, 0.4], [0.5, -0.2]]
    middles = np.array([[bar.get_y() + bar.get_height() / 2 for bar in bars] for bars in axes.containers])
    np.testing.assert_allclose(middles, [[-0.2, 0.8], [0.2, 1.2]])
    assert axes.get_xlim() == (-0.2, 1)


def test_the_pairs_that_are_least_alike_are_drawn():
    pairs = {f"pair {number}": pd.Series([number / 10, number / 10 + 0.02]) for number in (5, 1, 3)}
    axes = target_correlations(pairs, most=2).axes[0]
    assert names(axes) == ["pair 1", "pair 3"]
    np.testing.assert_allclose(axes.collections[1].get_offsets(), [[0.11, 0], [0.31, 1]])


def test_without_pairs_the_chart_is_empty():
    assert target_correlations({}).axes[0].get_yticklabels() == []


def test_dots_are_larger_where_the_loss_is_lower():
    members = pd.DataFrame({"weight": [0.7, 0.3], "correlation": [0.6, 0.8], "log loss": [0.02, 0.03]}, ["a", "b"])
    axes = weight_and_diversity(members).axes[0]
    assert axes.collections[0].get_sizes().tolist() == [240, 40]
    assert [text.get_text() for text in axes.texts] == ["a", "b"]


def test_names_stand_by_their_own_dots_and_cover_nothing():
    """Figures of the demo, where dots lie close."""
    members = pd.DataFrame(
        {
            "weight": [0.162, 0.135, 0.09, 0.09, 0.333, 0.09, 0.1],
            "correlation": [0.08454, 0.09666, 0.25898, 0.22581, 0.22392, 0.17652, 0.15341],
            "log loss": [0.02392, 0.02244, 0.01789, 0.02280, 0.02073, 0.02042, 0.02011],
        },
        ["DeepInsight EfficientNet-B3-NS", "DeepInsight ResNeSt V2", "Simple NN, old CV", "Simple NN, new CV"]
        + ["3-stage NN (5 folds)", "2-heads ResNet", "2-stage NN + TabNet"],
    )
    figure = weight_and_diversity(members)
    axes = figure.axes[0]
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts]
    for number, (text, box) in enumerate(zip(axes.texts, boxes, strict=True)):
        assert not box.padded(2).count_overlaps(boxes[:number] + boxes[number + 1 :]), text.get_text()
        middles = axes.transData.transform(members[["correlation", "weight"]])
        apart = np.hypot(*(middles - np.clip(middles, box.min, box.max)).T)
        assert members.index[apart.argmin()] == text.get_text()
        radii = np.sqrt(axes.collections[0].get_sizes()) / 2 * figure.dpi / 72
        assert (apart > radii).all(), text.get_text()
        assert axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1


def test_a_search_shows_the_best_loss_so_far():
    losses = pd.DataFrame({"loss": [0.3, 0.2, 0.25], "slsqp": 0.19})
    axes = search_history(losses).axes[0]
    best, other = axes.lines
    assert best.get_ydata().tolist() == [0.3, 0.2, 0.2] and other.get_ydata() == [0.19, 0.19]
    assert axes.get_ylim()[0] == pytest.approx(0.19 - 0.08 * (losses["loss"].quantile(0.9) - 0.19))
