"""The chart of published scores: what is a dot, and what a line."""

import pandas as pd

from moa.plots.leaderboard import cv_against_leaderboard

SCORES = pd.DataFrame(
    {
        "number": ["1", "2", "3", "4"],
        "cv": [0.016, 0.015, float("nan"), 0.0151],
        "public": [0.018, 0.0185, 0.0181, float("nan")],
        "private": [0.0162, 0.0163, 0.016, 0.0161],
        "blend": [False, False, True, True],
    }
)


def test_models_and_blends_are_dots_with_their_numbers_and_a_blend_without_cv_is_a_line():
    axes = cv_against_leaderboard(SCORES, "private").axes[0]
    models, blends = (dots.get_offsets().tolist() for dots in axes.collections)
    assert models == [[0.016, 0.0162], [0.015, 0.0163]] and blends == [[0.0151, 0.0161]]
    assert [line.get_ydata()[0] for line in axes.lines] == [0.016]
    assert [text.get_text() for text in axes.texts] == ["1", "2", "4", "3"]
    axes = cv_against_leaderboard(SCORES, "public").axes[0]
    assert len(axes.collections) == 1 and len(axes.lines) == 1, "the other blend has no public score"
