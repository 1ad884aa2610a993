"""Scores are numbers until they are printed."""

from math import isnan

import pandas as pd

from moa.jobs.model_scores import RANKING, score_model
from moa.metrics.losses import log_loss
from moa.models.registry import recipe

OLD, NEW = recipe("simple-nn-old-cv"), recipe("simple-nn-new-cv")


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


def test_a_score_has_the_fields_measures(dataset):
    y = dataset.scored[dataset.treated]
    scores = score_model(OLD, dataset, y * 0.5 + 0.25)
    assert scores.measures == dict.fromkeys(RANKING, 1.0)
    assert [scores.words()[heading] for heading in RANKING.values()] == ["1.000"] * len(RANKING)
    assert score_model(OLD, dataset, None).words()["ROC-AUC, micro"] == "–"
    nothing = score_model(OLD, dataset, y[~y.any(axis=1)] * 0.5).words()
    assert nothing["ROC-AUC, macro"] == nothing["top 5"] == "–" != nothing["treated rows"]
