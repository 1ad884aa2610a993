"""What predictions of wells amount to: mechanisms of wells, treatments and compounds, and compounds of each mechanism.

Wells of a compound that was in training are answered by the out-of-fold predictions: the model knows their labels, and
would repeat them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from moa.blending.reliability import OWN_COMPOUND, OWN_WELL, Reliability
from moa.data.compounds import compound_key
from moa.data.schema import COMPOUND, SIG_ID
from moa.data.wells import TREATMENT
from moa.metrics.pooling import evidence, probability, sums_to_one

#: Compounds that are listed for a mechanism.
LISTED = 50


def rank_mechanisms(
    probabilities: pd.DataFrame, prevalence: pd.Series | None, top: int, cautions: pd.Series | None = None
) -> pd.DataFrame:
    """The most likely mechanisms of each sample, the most likely first.

    Args:
        probabilities: shape (rows, targets), indexed by sig_id, or by treatments or compounds.
        prevalence: share of positive treated training rows for each target; None if it is not known.
        top: number of mechanisms per sample.
        cautions: why a target deserves less trust, by target; others need none. None: not known.

    Returns:
        sig_id (or the name of the index), rank from 1, moa, probability, times_prevalence (probability / prevalence)
        and caution; shape (rows × top, 6).
    """
    values = probabilities.to_numpy()
    top = min(top, values.shape[1])
    order = np.argsort(-values, axis=1, kind="stable")[:, :top]
    chosen = np.take_along_axis(values, order, axis=1)
    names = probabilities.columns.to_numpy()[order].ravel()
    table = pd.DataFrame(
        {
            probabilities.index.name or SIG_ID: np.repeat(probabilities.index.to_numpy(), top),
            "rank": np.tile(np.arange(1, top + 1), len(values)),
            "moa": names,
            "probability": chosen.ravel().astype(np.float32),
        }
    )
    # The ratio is undefined for a target without a positive in training.
    usual = np.nan if prevalence is None else prevalence.replace(0, np.nan).reindex(names).to_numpy()
    table["times_prevalence"] = np.divide(table["probability"].to_numpy(np.float64), usual).round(2)
    known = {} if cautions is None else cautions.to_dict()
    table["caution"] = [known.get(name, "") for name in names]
    return table


def rank_compounds(probabilities: pd.DataFrame, cautions: pd.Series | None = None, most: int = LISTED) -> pd.DataFrame:
    """The compounds of each mechanism, the likeliest first.

    Args:
        probabilities: shape (compounds, targets), indexed by compound.
        cautions: as for `rank_mechanisms`.
        most: compounds of a mechanism.

    Returns:
        moa, rank from 1, compound, probability, expected_precision (the share of compounds up to this rank that should
        carry the mechanism: the mean of their probabilities) and caution; mechanisms without a caution first, then by
        their first compound.
    """
    known = {} if cautions is None else cautions.to_dict()
    parts = []
    for target in probabilities:
        values = probabilities[target].sort_values(ascending=False, kind="stable").iloc[:most]
        found = values.to_numpy(np.float64)
        parts.append(
            pd.DataFrame(
                {
                    "moa": target,
                    "rank": np.arange(1, len(values) + 1),
                    COMPOUND: values.index,
                    "probability": found.astype(np.float32),
                    "expected_precision": (np.cumsum(found) / np.arange(1, len(found) + 1)).astype(np.float32),
                    "caution": known.get(target, ""),
                }
            )
        )
    parts.sort(key=lambda part: (bool(part["caution"].iloc[0]), -part["probability"].iloc[0]) if len(part) else (1, 0))
    return pd.concat(parts, ignore_index=True)


def answered(
    p: pd.DataFrame, compounds: pd.Series | None, known: Reliability | None
) -> tuple[pd.DataFrame, np.ndarray]:
    """Predictions in which samples that were in training have out-of-fold ones.

    Args:
        p: probabilities, shape (samples, targets), indexed by sig_id.
        compounds: of the samples, in this order; None or NaN: not known.
        known: of the models; None: not known.

    Returns:
        the predictions, and what `moa.blending.reliability.Trust.in_training` says of each sample.
    """
    source = np.full(len(p), "", dtype=object) if known is None else known.trust.in_training(p.index, compounds)
    if known is None or not (source != "").any():
        return p, source
    values = p.to_numpy(np.float64).copy()
    own, alike = source == OWN_WELL, source == OWN_COMPOUND
    values[own] = known.oof.loc[p.index[own], list(p.columns)].to_numpy()
    if alike.any():
        assert compounds is not None, "only named compounds are known"
        keys = [compound_key(name) for name in compounds[alike]]
        values[alike] = known.by_compound.loc[keys, list(p.columns)].to_numpy()
    return pd.DataFrame(values, p.index, p.columns), source


@dataclass(frozen=True)
class Answers:
    """Treatments and compounds of a file of samples.

    Attributes:
        compounds: probabilities, shape (compounds, targets), indexed by compound.
        treatments: likewise of treatments.
        about: of each compound: wells, treatments (numbers), and in_training.
        about_treatments: of each treatment: compound, wells, and in_training.
        agree: of each compound, the share of wells that have each target in first place; same shape.
        agree_treatments: likewise of treatments.
    """

    compounds: pd.DataFrame
    treatments: pd.DataFrame
    about: pd.DataFrame
    about_treatments: pd.DataFrame
    agree: pd.DataFrame
    agree_treatments: pd.DataFrame

    def tables(self, prevalence: pd.Series | None, top: int, cautions: pd.Series | None) -> dict[str, pd.DataFrame]:
        """The tables "compounds", "treatments" and "mechanisms"; arguments are those of `rank_mechanisms`."""
        found = {}
        for name, p, about, agree in (
            ("compounds", self.compounds, self.about, self.agree),
            ("treatments", self.treatments, self.about_treatments, self.agree_treatments),
        ):
            ranked = rank_mechanisms(p, prevalence, top, cautions)
            places = agree.columns.get_indexer(ranked["moa"])
            rows = np.repeat(np.arange(len(p)), min(top, p.shape[1]))
            ranked["wells_agree"] = agree.to_numpy()[rows, places].round(3)
            found[name] = ranked.join(about, on=p.index.name)
        mechanisms = rank_compounds(self.compounds, cautions)
        found["mechanisms"] = mechanisms.join(self.about["in_training"], on=COMPOUND)
        return found


class Pooling:
    """Wells pooled to treatments and compounds, in any number of parts: the mean of their evidence.

    Args:
        targets: names of the targets.
    """

    def __init__(self, targets: list[str]):
        self._targets = targets
        self._one: bool | None = None
        self._sums: dict[str, dict[str, np.ndarray]] = {COMPOUND: {}, TREATMENT: {}}
        self._firsts: dict[str, dict[str, np.ndarray]] = {COMPOUND: {}, TREATMENT: {}}
        self._wells: dict[str, dict[str, int]] = {COMPOUND: {}, TREATMENT: {}}
        self._source: dict[str, dict[str, str]] = {COMPOUND: {}, TREATMENT: {}}
        self._names: dict[str, str] = {}  # of a compound by its key
        self._of: dict[str, str] = {}  # compound of a treatment

    def add(self, p: pd.DataFrame, wells: pd.DataFrame, source: np.ndarray) -> None:
        """Add wells.

        Args:
            p: probabilities of treated wells, shape (wells, targets).
            wells: of the same wells: compound and treatment; rows without a compound are left out.
            source: what `moa.blending.reliability.Trust.in_training` says of them.
        """
        if not len(p) or COMPOUND not in wells:
            return
        values = p[self._targets].to_numpy(np.float64)
        if self._one is None:
            self._one = sums_to_one(values)
        found, first = evidence(values, self._one), values.argmax(axis=1)
        rows = zip(wells[COMPOUND], wells.get(TREATMENT, wells[COMPOUND]), found, first, source, strict=True)
        for compound, treatment, own, top, origin in rows:
            if pd.isna(compound):
                continue
            name = self._names.setdefault(compound_key(compound), str(compound))
            treatment = name if pd.isna(treatment) else str(treatment)
            self._of[treatment] = name
            for kind, group in ((COMPOUND, name), (TREATMENT, treatment)):
                if group not in self._sums[kind]:
                    self._sums[kind][group] = np.zeros(len(self._targets))
                    self._firsts[kind][group] = np.zeros(len(self._targets))
                self._sums[kind][group] += own
                self._firsts[kind][group][top] += 1
                self._wells[kind][group] = self._wells[kind].get(group, 0) + 1
                self._source[kind][group] = origin or self._source[kind].get(group, "")

    def answers(self) -> Answers | None:
        """What was added, in alphabetical order; None where no compound is known."""
        if not self._names or self._one is None:
            return None
        p, agree, about = {}, {}, {}
        for kind in (COMPOUND, TREATMENT):
            names = sorted(self._sums[kind])
            wells = np.array([self._wells[kind][name] for name in names])
            index = pd.Index(names, name=kind, dtype=object)
            mean = np.stack([self._sums[kind][name] for name in names]) / wells[:, None]
            firsts = np.stack([self._firsts[kind][name] for name in names]) / wells[:, None]
            p[kind] = pd.DataFrame(probability(mean, self._one), index, self._targets)
            agree[kind] = pd.DataFrame(firsts, index, self._targets)
            about[kind] = pd.DataFrame(
                {"wells": wells, "in_training": [self._source[kind][each] for each in names]}, index
            )
        treatments = about[TREATMENT]
        treatments.insert(0, COMPOUND, [self._of[name] for name in treatments.index])
        about[COMPOUND].insert(1, "treatments", treatments[COMPOUND].value_counts().loc[about[COMPOUND].index])
        return Answers(p[COMPOUND], p[TREATMENT], about[COMPOUND], treatments, agree[COMPOUND], agree[TREATMENT])


def pooled_answers(parts: Iterable[tuple[pd.DataFrame, pd.DataFrame]], known: Reliability | None) -> Answers | None:
    """Treatments and compounds of samples that come in parts.

    Args:
        parts: probabilities of treated samples, shape (samples, targets), indexed by sig_id; and of the same samples
            compound and treatment, where they are known.
        known: of the models; None: not known.

    Returns:
        the answers; None where no compound is known.
    """
    pooling: Pooling | None = None
    for p, wells in parts:
        pooling = pooling or Pooling(list(p.columns))
        found, source = answered(p, wells.get(COMPOUND), known)
        pooling.add(found, wells, source)
    return None if pooling is None else pooling.answers()
