"""The section on the field's measures: ROC-AUC, average precision and top-k hits, beside the field's baselines."""

from __future__ import annotations

import numpy as np
import pandas as pd

from moa.data.wells import DOSE, TREATMENT
from moa.metrics.neighbours import neighbour_votes
from moa.metrics.ranking import MEASURES
from moa.metrics.ranking import measures as measure
from moa.progress import progress
from moa.reporting.page import LOSS, Block, Section, Table
from moa.reporting.scores import Prediction, Scores

#: Neighbours of the nearest-neighbour baseline.
_NEIGHBOURS = 5
_HEADINGS = {name: heading for name, heading in MEASURES.items() if name != "log_loss"}
_FORMATS = dict.fromkeys(_HEADINGS.values(), ".3f") | {"log loss": LOSS, "rows": ",d"}


def measures(found: Scores) -> Section | None:
    """The field's measures of every prediction, of prevalence and of nearest neighbours; the reference by dose."""
    if not found.everything:
        return None
    predictions = list(found.everything.values())
    lines = {p.title: p.measures for p in predictions}
    whole = found.reference
    prevalence = pd.DataFrame(
        np.tile(found.prevalence.to_numpy(), (len(whole.y), 1)), whole.y.index, found.prevalence.index
    )
    lines["prevalence alone"] = measure(whole.y, prevalence)
    lines |= _neighbours(found)
    single = all(line["accuracy"] == line["top_1"] for line in lines.values())
    names = [name for name in _HEADINGS if name != ("top_1" if single else "accuracy")]
    frame = pd.DataFrame(lines).T[names].rename(columns=_HEADINGS)
    frame.insert(0, "prediction", frame.index)
    best = [_HEADINGS[name] for name in names] if found.comparable else []
    blocks: list[Block] = [Table.of(frame, _FORMATS, highest=best, caption="Out-of-fold predictions of treated rows")]
    parts = _parts(found, whole)
    if len(parts):
        table = parts[["part", "rows", "log_loss", *names]].rename(columns=_HEADINGS | {"log_loss": "log loss"})
        blocks.append(Table.of(table, _FORMATS, caption=f"{whole.title}, by dose and by treatment"))
    left_out = int(whole.measures["left_out"])
    return Section(
        "measures", "The field’s measures",
        "AP is average precision, the area under the precision-recall curve. Micro pools all cells, macro is the mean "
        f"over targets; {left_out} of {whole.y.shape[1]} targets have no positive or no negative row and are left out "
        "of it. Top k is the share of rows with a mechanism for which one of the k most likely is right. Nearest "
        "neighbours (cosine) are taken from other folds than a row’s own, as the models’ training rows are. A "
        "treatment is a compound at a dose: the mean of its wells’ probabilities.",
        blocks,
    )  # fmt: skip


def _neighbours(found: Scores) -> dict[str, dict[str, float]]:
    """Measures of nearest neighbours with the folds of the models; each kind of folds once."""
    models = {
        model.stages[-1].folds.label: model
        for model in reversed(found.inputs.models.values())
        if model.name in found.models and model.folds is not None
    }
    features = found.inputs.data.features.loc[found.y.index, list(found.inputs.data.schema.values)]
    lines = {}
    for label, model in reversed(models.items()):
        title = f"{_NEIGHBOURS} nearest neighbours, folds {label}"
        with progress(f"{title}, %", 100) as bar:
            folds, held = model.folds.reindex(features.index), getattr(model.stages[-1].folds, "columns", ())
            others = [name for name in held[1:] if name in found.inputs.known]
            apart = found.inputs.known[others].reindex(features.index).astype("string")
            votes = neighbour_votes(
                features, found.y, folds, _NEIGHBOURS, lambda share, bar=bar: bar.update(round(100 * share)), apart
            )
        lines[title] = measure(found.y.loc[votes.index], votes, probabilities=False)
    return lines


def _parts(found: Scores, prediction: Prediction) -> pd.DataFrame:
    """The measures of a prediction at each dose, and over treatments."""
    known = found.inputs.known.reindex(prediction.y.index)
    rows = []
    if DOSE in known:
        for dose, part in known.groupby(DOSE):
            rows.append(
                {"part": f"dose {dose}"} | measure(prediction.y.loc[part.index], prediction.table.loc[part.index])
            )
    if TREATMENT in known and known[TREATMENT].notna().any():
        y, p = prediction.y.groupby(known[TREATMENT]).max(), prediction.table.groupby(known[TREATMENT]).mean()
        rows.append({"part": "treatments"} | measure(y, p))
    return pd.DataFrame(rows, columns=["part", "rows", *MEASURES]) if rows else pd.DataFrame()
