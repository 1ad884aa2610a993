"""What leaks: one model with wells, plates, batches and compounds held out, side by side.

Wells of a compound on both sides of a split make a score that nobody gets on a new compound. The same settings are
trained once for each kind of folds, in a folder beside the weights, where they are kept: a second call trains nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from moa.data.dataset import load_dataset
from moa.data.input_tables import has_table
from moa.data.schema import TRAIN_DRUG
from moa.data.wells import COMPOUND, PLATE
from moa.environment import Folders
from moa.errors import UserError
from moa.jobs.options import TrainOptions
from moa.jobs.score import WELL, Scores, score
from moa.jobs.score_baselines import MODEL
from moa.jobs.score_compared import Leak, find_leak
from moa.jobs.score_inputs import Case, common_rows, read_models
from moa.jobs.score_pooled import pooled_case
from moa.jobs.train import train_models
from moa.models.registry import recipe
from moa.progress import console
from moa.weights.trained import Trained, open_trained

#: The column that says what was held out.
HELD_OUT = "held_out"
#: The folds whose score holds for new compounds, in words.
_COMPOUNDS = "compounds"
_BATCH = re.compile(r"(^|[ _])(batch|week|run|experiment)($|[ _])", re.IGNORECASE)
#: More values than this are no batches, and one is none either.
_MOST_BATCHES = 50


def score_leaks(names: Sequence[str], where: Folders, by: str = WELL, wells: Path | None = None) -> Scores:
    """Scores of trained models beside those of the same models with other folds.

    Args:
        names: of trained models.
        where: folders; the other models are trained beside the weights, in ``WEIGHTS-leaks``.
        by: "well", "treatment" or "compound".
        wells: as for `moa.jobs.score_inputs.read_models`.

    Returns:
        a table with one row for each kind of folds, from what leaks most: "held_out" names it; ``by`` is that column.
        And for each model how much of its average precision leaks, where that is beyond noise.

    Raises:
        UserError: the model is not trained, or ``by`` names another column.
    """
    lines: list[pd.DataFrame] = []
    notes: list[str] = []
    leaks: list[Leak] = []
    unit, schemes = WELL, _schemes(where.data)
    for trained in (open_trained(name, where.weights) for name in names):
        own = None if trained.hold_out is None else ",".join(trained.hold_out.columns)
        more = {} if own is None or own in schemes.values() else {own.replace(",", " and "): own}
        cases: dict[str, Case] = {}
        for words, columns in (schemes | more).items():
            try:
                weights = where.weights if own == columns else _train(trained, where, columns)
            except UserError as error:
                notes.append(f"{trained.model.name}, {words}: left out ({error})")
                continue
            case = read_models([trained.model.name], where.data, weights, wells)
            found = score(case, by, baselines=False)
            if found.by != WELL:
                raise UserError(f"--leaks --by {by}: give well, treatment or compound")
            unit = found.unit
            cases[columns] = common_rows(case) if unit == WELL else pooled_case(common_rows(case), unit)[0]
            lines.append(found.table[found.table["kind"] == MODEL].assign(**{HELD_OUT: words}))
        if COMPOUND in cases:
            others = {words: cases[columns] for words, columns in schemes.items() if columns in cases}
            honest = others.pop(_COMPOUNDS)
            leaks += [leak] if (leak := find_leak(trained.model.name, honest, others)) is not None else []
    if not lines:
        raise UserError("; ".join(notes))
    table = pd.concat(lines, ignore_index=True)
    order = {words: place for place, words in enumerate(dict.fromkeys(table[HELD_OUT]))}
    table = table.sort_values(HELD_OUT, key=lambda column: column.map(order), kind="stable", ignore_index=True)
    return Scores(table, HELD_OUT, unit, notes, leaks=leaks)


def _schemes(data: Path) -> dict[str, str]:
    """What can be held out in a data set, from what leaks most: words, and the value of ``--hold-out``."""
    dataset = load_dataset(data, drugs=has_table(data, TRAIN_DRUG), nonscored=False)
    found, treated = {"wells": "rows"}, dataset.treated
    known = dataset.wells if dataset.wells is not None else pd.DataFrame()
    columns = [PLATE, *(name for name in (*known, *dataset.metadata) if _BATCH.search(str(name)))]
    for column in dict.fromkeys(columns):
        try:
            values = dataset.facts((column,), treated)[column]
        except UserError:
            continue
        count = values.nunique()
        if values.isna().any() or count < 2 or (column != PLATE and (count > _MOST_BATCHES or "batches" in found)):
            continue
        found["plates" if column == PLATE else "batches"] = column
    if dataset.drugs is not None:
        found[_COMPOUNDS] = COMPOUND
    return found


def _train(trained: Trained, where: Folders, columns: str) -> Path:
    """Train the same settings and seeds with other columns held out; returns the weights folder."""
    weights = where.weights.with_name(f"{where.weights.name}-leaks") / columns.replace(",", "+")
    store, last = trained.store, trained.last
    seeds = tuple(sorted({seed for seed, _ in trained.units(last)}))
    parts = trained.hold_out.parts if trained.hold_out and columns != "rows" else None
    options = TrainOptions(settings=trained.config.model_dump(mode="json"), seeds=seeds, hold_out=columns, parts=parts)
    console.print(f"[dim]{trained.model.name}: {columns} held out, in {weights}[/dim]", highlight=False)
    profile = store.manifest().profile or where.profile
    train_models([recipe(trained.model.name)], replace(where, weights=weights, profile=profile), options)
    return weights
