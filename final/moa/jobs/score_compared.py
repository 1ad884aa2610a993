"""What differences amount to, with a paired bootstrap over compounds.

Models beside the best simple method, and a model beside itself with other things held out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from moa.data.wells import COMPOUND
from moa.jobs.score_baselines import MODEL, SIMPLE, Entry
from moa.jobs.score_inputs import Case
from moa.metrics.paired import COMPARED, Difference, Draws, difference

#: The measures as sentences name them.
_WORDS = {"average_precision_micro": "average precision", "log_loss": "log loss"}
#: The measure that decides: it knows all mechanisms of a row, and any method has it.
DECIDES = "average_precision_micro"


@dataclass(frozen=True)
class Comparison:
    """A model beside the baseline that is best in each measure.

    Attributes:
        model: its name.
        best: name of the best baseline by measure.
        found: how much better the model is than that, by measure.
        compounds: whether compounds were drawn, or rows, since the compounds are not known.
    """

    model: str
    best: dict[str, str]
    found: dict[str, Difference]
    compounds: bool

    @property
    def better(self) -> bool:
        """Whether the model is better than every simple method, by average precision."""
        return self.found[DECIDES].better

    @property
    def sentence(self) -> str:
        """One sentence: better than the best simple method, or not, and by how much."""
        verdict = "better than" if self.better else "worse than" if self.found[DECIDES].worse else "not better than"
        best = self.best[DECIDES]
        parts = [
            self._part(name) + ("" if self.best[name] == best else f" against {self.best[name]}")
            for name in (DECIDES, *(name for name in self.found if name != DECIDES))
        ]
        drawn = "compounds" if self.compounds else "rows"
        return f"{self.model}: {verdict} {best} ({'; '.join(parts)}; 95 % intervals over {drawn})"

    def _part(self, measure: str) -> str:
        each = self.found[measure]
        if measure == "top_1":
            value, low, high = (f"{100 * number:+.1f}" for number in (each.value, each.low, each.high))
            return f"top 1 {value} points [{low}, {high}]"
        numbers = (each.value, each.low, each.high) if COMPARED[measure] else (-each.value, -each.high, -each.low)
        value, low, high = (f"{number:+.3f}" for number in numbers)
        return f"{_WORDS[measure]} {value} [{low}, {high}]"

    def rows(self) -> list[dict[str, object]]:
        """The differences as lines of a table: model, baseline, measure, difference, low and high."""
        return [
            {
                "prediction": self.model, "baseline": self.best[name], "measure": name,
                "difference": each.value, "low": each.low, "high": each.high,
            }
            for name, each in self.found.items()
        ]  # fmt: skip


@dataclass(frozen=True)
class Leak:
    """How much better a model is where wells, plates or batches are held out than where compounds are.

    Attributes:
        model: its name.
        honest: its average precision with compounds held out.
        found: by what else was held out, how much higher it is there; only where that is beyond noise.
    """

    model: str
    honest: float
    found: dict[str, Difference]

    @property
    def sentence(self) -> str:
        """One sentence: which figure holds for new compounds, and how much higher the others are."""
        parts = [
            f"with {held} by {each.value:.3f} [{each.low:.3f}, {each.high:.3f}]" for held, each in self.found.items()
        ]
        return (
            f"{self.model}: average precision {self.honest:.3f}, with compounds held out, is what holds for new "
            f"compounds; it is higher {', '.join(parts)} held out instead (95 % intervals over compounds)"
        )


def find_leak(model: str, honest: Case, others: Mapping[str, Case]) -> Leak | None:
    """The average precision of a model with compounds held out, and how much higher it is with other columns held out.

    Args:
        model: its name.
        honest: its predictions with compounds held out.
        others: those with something else held out, by what it was in words; they are compared on the rows of all.

    Returns:
        the differences that are beyond noise; None where there are none.
    """
    rows = honest.y.index
    for other in others.values():
        rows = rows[rows.isin(other.y.index)]
    if not honest.y.loc[rows].to_numpy().any():
        return None
    draws = Draws(honest.y.loc[rows], honest.known.get(COMPOUND))

    def measured(case: Case) -> np.ndarray:
        return draws.measured(case.predictions[0].table.loc[rows])[DECIDES]

    own = measured(honest)
    differences = {held: difference(measured(other), own, COMPARED[DECIDES]) for held, other in others.items()}
    found = {held: each for held, each in differences.items() if each.better}
    return Leak(model, float(own[0]), found) if found else None


def compare_with_baselines(case: Case, models: Sequence[Entry], others: Sequence[Entry]) -> list[Comparison]:
    """Each model beside the best of the baselines; nothing where there are no models or no baselines.

    Positive differences mean that the model is better, in log loss too.
    """
    chosen = [entry for entry in models if entry.kind == MODEL]
    simple = [entry for entry in others if entry.kind in SIMPLE]
    if not chosen or not simple or not case.y.to_numpy().any():
        return []
    compounds = case.known.get(COMPOUND)
    if compounds is not None and compounds.reindex(case.y.index).isna().all():
        compounds = None
    draws = Draws(case.y, compounds)

    def measured(entry: Entry) -> dict[str, np.ndarray]:
        return draws.measured(entry.pairs[0][1].loc[case.y.index], entry.probabilities)

    beside = {entry.name: measured(entry) for entry in simple}
    found = []
    for entry in chosen:
        own = measured(entry)
        best = {name: _best(beside, name, more) for name, more in COMPARED.items() if name in own}
        differences = {name: difference(own[name], beside[other][name], COMPARED[name]) for name, other in best.items()}
        found.append(Comparison(entry.name, best, differences, compounds is not None))
    return found


def _best(measured: dict[str, dict[str, np.ndarray]], measure: str, more: bool) -> str:
    """The baseline that is best in a measure on the rows as they are."""
    values = pd.Series({name: each[measure][0] for name, each in measured.items() if measure in each})
    return str(values.idxmax() if more else values.idxmin())
