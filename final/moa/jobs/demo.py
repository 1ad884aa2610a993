"""The demo's OOF log losses beside those in the README: does the code give the same results on this machine?

``demo.csv`` beside this file holds the README's figures, and how far another machine may be off. Rounding differs
between processors and numbers of threads, and training amplifies it: a unit comes out again to the last bit on one
machine, and not on another. A tolerance is twice the largest difference that was seen where one machine imitated others
(other instruction sets, another number of threads), rounded up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from moa.blending.blend import apply_blend, load_blend
from moa.blending.catalogue import BLENDS
from moa.data.dataset import load_dataset
from moa.data.synthetic import DEMO, MARKER, is_synthetic
from moa.errors import UserError
from moa.files import read_json
from moa.jobs.model_scores import score_model
from moa.metrics.losses import log_loss
from moa.models.registry import recipe
from moa.weights.layout import WeightsFolder
from moa.weights.trained import open_trained

#: The data set of the README's figures; ``moa.data.synthetic`` writes these beside the data.
DATA = {**DEMO, "world": 3}


@dataclass(frozen=True)
class DemoComparison:
    """One model's or blend's OOF log loss, and the README's, over the rows that the README counts."""

    name: str
    ours: float
    theirs: float
    tolerance: float  # largest unremarkable difference

    @property
    def difference(self) -> float:
        """Ours minus the README's."""
        return self.ours - self.theirs

    @property
    def beyond(self) -> bool:
        """Whether they differ by more than machines do."""
        return not abs(self.difference) <= self.tolerance


def reference() -> pd.DataFrame:
    """The README's figures: oof and tolerance, indexed by the name of the model or blend."""
    return pd.read_csv(Path(__file__).with_suffix(".csv"), index_col="model")


def is_demo(data: Path) -> bool:
    """Whether a folder holds the data set that reproduce.sh makes for the demo."""
    return is_synthetic(data) and {name: read_json(data / MARKER).get(name) for name in DATA} == DATA


def compare_demo(names: Iterable[str], data: Path, weights: Path) -> tuple[list[DemoComparison], list[str]]:
    """Compare models that are trained on the demo's data, and the blends all of whose members are among them.

    Returns:
        one comparison per model and blend, and the models that are not or not wholly trained.

    Raises:
        UserError: a model was trained with other settings than the demo's.
    """
    known, dataset = reference(), load_dataset(data, nonscored=False)
    y = dataset.scored[dataset.treated]
    oofs, absent, found = {}, [], []
    for name in names:
        trained = open_trained(name, weights, whole=False) if WeightsFolder(weights).has(name) else None
        if trained is None or trained.missing_units():
            absent.append(name)
            continue
        profile = trained.store.manifest().profile
        if profile != "demo":
            raise UserError(
                f"{weights / name}: trained with the profile {profile}; the figures are of the profile demo"
            )
        oofs[name] = trained.oof()
        ours = round(score_model(recipe(name), dataset, oofs[name]).same_rows, 5)  # as the README has it
        found.append(DemoComparison(name, ours, *known.loc[name, ["oof", "tolerance"]]))
    for name, path in BLENDS.items():
        spec = load_blend(path)
        if all(member.model in oofs for member in spec.members):
            mixed = apply_blend(spec, {member.model: oofs[member.model].loc[y.index] for member in spec.members})
            ours = round(log_loss(y, mixed), 5)
            found.append(DemoComparison(name, ours, *known.loc[name, ["oof", "tolerance"]]))
    return found, absent
