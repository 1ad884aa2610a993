"""The section on the field's measures: ROC-AUC, average precision and top-k hits, beside the field's baselines."""

from __future__ import annotations

import pandas as pd

from moa.data.wells import DOSE, TREATMENT
from moa.metrics.losses import prevalence_baseline
from moa.metrics.neighbours import neighbour_votes
from moa.metrics.ranking import MEASURES
from moa.metrics.ranking import measures as measure
from moa.models.base import Stage
from moa.progress import Bar, progress
from moa.reporting.page import LOSS, Block, Section, Table
from moa.reporting.scores import ReportScores, ScoredPrediction

#: Neighbours of the nearest-neighbour baseline.
_NEIGHBOURS = 5
_HEADINGS = {name: heading for name, heading in MEASURES.items() if name != "log_loss"}
_FORMATS = dict.fromkeys(_HEADINGS.values(), ".3f") | {"log loss": LOSS, "rows": ",d"}


def measures(found: ReportScores) -> Section | None:
    """The field's measures of every prediction, of prevalence and of nearest neighbours; the reference by dose."""
    if not found.everything:
        return None
    lines = {p.title: p.measures for p in found.everything.values()}
    whole = found.reference
    lines["prevalence alone"] = measure(whole.y, prevalence_baseline(found.y, whole.y.index))
    lines |= _neighbours(found)
    single = all(line["accuracy"] == line["top_1"] for line in lines.values())
    names = [name for name in _HEADINGS if name != ("top_1" if single else "accuracy")]
    frame = pd.DataFrame(lines).T[names].rename(columns=_HEADINGS)
    frame.insert(0, "prediction", frame.index)
    best = [_HEADINGS[name] for name in names if name != "ece"] if found.comparable else []
    lowest = [_HEADINGS["ece"]] if found.comparable else []
    caption = "Out-of-fold predictions of treated rows"
    blocks: list[Block] = [Table.of(frame, _FORMATS, lowest=lowest, highest=best, caption=caption)]
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
        "treatment is a compound at a dose: the mean of its wells’ probabilities. F1 and ECE, the calibration error "
        "over ten bins of equal count, are those of the likeliest mechanism.",
        blocks,
    )  # fmt: skip


def _neighbours(found: ReportScores) -> dict[str, dict[str, float]]:
    """Measures of nearest neighbours with the folds of the models; each kind of folds once."""
    by_label: dict[str, tuple[Stage, pd.DataFrame]] = {}
    for model in reversed(found.inputs.models.values()):
        if model.name in found.models and model.folds is not None:
            by_label[model.stages[-1].folds.label] = (model.stages[-1], model.folds)
    features = found.inputs.data.features.loc[found.y.index, list(found.inputs.data.schema.values)]
    lines = {}
    for label, (stage, folds) in reversed(by_label.items()):
        title = f"{_NEIGHBOURS} nearest neighbours, folds {label}"
        held = getattr(stage.folds, "columns", ())
        apart = found.inputs.known[[name for name in held[1:] if name in found.inputs.known]]
        with progress(f"{title}, %", 100) as bar:

            def on_part(share: float, bar: Bar = bar) -> None:
                bar.update(round(100 * share))

            votes = neighbour_votes(
                features, found.y, folds.reindex(features.index), _NEIGHBOURS, on_part,
                apart.reindex(features.index).astype("string"),
            )  # fmt: skip
        lines[title] = measure(found.y.loc[votes.index], votes, probabilities=False)
    return lines


def _parts(found: ReportScores, prediction: ScoredPrediction) -> pd.DataFrame:
    """The measures of a prediction at each dose, and over treatments."""
    y, p = prediction.y, prediction.table
    known = found.inputs.known.reindex(y.index)
    rows = []
    if DOSE in known:
        for dose, part in known.groupby(DOSE):
            rows.append({"part": f"dose {dose}"} | measure(y.loc[part.index], p.loc[part.index]))
    if TREATMENT in known and known[TREATMENT].notna().any():
        by = known[TREATMENT]
        rows.append({"part": "treatments"} | measure(y.groupby(by).max(), p.groupby(by).mean()))
    return pd.DataFrame(rows, columns=["part", "rows", *MEASURES])
