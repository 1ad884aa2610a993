"""Scores of trained models, or of files of predictions, with the field's measures and baselines in one table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd

from moa.data.wells import COMPOUND, TREATMENT
from moa.errors import UserError
from moa.jobs.score_baselines import (
    EXCHANGED,
    MODEL,
    NEIGHBOURS,
    SHUFFLED,
    Entry,
    baseline_entries,
    model_entries,
    nearest,
)
from moa.jobs.score_compared import Comparison, Leak, compare_with_baselines
from moa.jobs.score_inputs import Case, common_rows
from moa.jobs.score_pooled import pooled_case, pooled_details
from moa.metrics.losses import column_log_loss
from moa.metrics.ranking import MEASURES, column_areas, measures
from moa.progress import progress
from moa.words import counted

#: What ``by`` may name besides the columns that are known of the rows, such as dose and plate.
WELL, SEED, TARGET = "well", "seed", "target"
#: What the rows of a table may be besides wells: wells are pooled to them.
POOLED = (TREATMENT, COMPOUND)


@dataclass(frozen=True)
class Scores:
    """A table of scores: one row per prediction, and per level, target or seed where ``by`` names one.

    Columns: "prediction", "kind" (model, raw, prevalence, training prevalence, cell count, neighbours, shuffled labels
    or exchanged profiles), that of ``by``, and those of `moa.metrics.ranking.measures`; for targets "positives",
    "prevalence", "log_loss", "roc_auc" and "average_precision".
    """

    table: pd.DataFrame
    by: str  # "well", "target", "seed" or a column that is known of the rows
    unit: str  # "well", "treatment" or "compound"
    notes: list[str] = field(default_factory=list)  # what was left out, one sentence each
    details: pd.DataFrame | None = None  # `moa.jobs.score_pooled.pooled_details`; None for wells
    compared: list[Comparison] = field(default_factory=list)  # of each model with the best baseline
    leaks: list[Leak] = field(default_factory=list)  # of models that were trained with other things held out


def score(case: Case, by: str = WELL, neighbours: int | None = None, baselines: bool = True) -> Scores:
    """Measure predictions and baselines on the rows that all predictions cover.

    Args:
        case: what `moa.jobs.score_inputs` read.
        by: "well": all wells; "treatment": the wells of a compound at a dose together; "compound": all wells of a
            compound together; "target"; "seed": each seed of the models and their spread; or a column that is known of
            the rows, such as dose or plate. Treatments and compounds may be joined with another, as in
            "treatment,target".
        neighbours: of the nearest-neighbour baselines; None: 1 and 5.
        baselines: add the mean of several predictions, the prevalence of all rows and of training rows, cell count,
            nearest neighbours, plain and sphered, and the controls of shuffled labels and exchanged profiles; and
            compare each model with the best of them.

    Raises:
        UserError: ``by`` names nothing that is known, or there is no row to score.
    """
    case = common_rows(case)
    unit, by = _parse(by, case)
    of, wells = case.known.get(unit), None
    if unit != WELL:
        case, wells = pooled_case(case, unit)
    near = partial(nearest, case, wells, of, neighbours)
    models = model_entries(case)
    # A mean over seeds is a better prediction than one of them: single seeds stand beside single draws of the folds.
    seeds = _own_folds(case) if baselines and by == SEED else []
    others = baseline_entries(case, [] if seeds else near()) if baselines else []
    if by == TARGET:
        ranked = (entry for entry in (*models, *others) if entry.kind not in (SHUFFLED, EXCHANGED))
        table = pd.concat([_by_target(entry) for entry in ranked])
    elif by == SEED:
        by_seed = _neighbours_by_seed(case, {seed: near(seed) for seed in seeds})
        table = pd.DataFrame([*_by_seed(case), *by_seed, *_lines(others, {"": case.y.index}, by)])
    elif by == WELL:
        table = pd.DataFrame(_lines([*models, *others], {None: case.y.index}))
    else:
        table = pd.DataFrame(_lines([*models, *others], _levels(case.known[by].reindex(case.y.index)), by))
    compared = compare_with_baselines(case, models, others) if by == WELL else []
    notes = [*case.notes, *_left_out(case.y)]
    if by == SEED and any(each.raw is not None for each in case.predictions):
        notes.append("predictions of single seeds are shown before calibration")
    details = pooled_details(case, unit) if unit != WELL and case.predictions else None
    return Scores(table.reset_index(drop=True), by, unit, notes, details, compared)


# -- levels -----------------------------------------------------------------------------------------------------------


def _parse(by: str, case: Case) -> tuple[str, str]:
    """What the rows are (wells, treatments or compounds), and what the table is by."""
    names = [name.strip() for name in by.split(",")]
    units = [name for name in names if name in POOLED]
    rest = [name for name in names if name not in POOLED] or [WELL]
    known = dict.fromkeys([WELL, *POOLED, TARGET, SEED, *case.known])
    for name in rest:
        if name not in known:
            raise UserError(f"--by {name}: not known of these rows; choose one of: {', '.join(known)}")
    if len(rest) > 1 or len(units) > 1:
        many = rest if len(rest) > 1 else units
        raise UserError(f"--by {by}: give one of {', '.join(many)}, alone or with treatment or compound")
    return (units or [WELL])[0], rest[0]


def _levels(values: pd.Series) -> dict[object, pd.Index]:
    """The rows of each value, in order: numbers by size, text by the alphabet; rows without a value are left out."""
    numbers = pd.to_numeric(values, errors="coerce")
    order = numbers if numbers.notna().sum() == values.notna().sum() else values.astype("string")
    rows = {group.iloc[0]: group.index for _, group in values.groupby(order.to_numpy(), sort=True)}
    if not rows:
        raise UserError(f"--by {values.name}: no row has a value")
    return rows


def _left_out(y: pd.DataFrame) -> list[str]:
    """How many targets macro means leave out, as a sentence."""
    positives = y.sum()
    one = int(((positives == 0) | (positives == len(y))).sum())
    have = "has" if one == 1 else "have"
    words = f"{one:,} of {counted(y.shape[1], 'target')} {have} only positive or only negative rows"
    return [f"{words}: left out of macro means"] if one else []


# -- lines -----------------------------------------------------------------------------------------------------------


def _lines(entries: list[Entry], levels: dict[object, pd.Index], by: str | None = None) -> list[dict[str, object]]:
    """The measures of each entry on the rows of each level."""
    lines: list[dict[str, object]] = []
    with progress("measures", len(levels) * len(entries)) as bar:
        for level, rows in levels.items():
            for entry in entries:
                lines.append(({by: level} if by else {}) | entry.line | entry.measured(rows))
                bar.update(len(lines), entry.name)
    return lines


def _by_target(entry: Entry) -> pd.DataFrame:
    ((y, p),) = entry.pairs
    found = column_areas(y, p)
    found.insert(0, "log_loss", column_log_loss(y, p) if entry.probabilities else np.nan)
    found.insert(0, "prevalence", y.mean())
    found.insert(0, "positives", y.sum().astype(int))
    found = found.rename_axis(TARGET).reset_index()
    return pd.DataFrame([entry.line] * len(found)).join(found)


def _by_seed(case: Case) -> Iterable[dict[str, object]]:
    """Measures of each seed's own predictions, and their mean and standard deviation."""
    for each in case.predictions:
        if each.seeds is None:
            raise UserError(f"--by seed: {each.name} is a file of predictions; only trained models have seeds")
        yield from _seed_lines(Entry(each.name, MODEL, []), case.y, each.seeds())


def _own_folds(case: Case) -> list[int]:
    """The seeds of the predictions, where some of them do not share their folds."""
    groups = [each.groups for each in case.predictions if each.groups is not None]
    if not any(table.nunique(axis=1).max() > 1 for table in groups):
        return []
    return list(dict.fromkeys(seed for table in groups for seed in table))


def _neighbours_by_seed(case: Case, near: dict[int, list[Entry]]) -> Iterable[dict[str, object]]:
    """Measures of nearest neighbours with the folds of each seed alone."""
    tables: dict[str, dict[int, pd.DataFrame]] = {}
    for seed, found in near.items():
        for each in found:
            if each.kind == NEIGHBOURS:
                tables.setdefault(each.name, {})[seed] = each.pairs[0][1].dropna()
    for name, by_seed in tables.items():
        yield from _seed_lines(Entry(name, NEIGHBOURS, []), case.y, by_seed)


def _seed_lines(entry: Entry, y: pd.DataFrame, tables: dict[int, pd.DataFrame]) -> Iterable[dict[str, object]]:
    found = {}
    for seed, own in tables.items():
        rows = y.index[y.index.isin(own.index)]
        found[str(seed)] = measures(y.loc[rows], own.loc[rows, list(y.columns)], entry.probabilities)
    table = pd.DataFrame(found.values())[list(MEASURES)]
    counts = {name: next(iter(found.values()))[name] for name in ("rows", "labelled", "left_out")}
    found |= {"mean": counts | table.mean().to_dict(), "sd": counts | table.std().to_dict()}
    yield from ({SEED: seed} | entry.line | values for seed, values in found.items())
