"""Treatments or compounds as the rows to score, and to retrieve mechanisms with: their wells together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from moa.data.wells import COMPOUND, TREATMENT
from moa.environment import cache_folder
from moa.errors import UserError
from moa.jobs.score_inputs import Case, Prediction, common_rows
from moa.metrics.losses import align
from moa.metrics.pooling import pool
from moa.metrics.retrieval import LEVEL, retrieval
from moa.progress import progress
from moa.words import counted


def pooled_case(case: Case, unit: str = TREATMENT) -> tuple[Case, Case]:
    """The case with treatments or compounds as rows.

    Calibrated probabilities of a treatment are from the mean of its wells' evidence, those that are not calibrated the
    mean of its wells' probabilities; its features are the median of the wells'. A treatment has each mechanism that any
    of its wells has.

    Args:
        case: of wells.
        unit: "treatment" or "compound".

    Returns:
        that case, and what is left of the case of wells for the sake of nearest neighbours. They are sought among
        treatments, as the field does, where the folds keep the wells of a treatment together. Predictions whose folds
        do not have no folds in the first case, and are left in the second: their neighbours are sought among wells.

    Raises:
        UserError: no treatment is known.
    """
    if unit not in case.known or case.known[unit].isna().all():
        raise UserError(f"--by {unit} needs compounds: train_drug.csv, or a column {unit} or compound in wells.csv")
    of = case.known[unit].reindex(case.labels.index)  # controls have folds too, but are no treatments
    notes = list(case.notes)
    lost = int(of.reindex(case.y.index).isna().sum())
    if lost:
        notes.append(f"left out: {counted(lost, 'well')} of no known {unit}")
    y = grouped(case.y, of).max()
    differ = int((grouped(case.y, of).min() != y).any(axis=1).sum())
    if differ:
        have = "has" if differ == 1 else "have"
        notes.append(f"{counted(differ, unit)} {have} wells with different labels: a label of any well counts")
    predictions, apart = [], []
    for each in case.predictions:
        groups = _groups(each.groups, of)
        apart += [each] if groups is None else []
        predictions.append(_pooled_prediction(each, of, groups))
    groups, labels = _groups(case.groups, of), grouped(case.labels, of).max()
    # Of rows to train on, the frequencies are those of treatments too; test rows have no labels of their own.
    own = case.labels.index.isin(case.y.index).any() and case.labels.reindex(case.y.index).equals(case.y)
    made = replace(
        case,
        y=y,
        prevalence=labels.mean() if own else case.prevalence,
        labels=labels,
        features=None if case.features is None else grouped(case.features, of).median(),
        known=grouped(case.known, of).first(),
        predictions=predictions,
        notes=notes,
        groups=groups,
        count=None if case.count is None else grouped(case.count, of).mean(),
    )
    return made, replace(
        case, predictions=apart, groups=None if groups is not None or case.predictions else case.groups
    )


def _pooled_prediction(each: Prediction, of: pd.Series, groups: pd.DataFrame | None) -> Prediction:
    def together(table: pd.DataFrame) -> pd.DataFrame:
        return grouped(table, of).mean() if each.one is None else pool(table, of, each.one)

    raw, own = each.raw, each.seeds
    return replace(
        each,
        table=together(each.table),
        raw=None if raw is None else grouped(raw, of).mean(),
        groups=groups,
        seeds=None if own is None else lambda: {seed: together(table) for seed, table in own().items()},
    )


def _groups(groups: pd.DataFrame | None, of: pd.Series) -> pd.DataFrame | None:
    """The fold or compound of each treatment; None where the wells of one are in several."""
    if groups is None:
        return None
    by = grouped(groups.reindex(of.index), of)
    return by.first() if (by.nunique(dropna=False) == 1).all(axis=None) else None


def grouped(table: pd.DataFrame | pd.Series, of: pd.Series) -> Any:
    """The rows of a table by their treatment, as pandas groups them; rows of none are left out."""
    return table.groupby(of.reindex(table.index))


def pooled_details(case: Case, unit: str = TREATMENT) -> pd.DataFrame:
    """For each prediction and treatment or compound, what is right and what is most likely.

    Returns:
        columns "treatment" (or ``unit``), "prediction", "mechanisms", "most_likely", "probability" (of the most
        likely), "right" and "wrong_above": the share of wrong mechanisms that are above the best right one.
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
                    unit: case.y.index,
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
    case, _ = pooled_case(common_rows(case))
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
