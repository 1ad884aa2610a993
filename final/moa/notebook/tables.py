"""Tables and small printed facts of the notebooks: what they run on, scores by target, agreement, claims."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from moa.blending.blend import load_blend
from moa.blending.catalogue import BLENDS
from moa.blending.published_scores import published_scores
from moa.data.dataset import Dataset
from moa.data.schema import TRAIN_ROWS
from moa.data.stored_tables import read_table
from moa.data.synthetic import is_synthetic
from moa.errors import StoreError, UserError
from moa.jobs.ablation import in_words
from moa.jobs.writeup_claims import WRITE_UP
from moa.kaggle.session import Session
from moa.metrics.correlation import prediction_correlation
from moa.metrics.losses import column_log_loss, log_loss, prevalence_baseline
from moa.metrics.ranking import column_areas
from moa.models.registry import recipes
from moa.plots.charts import calibration_curve
from moa.plots.leaderboard import cv_against_leaderboard
from moa.reporting.scores import calibration_table
from moa.weights.layout import WeightsFolder
from moa.weights.trained import open_trained

#: Rows of a table of the first and the last.
TEN = 10


def runs_on(session: Session, data: Dataset | None = None) -> None:
    """Print what a notebook runs on: real or synthetic data, and which profile."""
    rows = "" if data is None else f", {len(data.features):,} training and {len(data.test):,} test rows"
    if is_synthetic(session.data):
        print(f"data: SYNTHETIC, {session.data}{rows}")
        print("      drawn by `moa data synthesize`: scores here say nothing about the competition")
    else:
        whole = data is None or (data.schema.of_competition and len(data.features) == TRAIN_ROWS)
        print(f"data: {'real' if whole else 'real, but not the whole competition'}, {session.data}{rows}")
    if session.profile == "demo":
        print("profile: demo, small networks and few seeds and folds; `kaggle` has the published settings")
    else:
        print(f"profile: {session.profile}, the published settings")


def groups_of(data: Dataset) -> dict[str, list[str]]:
    """Names of the features by group, such as genes and cells."""
    return {group.name: list(group.columns) for group in data.schema.groups}


def rows_by_kind(data: Dataset) -> dict[str, pd.Series]:
    """Counts of training rows by treatment and by each condition, and of treated rows by number of mechanisms."""
    treated = data.treated
    found = {"treatment": treated.map({True: "treated", False: "control"}).value_counts()}
    for condition in data.schema.conditions:
        values = data.features[condition.column]
        found[condition.name] = values.value_counts().sort_index().head(8)
    found["mechanisms of a row"] = data.scored[treated].sum(axis=1).value_counts().sort_index()
    return found


def drug_sizes(data: Dataset) -> pd.DataFrame:
    """How many drugs have how many treated rows: "drugs", "rows" and "with a mechanism", one row per range of sizes."""
    if data.drugs is None:
        raise UserError("the drugs are not loaded: load_dataset(..., drugs=True)")
    drugs = data.drugs[data.treated]
    labelled = data.scored.loc[drugs.index].any(axis=1).groupby(drugs).any()
    sizes = drugs.value_counts()
    kinds = pd.cut(sizes, [1, 2, 6, 7, 19, np.inf], right=False, labels=["1", "2 to 5", "6", "7 to 18", "19 or more"])
    table = pd.DataFrame({"rows": sizes, "labelled": labelled.reindex(sizes.index)}).groupby(kinds, observed=True)
    found = table.agg(drugs=("rows", "size"), rows=("rows", "sum"), labelled=("labelled", "sum"))
    return found.rename(columns={"labelled": "with a mechanism"}).rename_axis("rows of a drug")


def target_pairs(data: Dataset) -> pd.DataFrame:
    """The ten pairs of scored targets that share the largest part of their rows, and five rows or more.

    Returns:
        one row per pair: "one", "other", "shared rows" and "of all their rows".
    """
    y = data.scored.to_numpy(dtype=np.int64)
    both, counts = y.T @ y, y.sum(axis=0)
    share = both / np.maximum(counts[:, None] + counts - both, 1)
    share[(both < 5) | np.tri(len(counts), dtype=bool)] = 0
    places = np.argsort(-share, axis=None, kind="stable")[:TEN]
    one, other = np.unravel_index(places[share.ravel()[places] > 0], share.shape)
    names = data.scored.columns
    return pd.DataFrame(
        {
            "one": names[one],
            "other": names[other],
            "shared rows": both[one, other],
            "of all their rows": [f"{value:.0%}" for value in share[one, other]],
        }
    )


def strongest(data: Dataset, number: int = 3) -> pd.Series:
    """The mechanism, indexed by sig_id, of each training row that has one of the ``number`` most frequent."""
    found = pd.Series(dtype=object)
    for name in data.scored.sum().nlargest(number).index:
        rows = data.scored.index[data.scored[name] > 0].difference(found.index)
        found = pd.concat([found, pd.Series(name, rows)])
    return found


def per_target(data: Dataset, oof: pd.DataFrame) -> pd.DataFrame:
    """Scores of OOF predictions, shape (rows, targets), for each target that has a positive among the treated rows.

    Returns:
        one row per target: "positives", "log loss", "prevalence" (the log loss of predicting it), "gain" (the share of
        that which the model saves), "ROC-AUC" and "AP"; the largest gain first.
    """
    y, p = _treated(data, oof)
    areas = column_areas(y, p)
    table = pd.DataFrame(
        {
            "positives": y.sum(),
            "log loss": column_log_loss(y, p),
            "prevalence": column_log_loss(y, prevalence_baseline(y, y.index)),
            "ROC-AUC": areas["roc_auc"],
            "AP": areas["average_precision"],
        }
    )
    table = table[table["positives"] > 0]
    table.insert(3, "gain", 1 - table["log loss"] / table["prevalence"])
    return table.rename_axis("target").sort_values("gain", ascending=False)


def targets_best_and_worst(data: Dataset, oof: pd.DataFrame) -> pd.DataFrame:
    """The targets with the largest and the smallest gains over their prevalence; columns as in `per_target`."""
    table = per_target(data, oof)
    number = min(TEN, len(table) // 2)
    formats = {"log loss": "{:.5f}", "prevalence": "{:.5f}", "gain": "{:.1%}", "ROC-AUC": "{:.3f}", "AP": "{:.3f}"}
    found = pd.concat({"best": table.head(number), "worst": table.tail(number)}, names=["", "target"])
    return found.assign(**{name: found[name].map(form.format) for name, form in formats.items()})


def calibration(data: Dataset, oof: pd.DataFrame) -> Figure:
    """Observed rate by predicted probability, over all cells of OOF predictions of treated rows."""
    return calibration_curve(calibration_table(*_treated(data, oof)))


def every_oof(weights: Path, data: Dataset) -> dict[str, pd.DataFrame]:
    """OOF predictions of the treated rows by every trained model of a weights folder, by the model's title.

    They are read from the table that training wrote last, and where there is none, such as in merged weights, they are
    put together from the units. A model that cannot be read is left out, and named.
    """
    folder, found = WeightsFolder(weights), {}
    for name, model in recipes().items():
        if not folder.has(name):
            continue
        path = folder.model(name).prediction("oof")
        try:
            trained = None if path.exists() else open_trained(model, weights, whole=False)
            if trained is None or trained.units(trained.last):
                oof = read_table(path) if trained is None else trained.calibrated_oof()
                found[model.title] = _treated(data, oof)[1]
        except StoreError as error:
            print(f"without {model.title}: {error}")
    return found


def agreement(title: str, oof: pd.DataFrame, others: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Correlations of a model's OOF predictions, shape (rows, targets), with those of others on the rows they share.

    Returns:
        one row per other title than the model's: "probabilities" and "ranks", means of target-wise correlations.
    """
    found = {}
    for other, table in others.items():
        rows = oof.index.intersection(table.index)
        if other == title or not len(rows):
            continue
        pair = {title: oof.loc[rows], other: table.loc[rows]}
        ranks = {name: each.rank() for name, each in pair.items()}
        found[other] = [prediction_correlation(each).iloc[0, 1] for each in (pair, ranks)]
    return pd.DataFrame.from_dict(found, orient="index", columns=["probabilities", "ranks"])


def pairs(oofs: Mapping[str, pd.DataFrame]) -> dict[str, pd.Series]:
    """Correlation by target of each pair of models, on the rows that both predict; by the names of the pair."""
    found = {}
    for one, other in combinations(oofs, 2):
        rows = oofs[one].index.intersection(oofs[other].index)
        found[f"{one} – {other}"] = oofs[one].loc[rows].corrwith(oofs[other].loc[rows]).dropna()
    return found


def members(data: Dataset, oofs: Mapping[str, pd.DataFrame], weights: pd.Series) -> pd.DataFrame:
    """What a blend is made of: weight, OOF log loss, and mean correlation with the other members.

    Args:
        data: the data set.
        oofs: OOF predictions of treated rows, shape (rows, targets), by title; those without a weight are left out.
        weights: by the model's name.

    Returns:
        one row per member, indexed by title: "weight", "log loss", "correlation" and "rank correlation".
    """
    titles = {recipes()[name].title: weight for name, weight in weights.items()}
    chosen = {title: table for title, table in oofs.items() if title in titles}
    if not chosen:
        return pd.DataFrame(columns=["weight", "log loss", "correlation", "rank correlation"])
    rows = reduce(pd.Index.intersection, (table.index for table in chosen.values()))
    chosen = {title: table.loc[rows] for title, table in chosen.items()}
    ranks = {title: table.rank() for title, table in chosen.items()}
    means = [prediction_correlation(each)["mean_with_others"] for each in (chosen, ranks)]
    y = data.scored.loc[rows]
    return pd.DataFrame(
        {
            "weight": pd.Series(titles).reindex(list(chosen)),
            "log loss": {title: log_loss(y, table) for title, table in chosen.items()},
            "correlation": means[0],
            "rank correlation": means[1],
        }
    ).rename_axis("member")


def published_chart() -> Figure:
    """The published CV of all models and blends against the private leaderboard; prints which number is which."""
    scores = published_scores(load_blend(path) for path in BLENDS.values())
    print(*(f"{row['number']:>2}  {row['title']}" for _, row in scores.iterrows()), sep="\n")
    return cv_against_leaderboard(scores, "private")


def claims(model: str, session: Session) -> Styler:
    """What the write-up claims of a model, and what ``ablations`` in the session's folder has measured; row by row."""
    path = session.out / "ablations" / "ablations.csv"
    measured = pd.read_csv(path) if path.exists() else None
    rows = []
    for claim, ablation in WRITE_UP.get(model, ()):
        here = "not measured" if ablation is None else f"not yet: moa ablate {ablation}"
        if measured is not None and ablation is not None:
            title = recipes()[model].title
            part = in_words(measured[(measured["ablation"] == ablation) & (measured["model"] == title)])
            here = "; ".join(_measured(row) for _, row in part.iterrows()) or here
        rows.append((claim, here))
    table = pd.DataFrame(rows, columns=["the write-up", "measured here"])
    return table.style.hide(axis="index").set_properties(**{"text-align": "left"})


def _measured(row: pd.Series) -> str:
    """A variant of an ablation in a few words."""
    interval = f", {row['95 % interval']}" if row["95 % interval"] else ""
    return f"{row['variant']}: {row['OOF log loss']} ({row['difference']}{interval})"


def _treated(data: Dataset, oof: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Labels and predictions of the treated rows covered."""
    rows = oof.index[data.treated.loc[oof.index].to_numpy(dtype=bool)]
    return data.scored.loc[rows], oof.loc[rows].astype(np.float32)
