"""The claims of the write-up and the ablations that test them, which ``writeup_claims.yaml`` beside this file holds.

Nothing is trained here; ``moa.jobs.ablation`` does that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from moa.errors import UserError
from moa.words import unknown


@dataclass(frozen=True)
class Arm:
    """One side of a comparison."""

    label: str  # its name in the table
    model: str  # name of the recipe
    overlay: Mapping[str, Any] = field(default_factory=dict)  # changed fields of the recipe's configuration, nested
    stage: str | None = None  # stage whose OOF is scored; None: the last

    @property
    def name(self) -> str:
        """Folder of the weights, such as "two-heads+phase1.smoothing=0"; without changes, the model's name."""
        changes = ",".join(f"{path}={value}" for path, value in _leaves(self.overlay))
        return f"{self.model}+{changes}" if changes else self.model


def _leaves(overlay: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in overlay.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


@dataclass(frozen=True)
class Ablation:
    """A claim and the comparisons that test it; the first arm of each is the base: the solution as published."""

    name: str  # on the command line
    claim: str  # one sentence
    comparisons: tuple[tuple[Arm, ...], ...]


_FILE = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
#: The ablations by name.
ABLATIONS = {
    name: Ablation(name, facts["claim"], tuple(tuple(Arm(**arm) for arm in arms) for arms in facts["comparisons"]))
    for name, facts in _FILE["ablations"].items()
}
#: What the write-up says of each model, and the name of the ablation that tests it; None: none does.
WRITE_UP: dict[str, tuple[tuple[str, str | None], ...]] = {
    model: tuple((each["claim"], each.get("ablation")) for each in claims) for model, claims in _FILE["models"].items()
}


def ablation(name: str) -> Ablation:
    """The ablation of that name.

    Raises:
        UserError: there is none.
    """
    if name not in ABLATIONS:
        raise UserError(f"ablation {unknown(name, ABLATIONS)}; choose one of: {', '.join(ABLATIONS)}")
    return ABLATIONS[name]
