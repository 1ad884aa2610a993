"""Compare a trained model with what the winners' own runs logged on the competition's data.

``moa.models.winners`` has the logs and says which runs are ``exact``, ``sister`` or of ``one seed``, and
``moa.jobs.chance_margins`` which differences are unremarkable. Only an exact run is judged. Of the others, differences
are shown: unit by unit for one seed, else between means over folds and seeds. No fold of the new CV is paired with one
of the winners, whose folds cannot be reproduced.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from moa.data.assay import COMPETITION
from moa.data.schema import SIG_ID, TRAIN_SCORED
from moa.data.synthetic import is_synthetic
from moa.errors import UserError
from moa.files import sha256
from moa.jobs.chance_margins import mean_margin, unit_margin
from moa.metrics.losses import log_loss
from moa.models import winners
from moa.models.base import Stage
from moa.models.registry import recipe
from moa.models.winners import KINDS, Log
from moa.weights.layout import WeightsFolder
from moa.weights.selection import Selection
from moa.weights.stage_description import difference
from moa.weights.trained import Trained, open_trained

_UNIT = ["seed", "fold"]


@dataclass
class Comparison:
    """One logged loss compared with ours. All losses are log losses in nats, all differences ours minus theirs.

    Attributes:
        log: the winners' losses.
        units: one row per compared unit, in the order of folds: seed, fold, ours, theirs (the same seed and fold; NaN
            where it was not logged), fold_mean (of their seeds), difference (from fold_mean). Empty where folds differ.
        ours, theirs: means over units.
        counts: number of units behind each of the two means.
        unit_margin, mean_margin: largest unremarkable differences; NaN where there is no verdict.
        notes: what to know when reading the figures.
    """

    log: Log
    units: pd.DataFrame
    ours: float
    theirs: float
    counts: tuple[int, int]
    unit_margin: float = float("nan")
    mean_margin: float = float("nan")
    notes: list[str] = field(default_factory=list)

    @property
    def difference(self) -> float:
        """Mean difference."""
        return self.ours - self.theirs

    @property
    def judged(self) -> bool:
        """Whether there is a verdict."""
        return not np.isnan(self.unit_margin)

    @property
    def units_beyond(self) -> pd.Series:
        """Whether each unit differs more than is unremarkable; False without a verdict."""
        return ~(self.units["difference"].abs() <= self.unit_margin) & self.judged  # a NaN is beyond

    @property
    def mean_beyond(self) -> bool:
        """Whether the mean differs more than is unremarkable; False without a verdict."""
        return self.judged and not abs(self.difference) <= self.mean_margin

    @property
    def beyond(self) -> bool:
        """Whether a unit or the mean differs more than is unremarkable."""
        return self.mean_beyond or bool(self.units_beyond.any())


def compare_model(name: str, data: Path, weights: Path, selection: Selection | None = None) -> list[Comparison]:
    """Compare the finished units of a model, any part of them, with the winners' log.

    Args:
        name: name of the model.
        data: folder of the competition's files, those the model was trained on.
        weights: weights folder.
        selection: which units and stages; None: all that are finished.

    Returns:
        one comparison for each logged loss with a finished unit here; none if the winners' runs of it left no log.

    Raises:
        UserError: the data are synthetic or not those of the weights, or no unit with a log is finished.
    """
    logs, selection = winners.logs(recipe(name).name), selection or Selection()
    if not logs:
        return []
    if is_synthetic(data):
        raise UserError(f"{data}: these data are synthetic, and the winners' log is of the competition's data")
    if not (data / TRAIN_SCORED).is_file():
        raise UserError(f"{data}: holds no {TRAIN_SCORED}; give the folder of the competition's files with --data")
    if not WeightsFolder(weights).has(name):
        raise UserError(f"{weights}: holds no weights of {name}; train it first, or give the right --weights folder")
    trained = open_trained(name, weights, whole=False)
    selection.check(name, trained.stages)
    _check_data(trained, data)
    notes = _settings_note(trained)
    published = {stage.name: stage for stage in trained.model.stages(trained.model.config, COMPETITION)}
    found = []
    for log in logs:
        if log.stage not in trained.stages or not selection.has(log.stage):
            continue
        stage = trained.stages[log.stage]
        asked = set(selection.units(stage, feeds_later=False))
        ours, more = _ours(trained, stage, log, [unit for unit in trained.units(stage) if unit in asked], data)
        if ours.empty:
            continue
        made = compare(log, ours, log.same_folds and stage.folds == published[log.stage].folds)
        made.notes = [*notes, *more, *made.notes]
        found += [made] if made.counts[0] else []
    if not found:
        raise UserError(f"{weights}: no unit of {name} that was asked for and logged is finished; train it first")
    return found


def compare(log: Log, ours: pd.Series, same_folds: bool) -> Comparison:
    """Compare our losses of at least one unit, index (seed, fold), with a log whose folds are the same or not."""
    ours = ours.sort_index(level=["fold", "seed"])
    if not same_folds:
        low, high = (getattr(log.best.groupby("fold").mean(), end)() for end in ("min", "max"))
        why = f" ({log.other_folds})" if log.other_folds else ""
        notes = [f"folds differ from the winners'{why}, whose fold means range from {low:.5f} to {high:.5f}"]
        units = pd.DataFrame(columns=[*_UNIT, "ours", "theirs", "fold_mean", "difference"], dtype=float)
        return Comparison(log, units, ours.mean(), log.best.mean(), (len(ours), len(log.best)), notes=notes)
    fold_means = log.best.groupby("fold").mean()
    logged = ours[ours.index.get_level_values("fold").isin(fold_means.index)]
    left_out = len(ours) - len(logged)
    notes = [f"{left_out} units are of folds that were not logged"] if left_out else []
    if log.run == "one seed":  # other seeds would be compared with a single draw
        other = ~logged.index.isin(log.best.index)
        notes += [f"{other.sum()} units are of seeds that were not logged"] if other.any() else []
        logged = logged[~other]
    units = logged.rename("ours").reset_index()
    units["theirs"] = log.best.reindex(logged.index).to_numpy()
    units["fold_mean"] = fold_means.reindex(units["fold"]).to_numpy()
    units["difference"] = units["ours"] - units["fold_mean"]
    folds = units["fold"].unique()
    behind = int(log.best.index.get_level_values("fold").isin(folds).sum())
    made = Comparison(log, units, units["ours"].mean(), units["fold_mean"].mean(), (len(units), behind), notes=notes)
    if log.run == "exact" and len(units):
        table = log.best.unstack("fold")
        made.unit_margin = unit_margin(table, len(units))
        made.mean_margin = mean_margin(table, logged.index) if len(units) > 1 else made.unit_margin
    return made


def _ours(
    trained: Trained, stage: Stage, log: Log, units: list[tuple[int, int]], data: Path
) -> tuple[pd.Series, list[str]]:
    """Our losses of some units of a stage, by the winners' estimator where it is stored; and a note if it is not."""
    kind, found, notes = KINDS[log.kind], {}, []
    if kind.variant:
        units = [unit for unit in units if kind.variant in trained.store.unit_facts(stage.name, *unit).variants]
        labels = pd.read_csv(data / TRAIN_SCORED, index_col=SIG_ID) if units else pd.DataFrame()
        for unit in units:
            oof = trained.store.load_oof(stage.name, *unit, kind.variant)
            found[unit] = log_loss(labels.loc[labels.index.isin(oof.index)], oof)
    for unit in units if kind.column else ():
        history = pd.DataFrame(trained.store.unit_facts(stage.name, *unit).history)
        column = kind.column if kind.column in history else "valid_loss"
        if column != kind.column:
            notes = [f"these weights have no {kind.column}; valid_loss, the mean over rows, is compared instead"]
        found[unit] = history[column].min()
    index = pd.MultiIndex.from_tuples(found, names=_UNIT) if found else pd.MultiIndex.from_arrays([[], []], names=_UNIT)
    return pd.Series(list(found.values()), index, dtype=float), notes


def _check_data(trained: Trained, data: Path) -> None:
    """Refuse weights that were trained on other data than those in the folder."""
    if trained.schema != COMPETITION:
        raise UserError(
            f"{trained.store.layout.manifest}: its data have another schema than the competition's, which were logged"
        )
    recorded = trained.store.manifest().data.get(TRAIN_SCORED)
    if recorded and sha256(data / TRAIN_SCORED) != recorded:
        raise UserError(
            f"{data / TRAIN_SCORED}: the weights were trained on another file; give the data of the training as --data"
        )


def _settings_note(trained: Trained) -> list[str]:
    used, published = (config.model_dump(mode="json") for config in (trained.config, trained.model.config))
    if (found := difference(published, used)) is None:
        return []
    words = found.replace(" there", " published").replace(" now", " here")
    return [f"settings differ from the published ones; the first is {words}"]


def winners_curves(model: str, data: Path) -> pd.DataFrame | None:
    """The winners' validation losses, as ``moa.models.winners.curves``, to draw beside ours of a data folder.

    None, with a line that says why, if there is no log, or if the data are synthetic.
    """
    found = winners.curves(model)
    if found.empty:
        print(f"{model}: the winners' runs left no losses by epoch, so only ours are drawn")
    elif is_synthetic(data):
        print("the winners' losses are left out: they are of the competition's data, and these data are synthetic")
    else:
        return found
    return None
