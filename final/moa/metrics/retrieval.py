"""Retrieval of mechanisms: do profiles of one mechanism find each other? Mean average precision, by copairs.

A profile is compared with all profiles of other compounds. Its average precision for one of its mechanisms is that of
the list sorted by cosine similarity, where profiles of the same mechanism are right and those that share no mechanism
with it are wrong. All pairs are compared, so time and memory grow with the square of the profiles: half a minute for a
thousand. The mean over the profiles of a mechanism is compared with that of random lists (Kalinin et al.,
Nature Communications 2025). copairs is an optional extra: ``pip install 'moa[assay]'``.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from moa.errors import UserError

#: Random lists per null distribution: the smallest p-value is 1 / (PERMUTATIONS + 1).
PERMUTATIONS = 10_000
#: A mechanism is called retrieved if its p-value, corrected for the number of mechanisms, is below this.
LEVEL = 0.05
#: Noise that makes equal profiles different, as a share of the mean absolute value; cosines are float32.
_NOISE = 1e-3
_MECHANISM, _COMPOUND = "mechanism", "compound"


def retrieval(
    profiles: pd.DataFrame,
    y: pd.DataFrame,
    compounds: pd.Series,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    cache: Path | None = None,
) -> pd.DataFrame:
    """Mean average precision of each mechanism, and how often chance reaches it.

    Args:
        profiles: numbers, shape (profiles, features): treatments' features, or their predicted probabilities.
        y: 0/1 labels of the same profiles, shape (profiles, targets), in any order; profiles without a label are wrong
            answers for all.
        compounds: compound of each profile; profiles of one compound are never compared.
        permutations: random lists per null distribution.
        seed: of these lists.
        cache: folder in which copairs keeps its null distributions; None: they are made again each time.

    Returns:
        one row per mechanism that two compounds have: ``profiles``, ``mean_average_precision``, ``p_value`` and
        ``corrected_p_value`` (Benjamini and Hochberg), indexed by target.

    Raises:
        UserError: copairs is not installed, or no mechanism is shared by two compounds.
    """
    try:
        from copairs import map as copairs_map
        from copairs.matching import UnpairedException
    except ImportError:
        raise UserError("retrieval of mechanisms needs copairs: pip install 'moa[assay]'") from None
    y = y.loc[profiles.index]
    names = np.asarray(y.columns, dtype=object)
    known = pd.DataFrame(
        {
            _COMPOUND: np.asarray(compounds.loc[profiles.index], dtype=object),
            _MECHANISM: [list(names[row]) for row in y.to_numpy().astype(bool)],
        }
    )
    try:
        precision = copairs_map.multilabel.average_precision(
            known,
            _made_different(profiles.to_numpy(np.float32), seed),
            pos_sameby=[_MECHANISM],
            pos_diffby=[_COMPOUND],
            neg_sameby=[],
            neg_diffby=[_MECHANISM, _COMPOUND],
            multilabel_col=_MECHANISM,
            progress_bar=False,
        )
    except UnpairedException:
        raise UserError("retrieval of mechanisms: no mechanism is shared by profiles of two compounds") from None
    with tempfile.TemporaryDirectory() as temporary:
        table = copairs_map.mean_average_precision(
            precision,
            [_MECHANISM],
            null_size=permutations,
            threshold=LEVEL,
            seed=seed,
            progress_bar=False,
            cache_dir=cache or temporary,
        ).set_index(_MECHANISM)
    table.insert(0, "profiles", precision.groupby(_MECHANISM).size())
    return table[["profiles", "mean_average_precision", "p_value", "corrected_p_value"]].rename_axis("target")


def _made_different(values: np.ndarray, seed: int) -> np.ndarray:
    """The profiles, with a little noise in those that equal another one.

    Among equal similarities copairs puts right answers first, so that a model that predicts the same for all would have
    a mean average precision of 1. With noise they are in random order.
    """
    alike = pd.DataFrame(values).duplicated(keep=False).to_numpy()
    noise = np.random.default_rng(seed).normal(size=(int(alike.sum()), values.shape[1]))
    values = values.copy()
    values[alike] += (_NOISE * np.abs(values).mean() * noise).astype(np.float32)
    return values
