"""Scores are numbers until they are printed."""

from math import isnan

import pandas as pd

from moa.jobs.model_scores import RANKING, score_model
from moa.metrics.losses import log_loss
from moa.models.registry import recipe

OLD, NEW, TWO_HEADS = recipe("simple-nn-old-cv"), recipe("simple-nn-new-cv"), recipe("two-heads")


def test_a_score_counts_the_rows_of_the_published_one(dataset):
    oof = pd.DataFrame(0.01, dataset.scored.index[dataset.treated], dataset.scored.columns)
    old, new = score_model(OLD, dataset, oof), score_model(NEW, dataset, oof)
    assert old.same_rows == old.treated_rows == log_loss(dataset.scored.loc[oof.index], oof), "and is not rounded"
    assert new.same_rows == new.all_rows < new.treated_rows and new.covered == 1
    assert old.words()["published CV"] == "0.01585 (treated)" and new.words()["published CV"] == "0.01572 (all) †"
    assert new.words()["OOF, same rows"] == f"{new.all_rows:.5f}" and new.words()["rows covered"] == "100%"
    part = score_model(NEW, dataset, oof.iloc[1:])
    assert isnan(part.same_rows) and part.treated_rows > 0 and part.covered < 1
    assert part.words()["OOF, same rows"] == "–" != part.words()["treated rows"]


def test_beside_the_honest_score_stands_that_of_what_the_published_figure_is_of(dataset):
    y = dataset.scored[dataset.treated]
    honest, leaky = y * 0.2 + 0.01, y * 0.3 + 0.01
    scores = score_model(TWO_HEADS, dataset, honest, leaky)
    assert scores.treated_rows == scores.same_rows == log_loss(y, honest) > scores.as_published == log_loss(y, leaky)
    assert scores.words()["OOF, as published"] == f"{scores.as_published:.5f}" != scores.words()["OOF, same rows"]
    assert scores.as_published_label == "after phase 3 ‡" and scores.words()["published CV"] == "0.01589 (treated) ‡"
    alone = score_model(TWO_HEADS, dataset, honest)
    assert isnan(alone.as_published) and "OOF, as published" not in alone.words() and not alone.as_published_label
    assert alone.measures == scores.measures


def test_a_score_has_the_fields_measures(dataset):
    y = dataset.scored[dataset.treated]
    scores = score_model(OLD, dataset, y * 0.5 + 0.25)
    assert scores.measures == dict.fromkeys(RANKING, 1.0)
    assert [scores.words()[heading] for heading in RANKING.values()] == ["1.000"] * len(RANKING)
    assert score_model(OLD, dataset, None).words()["ROC-AUC, micro"] == "–"
    nothing = score_model(OLD, dataset, y[~y.any(axis=1)] * 0.5).words()
    assert nothing["ROC-AUC, macro"] == nothing["top 5"] == "–" != nothing["treated rows"]
