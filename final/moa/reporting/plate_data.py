"""What the page about new plates shows, as JSON values: wells, ranked mechanisms, evidence, replicates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from moa.blending.answers import Answers, answered
from moa.blending.explained import Explained
from moa.blending.reliability import EDGES, Reliability
from moa.data.assay import Assay
from moa.data.wells import COMPOUND, DOSE, PLATE, TIME, TREATMENT, WELL, described_wells, parse_well
from moa.features import TrainingEvidence
from moa.reporting.page import rounded
from moa.reporting.plate_answers import answers_data, cautions_data
from moa.reporting.replicates import replicate_agreement

#: Mechanisms and compounds that are listed for a well.
RANKED, NEAREST = 10, 5
#: Texts of a well, such as its compound, are cut after so many characters.
_LONGEST = 80
_ROWS_AT_A_TIME = 1024


@dataclass(frozen=True)
class PlateInputs:
    """What the page is made from.

    Attributes:
        explained: the samples.
        schema: of the models.
        titles: of the members by name, in the order of the blend.
        prevalence: share of positive treated training rows by target; None where the weights do not know it.
        evidence: of the training data; None where the weights lack it.
        reliability: out-of-fold measures; None where they cannot be had.
        answers: treatments and compounds of the file; None where it names no compounds.
    """

    explained: Explained
    schema: Assay
    titles: Mapping[str, str]
    prevalence: pd.Series | None = None
    evidence: TrainingEvidence | None = None
    reliability: Reliability | None = None
    answers: Answers | None = None


def plate_data(inputs: PlateInputs) -> dict[str, Any]:
    """All that the page's views show.

    Returns:
        "targets", "prevalence"; "members" (titles); "cautions" (text by target); "reliability" (rows, share, edges, and
        by target positives, auc, ap, counts, hits; None where it is missing); "answers" (see
        `moa.reporting.plate_answers.answers_data`; None where compounds are not known); "compounds" (name, training
        rows and mechanisms of those that are nearest to some well; None where they are missing); "plates";
        "treatments" (name, wells, correlation, chance, same, first, mean); and "wells". Of a well: id, control, plate,
        well, row and column, compound, dose, time, treatment, distance, share (of training rows that are nearer), right
        (share of right answers at that distance), trained ("well" or "compound": its probabilities are out of fold),
        warning, strongest features; its most likely targets with their probability and the members' lowest and highest
        one; its nearest compounds with cosines. Targets, plates, treatments and compounds are places in their lists.
    """
    explained = inputs.explained
    targets = list(explained.probabilities.columns)
    known = described_wells(explained.samples, explained.features, inputs.schema)
    treated = inputs.schema.is_treated(explained.features).to_numpy()
    values = explained.features[list(inputs.schema.values)].to_numpy(np.float64)
    shown, trained = answered(explained.probabilities, known.get(COMPOUND), inputs.reliability)
    explained = replace(explained, probabilities=shown)
    chosen, low, high = _ranked(explained)
    treatment = known[TREATMENT].where(treated) if TREATMENT in known else pd.Series(np.nan, known.index, dtype=object)
    agreement = replicate_agreement(values, treatment, explained.probabilities)
    near, compounds = _nearest(values, treated, inputs.evidence)
    plate, plates = pd.factorize(known[PLATE]) if PLATE in known else (np.full(len(known), -1), [])
    wells = _wells(explained, known, treated)
    places = agreement.index.get_indexer(treatment)
    p = explained.probabilities.to_numpy(np.float64)
    for number, well in enumerate(wells):
        if plate[number] >= 0:
            well["plate"] = int(plate[number])
        if places[number] >= 0:
            well["treatment"] = int(places[number])
        if treated[number]:
            best = chosen[number]
            well |= {"moa": best.tolist(), "p": rounded(p[number, best])}
            if trained[number]:
                well["trained"] = trained[number]
            elif len(explained.members) > 1:
                well |= {"low": rounded(low[number]), "high": rounded(high[number])}
            well |= near[number]
    place = {target: number for number, target in enumerate(targets)}
    mean = explained.probabilities.groupby(treatment.to_numpy()).mean()
    return {
        "targets": [str(target) for target in targets],
        "prevalence": None if inputs.prevalence is None else rounded(inputs.prevalence.reindex(targets)),
        "members": [inputs.titles.get(name, name) for name in explained.members],
        "cautions": cautions_data(inputs.reliability, targets),
        "reliability": _reliability(inputs.reliability, targets),
        "answers": None if inputs.answers is None else answers_data(inputs.answers, RANKED),
        "compounds": compounds,
        "plates": [str(plate)[:_LONGEST] for plate in plates],
        "treatments": [
            {
                "name": str(row.Index)[:_LONGEST],
                "wells": int(row.wells),
                "correlation": rounded(row.correlation),
                "chance": rounded(row.chance),
                "same": rounded(row.same_first),
                "first": place[row.first],
                "mean": rounded(mean.loc[row.Index, row.first]),
            }
            for row in agreement.itertuples()
        ],
        "wells": wells,
    }


def _ranked(explained: Explained) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The most likely targets of each sample, and the members' lowest and highest probability of each."""
    values = explained.probabilities.to_numpy()
    chosen = np.argsort(-values, axis=1, kind="stable")[:, :RANKED]
    columns = list(explained.probabilities.columns)
    each = np.stack(
        [np.take_along_axis(table[columns].to_numpy(), chosen, axis=1) for table in explained.members.values()]
    )
    return chosen, each.min(axis=0), each.max(axis=0)


def _wells(explained: Explained, known: pd.DataFrame, treated: np.ndarray) -> list[dict[str, Any]]:
    """What is known of each sample besides its predictions; what is not known is left out."""
    described = known[[name for name in (WELL, COMPOUND, DOSE, TIME) if name in known]].to_dict("records")
    treatments = known[TREATMENT] if TREATMENT in known else [""] * len(known)
    rows = []
    samples = zip(explained.samples.iterrows(), described, treatments, treated, explained.strongest, strict=True)
    for (sig_id, facts), texts, treatment, is_treated, strongest in samples:
        row: dict[str, Any] = {"id": str(sig_id)}
        row |= {name: _short(value) for name, value in texts.items() if pd.notna(value)}
        # A treatment is written with the unit of its dose.
        if str(treatment).startswith(before := f"{row.get(COMPOUND)} @ "):
            row[DOSE] = str(treatment).removeprefix(before)[:_LONGEST]
        if WELL in row and (found := parse_well(row[WELL])):
            row["row"], row["column"] = found
        if not is_treated:
            row["control"] = 1
        for name, column in (("distance", "distance"), ("share", "share_nearer"), ("right", "right_at_distance")):
            if column in facts and pd.notna(facts[column]):
                row[name] = rounded(facts[column], 4)
        if facts["warning"]:
            row["warning"] = str(facts["warning"])
        if strongest:
            row["strongest"] = str(strongest)
        rows.append(row)
    return rows


def _short(value: object) -> str:
    """A value in words; a number that was read as text, such as 24.0, as a number."""
    try:
        return f"{float(str(value)):g}"
    except ValueError:
        return str(value)[:_LONGEST]


def _nearest(
    values: np.ndarray, treated: np.ndarray, evidence: TrainingEvidence | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]] | None]:
    """The nearest training compounds of each treated sample, and those compounds."""
    found: list[dict[str, Any]] = [{} for _ in values]
    if evidence is None or not len(evidence.names_) or evidence.directions_.shape[1] != values.shape[1]:
        return found, None
    place: dict[int, int] = {}
    rows = np.flatnonzero(treated)
    for start in range(0, len(rows), _ROWS_AT_A_TIME):
        part = rows[start : start + _ROWS_AT_A_TIME]
        compounds, cosine = evidence.nearest(values[part], NEAREST)
        for row, names, alike in zip(part, compounds.tolist(), cosine, strict=True):
            found[row] = {"near": [place.setdefault(name, len(place)) for name in names], "cosine": rounded(alike)}
    labelled, carried = evidence.labels_.T
    return found, [
        {
            "name": str(evidence.names_[compound]),
            "rows": int(evidence.rows_[compound]),
            "moa": np.unique(carried[labelled == compound]).tolist(),
        }
        for compound in place
    ]


def _reliability(found: Reliability | None, targets: list[str]) -> dict[str, Any] | None:
    if found is None:
        return None
    places = found.table.index.get_indexer(targets)
    table = found.table.loc[targets]
    return {
        "rows": found.rows,
        "share": rounded(found.share),
        "edges": list(EDGES),
        "positives": table["positives"].astype(int).tolist(),
        "auc": rounded(table["roc_auc"]),
        "ap": rounded(table["average_precision"]),
        "counts": found.counts[places].tolist(),
        "hits": found.hits[places].tolist(),
    }
