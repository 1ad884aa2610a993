"""Scores of trained models, or of files of predictions, with the field's measures and baselines in one table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from moa.data.wells import COMPOUND, TREATMENT
from moa.errors import UserError
from moa.files import replacing
from moa.jobs.score_inputs import Case, common_rows
from moa.jobs.score_treatments import by_treatment, grouped, treatment_details
from moa.metrics.controls import shuffled_labels
from moa.metrics.losses import column_log_loss
from moa.metrics.neighbours import neighbour_votes
from moa.metrics.ranking import MEASURES, column_areas, mean_measures, measures
from moa.progress import progress

#: What ``by`` may name besides the columns that are known of the rows, such as dose and plate.
WELL, SEED, TARGET = "well", "seed", "target"
#: Neighbours of a well and of a treatment, where the user does not say.
WELL_NEIGHBOURS, TREATMENT_NEIGHBOURS = 5, 1
#: Draws of the shuffled-label control, of which the mean is shown.
SHUFFLES = 10
#: Kinds of lines of a table; prevalence and shuffled labels are their names too.
MODEL, PREVALENCE, NEIGHBOURS, SHUFFLED = "model", "prevalence", "neighbours", "shuffled labels"


@dataclass(frozen=True)
class Scores:
    """A table of scores: one row per prediction, and per level, target or seed where ``by`` names one.

    Columns: "prediction", "kind" (model, prevalence, neighbours or shuffled labels), that of ``by``, and those of
    `moa.metrics.ranking.measures`; for targets "positives", "prevalence", "log_loss", "roc_auc" and
    "average_precision".
    """

    table: pd.DataFrame
    by: str  # "well", "target", "seed" or a column that is known of the rows
    unit: str  # "wells" or "treatments"
    notes: list[str] = field(default_factory=list)  # what was left out, one sentence each
    details: pd.DataFrame | None = None  # `moa.jobs.score_treatments.treatment_details`; None for wells


@dataclass(frozen=True)
class _Entry:
    """What a line is computed from: pairs of labels and predictions, over which the mean is taken."""

    name: str
    kind: str
    pairs: list[tuple[pd.DataFrame, pd.DataFrame]]

    @property
    def line(self) -> dict[str, object]:
        return {"prediction": self.name, "kind": self.kind}

    @property
    def probabilities(self) -> bool:
        """Whether a log loss has a meaning: votes of neighbours rank, but most are 0."""
        return self.kind != NEIGHBOURS

    def measured(self, rows: pd.Index) -> dict[str, float]:
        return mean_measures([measures(y.loc[rows], p.loc[rows], self.probabilities) for y, p in self.pairs])


def score(case: Case, by: str = WELL, neighbours: int | None = None, baselines: bool = True) -> Scores:
    """Measure predictions and baselines on the rows that all predictions cover.

    Args:
        case: what `moa.jobs.score_inputs` read.
        by: "well": all wells; "treatment": the wells of a compound at a dose together, by the mean of their
            probabilities; "target"; "seed": each seed of the models and their spread; or a column that is known of the
            rows, such as dose or plate. Treatments may be joined with another, as in "treatment,target".
        neighbours: of the nearest-neighbour baseline; None: 5 for wells, 1 for treatments.
        baselines: add the mean of several predictions, prevalence, nearest neighbours and the control of shuffled
            labels.

    Raises:
        UserError: ``by`` names nothing that is known, or there is no row to score.
    """
    case = common_rows(case)
    whole, by = _parse(by, case)
    of, wells = case.known.get(TREATMENT), None
    if whole:
        case, wells = by_treatment(case)
    nearest = partial(_nearest, case, wells, of, neighbours)
    models = [_Entry(each.name, MODEL, [(case.y, each.table)]) for each in case.predictions]
    # A mean over seeds is a better prediction than one of them: single seeds stand beside single draws of the folds.
    seeds = _own_folds(case) if baselines and by == SEED else []
    others = _baselines(case, [] if seeds else nearest()) if baselines else []
    if by == TARGET:
        table = pd.concat([_by_target(entry) for entry in (*models, *others) if entry.kind != SHUFFLED])
    elif by == SEED:
        near = _neighbours_by_seed(case, {seed: nearest(seed) for seed in seeds})
        table = pd.DataFrame([*_by_seed(case), *near, *_lines(others, {"": case.y.index}, by)])
    elif by == WELL:
        table = pd.DataFrame(_lines([*models, *others], {None: case.y.index}))
    else:
        table = pd.DataFrame(_lines([*models, *others], _levels(case.known[by].reindex(case.y.index)), by))
    notes = [*case.notes, *_left_out(case.y)]
    details = treatment_details(case) if whole and case.predictions else None
    return Scores(table.reset_index(drop=True), by, "treatments" if whole else "wells", notes, details)


def write_scores(path: Path, found: Scores, retrieved: pd.DataFrame | None = None) -> list[Path]:
    """Write a table of scores as csv, and beside it those of treatments (``-treatments``) and of retrieval.

    Returns:
        the files.
    """
    tables = {path: found.table}
    if found.details is not None:
        tables[path.with_name(f"{path.stem}-treatments{path.suffix}")] = found.details
    if retrieved is not None:
        tables[path.with_name(f"{path.stem}-retrieval{path.suffix}")] = retrieved
    for file, table in tables.items():
        with replacing(file) as temporary:
            table.to_csv(temporary, index=False, float_format="%.7g")
    return list(tables)


# -- levels -----------------------------------------------------------------------------------------------------------


def _parse(by: str, case: Case) -> tuple[bool, str]:
    """Whether treatments are scored, and what the table is by."""
    names = [name.strip() for name in by.split(",")]
    rest = [name for name in names if name != TREATMENT] or [WELL]
    known = dict.fromkeys([WELL, TREATMENT, TARGET, SEED, *case.known])
    for name in rest:
        if name not in known:
            raise UserError(f"--by {name}: not known of these rows; choose one of: {', '.join(known)}")
    if len(rest) > 1:
        raise UserError(f"--by {by}: give one of {', '.join(rest)}, alone or with treatment")
    return TREATMENT in names, rest[0]


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
    words = f"{one:,} of {y.shape[1]:,} targets have only positive or only negative rows: left out of macro means"
    return [words] if one else []


# -- predictions and baselines ----------------------------------------------------------------------------------------


def _baselines(case: Case, nearest: list[tuple[str, pd.DataFrame]]) -> list[_Entry]:
    """What predictions are compared with: see `score`."""
    y, found, tables = case.y, [], [each.table for each in case.predictions]
    if len(tables) > 1:
        mean = sum(table.loc[y.index, list(y.columns)].astype(np.float64) for table in tables) / len(tables)
        found.append(_Entry(f"mean of these {len(tables)}", MODEL, [(y, mean)]))
    # The prevalence is the same for all rows: taken without the fold or compound of a row, it would be lower for the
    # positive rows of a target than for the negative ones, and the AUC below one half.
    constant = pd.DataFrame(np.tile(case.prevalence.to_numpy(np.float64), (len(y), 1)), y.index, y.columns)
    found.append(_Entry(PREVALENCE, PREVALENCE, [(y, constant)]))
    found += [_Entry(name, NEIGHBOURS, [(y, table)]) for name, table in nearest]
    if not tables:
        return found
    compounds = case.known.get(COMPOUND)
    draws = [shuffled_labels(y, compounds, seed) for seed in range(SHUFFLES)]
    name = SHUFFLED if len(tables) == 1 else f"{SHUFFLED}, {case.predictions[0].name}"
    return [*found, _Entry(name, SHUFFLED, [(labels, tables[0]) for labels in draws])]


def _nearest(
    case: Case, wells: Case | None, of: pd.Series | None, k: int | None, seed: int | None = None
) -> list[tuple[str, pd.DataFrame]]:
    """Votes of ``k`` nearest neighbours by name: of wells; of treatments, from their profiles and those of their wells.

    Where treatments are scored, ``wells`` is the case of their wells, and ``of`` names the treatment of each. ``seed``
    takes its folds alone; None takes the mean over the folds of all seeds.
    """
    if wells is None:
        return _neighbours(case, k or WELL_NEIGHBOURS, seed)
    means = _neighbours(wells, k or WELL_NEIGHBOURS, seed)
    found = _neighbours(case, k or TREATMENT_NEIGHBOURS, seed)
    return found + [(name, grouped(table, of).mean().reindex(case.y.index)) for name, table in means]


def _neighbours(case: Case, k: int, seed: int | None = None) -> list[tuple[str, pd.DataFrame]]:
    """Nearest neighbours with the folds of each prediction; each kind of folds once."""
    features, found = case.features, []
    chosen = {each.scheme: (each.groups, each.apart) for each in case.predictions} or {case.scheme: (case.groups, ())}
    for scheme, (groups, columns) in chosen.items():
        if features is None or groups is None or (seed is not None and seed not in groups):
            continue
        groups = (groups if seed is None else groups[[seed]]).reindex(features.index)
        apart = case.known[list(columns)].reindex(features.index).astype("string") if columns else None
        with progress("nearest neighbours, %", 100) as bar:
            shows = partial(lambda bar, share: bar.update(round(100 * share)), bar)
            votes = neighbour_votes(features, case.labels, groups, k, shows, apart)
        found.append((f"{k}-NN, {scheme}", votes.reindex(case.y.index)))
    return found


def _lines(entries: list[_Entry], levels: dict[object, pd.Index], by: str | None = None) -> list[dict[str, object]]:
    """The measures of each entry on the rows of each level."""
    lines: list[dict[str, object]] = []
    with progress("measures", len(levels) * len(entries)) as bar:
        for level, rows in levels.items():
            for entry in entries:
                lines.append(({by: level} if by else {}) | entry.line | entry.measured(rows))
                bar.update(len(lines), entry.name)
    return lines


def _by_target(entry: _Entry) -> pd.DataFrame:
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
        yield from _seed_lines(_Entry(each.name, MODEL, []), case.y, each.seeds())


def _own_folds(case: Case) -> list[int]:
    """The seeds of the predictions, where some of them do not share their folds."""
    groups = [each.groups for each in case.predictions if each.groups is not None]
    if not any(table.nunique(axis=1).max() > 1 for table in groups):
        return []
    return list(dict.fromkeys(seed for table in groups for seed in table))


def _neighbours_by_seed(case: Case, nearest: dict[int, list[tuple[str, pd.DataFrame]]]) -> Iterable[dict[str, object]]:
    """Measures of nearest neighbours with the folds of each seed alone."""
    names = dict.fromkeys(name for found in nearest.values() for name, _ in found)
    for name in names:
        tables = {seed: dict(found)[name].dropna() for seed, found in nearest.items() if name in dict(found)}
        yield from _seed_lines(_Entry(name, NEIGHBOURS, []), case.y, tables)


def _seed_lines(entry: _Entry, y: pd.DataFrame, tables: dict[int, pd.DataFrame]) -> Iterable[dict[str, object]]:
    found = {}
    for seed, own in tables.items():
        rows = y.index[y.index.isin(own.index)]
        found[str(seed)] = measures(y.loc[rows], own.loc[rows, list(y.columns)], entry.probabilities)
    table = pd.DataFrame(found.values())[list(MEASURES)]
    counts = {name: next(iter(found.values()))[name] for name in ("rows", "labelled", "left_out")}
    found |= {"mean": counts | table.mean().to_dict(), "sd": counts | table.std().to_dict()}
    yield from ({SEED: seed} | entry.line | values for seed, values in found.items())
