"""The section on the leaderboard: the winners' cross-validation against their scores on Kaggle."""

from __future__ import annotations

import pandas as pd

from moa.blending.published_scores import published_scores
from moa.models.registry import package_recipes
from moa.models.remarks import footnotes
from moa.plots.leaderboard import cv_against_leaderboard
from moa.reporting.blends import is_published
from moa.reporting.page import LOSS, Figures, Section, Table, Text
from moa.reporting.scores import ReportScores


def leaderboard(found: ReportScores) -> Section | None:
    """The published scores of all models and blends, trained here or not; None for other data."""
    if not found.of_competition:
        return None
    models = [model for model in package_recipes().values() if model.published]
    specs = [spec for spec in found.inputs.blends.values() if is_published(spec)]
    frame = published_scores(specs)
    named = [f"{number}. {title}" for number, title in zip(frame["number"], frame["title"], strict=True)]
    table = pd.DataFrame({"model or blend": named, "CV": frame["shown"]})
    table = table.assign(**{"public LB": frame["public"], "private LB": frame["private"]})
    single = frame[~frame["blend"]]
    agreement = single["cv"].rank().corr(single["private"].rank())
    figures = [
        (cv_against_leaderboard(frame, board), f"CV against the {board} leaderboard") for board in ("public", "private")
    ]
    return Section(
        "leaderboard", "CV against the leaderboard",
        "What the winners published, on the real data, of all models and blends, whether they are trained here or not. "
        f"The rank correlation of CV and private leaderboard over the {len(single)} models is {agreement:.2f}. CVs are "
        "of different folds and rows, so that models of one kind compare best.",
        [
            Table.of(table, {"public LB": LOSS, "private LB": LOSS}, lowest=["public LB", "private LB"]),
            Figures(figures, column=420, least=360),
            Text("A dashed line is a blend without a published CV. Numbers are those of the table."),
            *map(Text, footnotes([*models, *specs])),
        ],
        "Leaderboard",
    )  # fmt: skip
