"""What predictions are compared with: simple methods that see the same training rows, and controls that see nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from moa.data.wells import COMPOUND, TREATMENT
from moa.jobs.score_inputs import Case
from moa.jobs.score_pooled import grouped
from moa.jobs.score_sphered import enough, sphered, votes_without_controls
from moa.metrics.controls import exchanged_profiles, shuffled_labels
from moa.metrics.held_out import by_one_number, training_prevalence
from moa.metrics.neighbours import votes_of_each
from moa.metrics.ranking import mean_measures, measures
from moa.progress import progress

#: Kinds of lines of a table. The line of a model is calibrated where that is known, and stands beside the raw one.
MODEL, RAW, PREVALENCE, TRAINING = "model", "raw", "prevalence", "training prevalence"
COUNT, NEIGHBOURS, SHUFFLED, EXCHANGED = "cell count", "neighbours", "shuffled labels", "exchanged profiles"
#: Methods that a model must beat to be of use; shuffled labels and exchanged profiles are controls.
SIMPLE = (PREVALENCE, TRAINING, COUNT, NEIGHBOURS)
#: Numbers of neighbours where the user does not say.
NEAREST = (1, 5)
#: Draws of the shuffled-label control, of which the mean is shown.
SHUFFLES = 10
#: Draws of exchanged profiles: nearest neighbours are sought for each, so of many rows there is one.
_EXCHANGES, _MANY = 3, 4000

#: What is held out with a row, a column for each seed; and the columns held out besides.
Folds = tuple[pd.DataFrame, tuple[str, ...]]


@dataclass(frozen=True)
class Entry:
    """What a line is computed from: pairs of labels and predictions, over which the mean is taken."""

    name: str
    kind: str
    pairs: list[tuple[pd.DataFrame, pd.DataFrame]]

    @property
    def line(self) -> dict[str, object]:
        """The first columns of its line."""
        return {"prediction": self.name, "kind": self.kind}

    @property
    def probabilities(self) -> bool:
        """Whether a log loss has a meaning: votes of neighbours rank, but most are 0."""
        return self.kind not in (NEIGHBOURS, EXCHANGED)

    def measured(self, rows: pd.Index) -> dict[str, float]:
        """The measures over some rows."""
        return mean_measures([measures(y.loc[rows], p.loc[rows], self.probabilities) for y, p in self.pairs])


def model_entries(case: Case) -> list[Entry]:
    """The lines of the predictions; where they are calibrated, those before calibration follow each."""
    found = []
    for each in case.predictions:
        found.append(Entry(each.name, MODEL, [(case.y, each.table)]))
        if each.raw is not None:
            found.append(Entry(f"{each.name}, raw", RAW, [(case.y, each.raw)]))
    return found


def baseline_entries(case: Case, nearest: Sequence[Entry]) -> list[Entry]:
    """What predictions are compared with, ``nearest`` neighbours among them; see `moa.jobs.score.score`."""
    y, found, tables = case.y, [], [each.table for each in case.predictions]
    if len(tables) > 1:
        mean = sum(table.loc[y.index, list(y.columns)].astype(np.float64) for table in tables) / len(tables)
        found.append(Entry(f"mean of these {len(tables)}", MODEL, [(y, mean)]))
    # The prevalence of all rows is the same for each: taken without the fold or compound of a row, it would be lower
    # for the positive rows of a target than for the negative ones, and the AUC below one half. That of the training
    # rows is what a model has that learns nothing else.
    constant = pd.DataFrame(np.tile(case.prevalence.to_numpy(np.float64), (len(y), 1)), y.index, y.columns)
    found.append(Entry(PREVALENCE, PREVALENCE, [(y, constant)]))
    found += _from_training_rows(case)
    found += nearest
    if not tables:
        return found
    compounds = case.known.get(COMPOUND)
    draws = [shuffled_labels(y, compounds, seed) for seed in range(SHUFFLES)]
    name = SHUFFLED if len(tables) == 1 else f"{SHUFFLED}, {case.predictions[0].name}"
    return [*found, Entry(name, SHUFFLED, [(labels, tables[0]) for labels in draws])]


def _from_training_rows(case: Case) -> list[Entry]:
    """The prevalence and the cell count alone, with the folds of the first prediction that has some."""
    first = next(iter(_kinds_of_folds(case).values()), None)
    if first is None:
        return []
    groups, apart = _folds(case, first, case.labels.index)
    found = [(TRAINING, training_prevalence(case.labels, groups, apart))]
    if case.count is not None:
        found.append((COUNT, by_one_number(case.count, case.labels, groups, apart)))
    whole = [(kind, table) for kind, table in found if case.y.index.isin(table.index).all()]
    return [Entry(kind, kind, [(case.y, table.loc[case.y.index])]) for kind, table in whole]


# -- nearest neighbours -----------------------------------------------------------------------------------------------


def nearest(
    case: Case, wells: Case | None, of: pd.Series | None, k: int | None, seed: int | None = None
) -> list[Entry]:
    """Votes of ``k`` nearest neighbours: of wells; of treatments, from their profiles and those of their wells.

    Profiles are taken plain, and sphered: on controls, or on the training rows of each fold. Where treatments are
    scored, ``wells`` is the case of their wells, and ``of`` names the treatment of each; a treatment's sphered profile
    is the mean of its wells'. ``seed`` takes its folds alone; None takes the mean over the folds of all seeds, and adds
    the control of profiles that treatments have exchanged.
    """
    if case.features is None:
        return []
    source = case if wells is None else wells
    assert source.features is not None, "the treatments have features"
    own = None
    if source.controls is not None and enough(source.controls):
        own = sphered(source.features, source.controls)
    pooled = own if own is None or wells is None else grouped(own, of).mean().reindex(case.features.index)
    found = _neighbours(case, k, seed, pooled)
    if wells is None:
        return found
    return found + [
        Entry(each.name, each.kind, [(case.y, grouped(p, of).mean().reindex(case.y.index)) for _, p in each.pairs])
        for each in _neighbours(wells, k, seed, own)
        if each.name not in {known.name for known in found}
    ]


def _neighbours(case: Case, k: int | None, seed: int | None, own: pd.DataFrame | None) -> list[Entry]:
    """Nearest neighbours with the folds of each prediction, each kind of folds once; ``own``: sphered profiles."""
    ks, found = NEAREST if k is None else (k,), []
    assert case.features is not None, "the rows have features"
    for scheme, chosen in _kinds_of_folds(case).items():
        if seed is not None and seed not in chosen[0]:
            continue
        plain = _votes(case, case.features, ks, chosen, seed)
        found += [_entry(case, f"{count}-NN, {scheme}", NEIGHBOURS, [table]) for count, table in plain.items()]
        if own is not None:
            other = _votes(case, own, ks, chosen, seed)
        else:
            groups, apart = _folds(case, chosen, case.features.index, seed)
            other = votes_without_controls(case.features, case.labels, groups, ks, apart)
        found += [_entry(case, f"{count}-NN sphered, {scheme}", NEIGHBOURS, [table]) for count, table in other.items()]
        if seed is None and not any(each.kind == EXCHANGED for each in found):
            found.append(_exchanged(case, case.features if own is None else own, ks[-1], chosen))
    return found


def _exchanged(case: Case, features: pd.DataFrame, k: int, chosen: Folds) -> Entry:
    """Nearest neighbours where treatments have changed profiles: what folds and frequencies give away."""
    of = case.known.get(TREATMENT)
    treatments = None if of is None else of.reindex(features.index)
    draws = range(_EXCHANGES if len(features) <= _MANY else 1)
    tables = [_votes(case, exchanged_profiles(features, treatments, draw), (k,), chosen)[k] for draw in draws]
    return _entry(case, f"{EXCHANGED}, {k}-NN", EXCHANGED, tables)


def _votes(
    case: Case, features: pd.DataFrame, ks: Sequence[int], chosen: Folds, seed: int | None = None
) -> dict[int, pd.DataFrame]:
    groups, apart = _folds(case, chosen, features.index, seed)
    with progress("nearest neighbours, %", 100) as bar:
        shows = partial(lambda bar, share: bar.update(round(100 * share)), bar)
        return votes_of_each(features, case.labels, groups, ks, shows, apart)


def _entry(case: Case, name: str, kind: str, tables: Sequence[pd.DataFrame]) -> Entry:
    return Entry(name, kind, [(case.y, table.reindex(case.y.index)) for table in tables])


def _kinds_of_folds(case: Case) -> dict[str, Folds]:
    """Each kind of folds by its name."""
    chosen = {each.scheme: (each.groups, each.apart) for each in case.predictions} or {case.scheme: (case.groups, ())}
    return {scheme: (groups, apart) for scheme, (groups, apart) in chosen.items() if groups is not None}


def _folds(
    case: Case, chosen: Folds, rows: pd.Index, seed: int | None = None
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """The folds of some rows, of one ``seed`` or all, and what else is held out with them."""
    groups, columns = chosen
    groups = (groups if seed is None else groups[[seed]]).reindex(rows)
    return groups, case.known[list(columns)].reindex(rows).astype("string") if columns else None
