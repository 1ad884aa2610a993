"""The scores of a model's out-of-fold predictions: numbers, until they are printed."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isnan, nan

import pandas as pd

from moa.data.dataset import Dataset
from moa.metrics.losses import competition_log_loss, log_loss, prevalence_baseline
from moa.metrics.ranking import MEASURES, measures
from moa.models.base import Recipe

#: The measures of a row besides log loss, by name, and their headings; `moa score` has the others.
RANKING = {
    name: heading for name, heading in MEASURES.items() if name not in ("log_loss", "accuracy", "f1_macro", "ece")
}


@dataclass(frozen=True)
class ModelScores:
    """Scores of a model on the rows that its out-of-fold predictions cover; NaN where they are not known.

    Attributes:
        model: the recipe.
        of_competition: whether the data have the competition's columns, for which CVs are published.
        covered: share of the treated rows that are covered.
        treated_rows: log loss over the treated rows covered.
        all_rows: log loss over all rows with controls predicted 0; known once all treated rows are covered.
        prevalence: log loss of predicting each target's prevalence, over the treated rows covered.
        as_published: log loss of the predictions that the published CV is of, over the rows that it counts, where these
            are not the honest ones: after a phase that was fitted on the validation fold, or clipped.
        measures: the field's measures over the treated rows covered, by the names of ``RANKING``.
    """

    model: Recipe
    of_competition: bool
    covered: float = 0.0
    treated_rows: float = nan
    all_rows: float = nan
    prevalence: float = nan
    as_published: float = nan
    measures: dict[str, float] = field(default_factory=dict)

    @property
    def same_rows(self) -> float:
        """The log loss over the rows that the published CV counts; compares with it where ``as_published`` is NaN."""
        return self.treated_rows if self.model.cv_rows == "treated" else self.all_rows

    @property
    def as_published_label(self) -> str:
        """What ``as_published`` is of, in a few words and with its mark; empty where there is none."""
        return "" if isnan(self.as_published) else " ".join(filter(None, (each.label for each in self.model.remarks)))

    def words(self) -> dict[str, str]:
        """The scores as text by heading.

        Without "OOF, same rows" and "published CV" for data of another assay; "OOF, as published" where there is one.
        """
        row = {
            "model": self.model.title,
            "treated rows": _digits(self.treated_rows, 5),
            "all rows": _digits(self.all_rows, 5),
            "prevalence": _digits(self.prevalence, 5),
            "rows covered": f"{self.covered:.0%}",
        }
        if self.of_competition:
            row |= {"OOF, same rows": _digits(self.same_rows, 5)}
            row |= {} if isnan(self.as_published) else {"OOF, as published": _digits(self.as_published, 5)}
            row |= {"published CV": self.model.cv_text}
        return row | {heading: _digits(self.measures.get(name, nan), 3) for name, heading in RANKING.items()}


def score_model(
    model: Recipe, data: Dataset, oof: pd.DataFrame | None, as_published: pd.DataFrame | None = None
) -> ModelScores:
    """Score out-of-fold predictions.

    Args:
        model: the recipe.
        data: the data set.
        oof: honest out-of-fold predictions, shape (rows covered, targets); None where only earlier stages are trained.
        as_published: those that the published CV is of where that is of others, same shape; see
            ``moa.weights.trained.Trained.oof_as_published``.
    """
    of_competition = data.schema.of_competition
    if oof is None:
        return ModelScores(model, of_competition)
    treated = data.treated.loc[oof.index]
    y, predicted = data.scored.loc[oof.index][treated], oof[treated]
    found = measures(y, predicted)
    losses = _losses(data, oof)
    others = (nan, nan) if as_published is None or not of_competition else _losses(data, as_published)
    return ModelScores(
        model,
        of_competition,
        len(y) / int(data.treated.sum()),
        *losses,
        log_loss(y, prevalence_baseline(data.scored[data.treated], y.index)),
        others[model.cv_rows == "all"],
        {name: found[name] for name in RANKING},
    )


def _losses(data: Dataset, oof: pd.DataFrame) -> tuple[float, float]:
    """Log loss over the treated rows covered, and over all rows with controls predicted 0: NaN while some lack."""
    treated = oof[data.treated.loc[oof.index]]
    whole = len(treated) == data.treated.sum()
    all_rows = competition_log_loss(data.scored, oof, data.treated) if whole else nan
    return log_loss(data.scored.loc[treated.index], treated), all_rows


def _digits(value: float, digits: int) -> str:
    return "–" if isnan(value) else f"{value:.{digits}f}"
