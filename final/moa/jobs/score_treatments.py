"""Treatments as the rows to score, and to retrieve mechanisms with: the wells of a compound at a dose together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from moa.data.wells import COMPOUND, TREATMENT
from moa.environment import cache_folder
from moa.errors import UserError
from moa.jobs.score_inputs import BySeed, Case, common_rows
from moa.metrics.losses import align
from moa.metrics.retrieval import LEVEL, retrieval
from moa.progress import progress


def by_treatment(case: Case) -> tuple[Case, Case]:
    """The case with treatments as rows: the mean of their wells' probabilities, and the median of their features.

    A treatment has each mechanism that any of its wells has.

    Returns:
        that case, and what is left of the case of wells for the sake of nearest neighbours. They are sought among
        treatments, as the field does, where the folds keep the wells of a treatment together. Predictions whose folds
        do not have no folds in the first case, and are left in the second: their neighbours are sought among wells.

    Raises:
        UserError: no treatment is known.
    """
    if TREATMENT not in case.known or case.known[TREATMENT].isna().all():
        raise UserError(
            "--by treatment needs compounds: train_drug.csv, or a column treatment or compound in wells.csv"
        )
    of = case.known[TREATMENT].reindex(case.labels.index)  # controls have folds too, but are no treatments
    notes = list(case.notes)
    lost = int(of.reindex(case.y.index).isna().sum())
    if lost:
        notes.append(f"{lost:,} wells of no known treatment are left out")
    y = grouped(case.y, of).max()
    differ = int((grouped(case.y, of).min() != y).any(axis=1).sum())
    if differ:
        notes.append(f"{differ:,} treatments have wells with different labels: a label of any well counts")
    predictions, apart = [], []
    for each in case.predictions:
        groups = _groups(each.groups, of)
        apart += [each] if groups is None else []
        seeds = _seeds(each.seeds, of) if each.seeds else None
        predictions.append(replace(each, table=grouped(each.table, of).mean(), groups=groups, seeds=seeds))
    groups = _groups(case.groups, of)
    made = replace(
        case,
        y=y,
        labels=grouped(case.labels, of).max(),
        features=None if case.features is None else grouped(case.features, of).median(),
        known=grouped(case.known, of).first(),
        predictions=predictions,
        notes=notes,
        groups=groups,
    )
    return made, replace(
        case, predictions=apart, groups=None if groups is not None or case.predictions else case.groups
    )


def _groups(groups: pd.DataFrame | None, of: pd.Series) -> pd.DataFrame | None:
    """The fold or compound of each treatment; None where the wells of one are in several."""
    if groups is None:
        return None
    by = grouped(groups.reindex(of.index), of)
    return by.first() if (by.nunique(dropna=False) == 1).all(axis=None) else None


def _seeds(seeds: BySeed, of: pd.Series) -> BySeed:
    return lambda: {seed: grouped(table, of).mean() for seed, table in seeds().items()}


def grouped(table: pd.DataFrame, of: pd.Series) -> pd.api.typing.DataFrameGroupBy:
    """The rows of a table by their treatment; rows of none are left out."""
    return table.groupby(of.reindex(table.index))


def treatment_details(case: Case) -> pd.DataFrame:
    """For each prediction and treatment, what is right and what is most likely.

    Returns:
        columns "treatment", "prediction", "mechanisms", "most_likely", "probability" (of the most likely), "right" and
        "wrong_above": the share of wrong mechanisms that are above the best right one.
    """
    names = np.asarray(case.y.columns, dtype=object)
    labels = case.y.to_numpy().astype(bool)
    tables = []
    for each in case.predictions:
        p = align(each.table, case.y.index, case.y.columns, each.name).to_numpy()
        best = np.where(labels, p, -np.inf).max(axis=1, keepdims=True)
        wrong = ((p > best) & ~labels).sum(axis=1) / np.maximum((~labels).sum(axis=1), 1)
        first = p.argmax(axis=1)
        tables.append(
            pd.DataFrame(
                {
                    "treatment": case.y.index,
                    "prediction": each.name,
                    "mechanisms": ["|".join(names[row]) for row in labels],
                    "most_likely": names[first],
                    "probability": p.max(axis=1),
                    "right": labels[np.arange(len(p)), first],
                    "wrong_above": np.where(labels.any(axis=1), wrong, np.nan),
                }
            )
        )
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def retrieve(case: Case) -> pd.DataFrame:
    """Retrieval of mechanisms from the features, and from the predicted probabilities, by copairs.

    Profiles are treatments: the median of their wells' features, and the mean of their probabilities. The compounds
    must be known.

    Returns:
        one row per source ("features", or a prediction's name) and mechanism; see `moa.metrics.retrieval.retrieval`.
    """
    if COMPOUND not in case.known:
        raise UserError("--retrieval needs the compound of each row: train_drug.csv, or a column compound in wells.csv")
    case, _ = by_treatment(common_rows(case))
    sources = {} if case.features is None else {"features": case.features.loc[case.y.index]}
    sources |= {each.name: each.table for each in case.predictions}
    tables = []
    with progress("retrieval of mechanisms", len(sources)) as bar:
        for done, (name, profiles) in enumerate(sources.items(), 1):
            found = retrieval(profiles, case.y, case.known[COMPOUND], cache=cache_folder() / "copairs").reset_index()
            found.insert(0, "source", name)
            tables.append(found)
            bar.update(done, name)
    table = pd.concat(tables, ignore_index=True)
    table["retrieved"] = table["corrected_p_value"] < LEVEL
    return table
