"""Predictions of new samples: what was written, and what they are explained from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from moa.blending.answers import Answers
from moa.blending.blend import BlendSpec
from moa.blending.reliability import Reliability


@dataclass(frozen=True)
class Explained:
    """Samples with what a page about them needs, all tables in the order of ``samples``.

    Attributes:
        samples: as the table ``samples``, indexed by sig_id.
        probabilities: of the blend, shape (samples, targets).
        members: of each member that is trained, by its name; same shape.
        features: the features that the models were trained on, conditions included; shape (samples, features).
        strongest: the features furthest from the training mean in words, shape (samples,); empty for controls.
    """

    samples: pd.DataFrame
    probabilities: pd.DataFrame
    members: Mapping[str, pd.DataFrame]
    features: pd.DataFrame
    strongest: pd.Series


@dataclass(frozen=True)
class PlateResult:
    """What `moa predict --features` has written.

    Attributes:
        source: name of the features file.
        spec: the blend.
        folder: of the tables.
        files: names of the tables: probabilities (sig_id and one column per target; controls 0), ranked (sig_id, rank,
            moa, probability, times_prevalence, caution, strongest_features on the first row of each sample) and samples
            (sig_id, cp_type, how familiar they are, in_training, warning, and what the file says of the wells); where
            compounds are known, those of `moa.blending.answers.Answers.tables`; and exports.
        rows: number of samples predicted.
        far: number of samples with a warning: far outside the training data, or an unusual combination of values; None
            if the weights do not describe the training data.
        absent: members of the blend that are not trained.
        explained: the first samples, which the page is about; None where there are none to explain.
        reliability: out-of-fold measures of the blend; None where the weights hold no labels.
        answers: treatments and compounds of the file; None where it names no compounds.
    """

    source: str
    spec: BlendSpec
    folder: Path
    files: list[str]
    rows: int
    far: int | None
    absent: list[str]
    explained: Explained | None = field(default=None, compare=False, repr=False)
    reliability: Reliability | None = field(default=None, compare=False, repr=False)
    answers: Answers | None = field(default=None, compare=False, repr=False)


def packed(members: Mapping[str, pd.DataFrame], features: pd.DataFrame) -> pd.DataFrame:
    """Members' predictions and the features in one table, to be stored; numbers as float32."""
    numbers = features.select_dtypes("number").astype(np.float32)
    features = features.drop(columns=numbers.columns).astype("string").join(numbers)[list(features)]
    parts = [features.add_prefix("x:")]
    for place, table in enumerate(members.values()):
        parts.append(table.astype(np.float32).add_prefix(f"{place}:"))
    return pd.concat(parts, axis=1)


def unpacked(
    stored: pd.DataFrame, members: Sequence[str], targets: Sequence[str]
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """What ``packed`` made into one table: members' predictions by name, and the features."""
    found = {
        name: stored[[f"{place}:{target}" for target in targets]].set_axis(list(targets), axis=1)
        for place, name in enumerate(members)
    }
    features = [column for column in stored if column.startswith("x:")]
    return found, stored[features].rename(columns=lambda name: name.removeprefix("x:"))
