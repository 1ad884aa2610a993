"""The section on blends: their weights, what a search for weights gained, and their members on the same rows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from moa.blending.blend import BlendSpec, PublishedBlend
from moa.models.registry import recipes
from moa.plots.charts import SERIES, weight_bars
from moa.reporting.page import LOSS, Block, Figures, Section, Table, Text
from moa.reporting.scores import ReportScores


def blends(found: ReportScores) -> Section | None:
    """Weights of the blends, and their scores compared with those of their members on the same rows."""
    specs = [found.inputs.blends[name] for name in found.blends]
    if not specs:
        return None
    blocks: list[Block] = []
    for spec in specs:
        blocks.append(_weights(found, spec))
        blocks += [Text(words) for words in (_gain(spec), _beaten(found, spec)) if words]
    used = pd.DataFrame({spec.title: found.weights(spec) for spec in specs[: len(SERIES)]})
    if used.size > 1:
        order = [name for name in found.inputs.models if name in used.index]
        used = used.loc[order].rename(index={name: model.title for name, model in found.inputs.models.items()})
        blocks.append(Figures([(weight_bars(used), "Weights used here")], column=720, least=420))
    if len(specs) > 1:
        blocks.insert(0, _files(specs))
    lead = (
        "Weights in the blend's file, and those used here: if members are missing, the other weights are scaled up to "
        "sum to 1. Members are scored on the rows that all of them cover."
    )
    if not all(map(is_published, specs)):
        lead += " A searched blend is scored on the rows its weights were found on, so its score is slightly flattered."
    return Section("blends", "Blends", lead, blocks)


def is_published(spec: BlendSpec) -> bool:
    """Whether the winners published scores of a blend."""
    return spec.published != PublishedBlend()


def members_in_words(found: ReportScores, spec: BlendSpec) -> str:
    """How many members of a blend are used here, and how many have the weight 0."""
    unused = sum(not member.weight for member in spec.members)
    words = f"{len(found.weights(spec))} of {len(spec.members)} members"
    return f"{words}, {unused} at weight 0" if unused else words


def _files(specs: list[BlendSpec]) -> Table:
    """The weights in the files of all blends, side by side."""
    frame = pd.DataFrame({spec.title: spec.weights for spec in specs})
    frame = frame.loc[[*(name for name in recipes() if name in frame.index), *frame.index.difference(list(recipes()))]]
    formats = dict.fromkeys(frame.columns, ".4f")
    frame.insert(0, "member", [_title(name) for name in frame.index])
    return Table.of(frame, formats, caption="Weights in the blends’ files: published, and searched on these rows")


def _title(name: str) -> str:
    return recipes()[name].title if name in recipes() else name


def _gain(spec: BlendSpec) -> str:
    """What the search reported of its weights; empty for weights that were not searched."""
    facts = spec.searched
    if facts is None:
        return ""
    words = (
        f"{spec.title}: searched by {facts.method} on {facts.rows:,} treated rows; log loss {facts.loss:.5f} on the "
        "rows that the weights were fitted to (optimistic)"
    )
    if facts.nested is None or facts.gain is None or facts.interval is None:
        return f"{words}; the search was not cross-validated."
    low, high = facts.interval
    real = "an interval above 0: the gain is real" if low > 0 else "an interval that holds 0: the gain may be chance"
    if high < 0:
        real = "an interval below 0: the best single model is better"
    return (
        f"{words}, {facts.nested:.5f} nested, each row scored with weights fitted without it. Nested gain over the "
        f"best single model, {_title(facts.best_single)}: {facts.gain:+.5f}, 95 % interval {low:+.5f} to {high:+.5f}, "
        f"{real}."
    )


def _beaten(found: ReportScores, spec: BlendSpec) -> str:
    """Why a member alone is better than a blend; empty where none is."""
    blend, weights = found.blends[spec.name], found.weights(spec)
    losses = {name: found.models[name].loss_on(blend.table.index) for name in weights.index}
    best = min(losses, key=lambda name: losses[name])
    if losses[best] >= blend.loss:
        return ""
    worse = [name for name in losses if losses[name] > blend.loss]
    words = (
        f"{spec.title}: {_title(best)} alone has {losses[best]:.5f}, better than the blend’s {blend.loss:.5f}. "
        f"{sum(weights[worse]):.0%} of the weight lies with members that are worse than the blend: "
        f"{', '.join(map(_title, worse))}."
    )
    manifests = [found.inputs.models[name].manifest for name in losses]
    if is_published(spec) and any(manifest and manifest.profile == "demo" for manifest in manifests):
        words += (
            " These are the demo’s small models, with few seeds and folds on few rows. The published weights were "
            "chosen for models of published size on the real data; moa blend search finds those that suit the models "
            "here."
        )
    return words


def _weights(found: ReportScores, spec: BlendSpec) -> Table:
    blend, used = found.blends[spec.name], found.weights(spec)
    rows = []
    for member in spec.members:
        single = found.models.get(member.model)
        loss = single.loss_on(blend.table.index) if single else np.nan
        title = single.title if single else f"{member.model} (absent)"
        rows.append((title, member.weight, used.get(member.model), loss))
    rows.append(("the blend", sum(member.weight for member in spec.members), used.sum(), blend.loss))
    weight = "published weight" if is_published(spec) else "weight"
    frame = pd.DataFrame(rows, columns=["member", weight, "used here", "OOF, treated rows"])
    caption = f"{spec.title}: {members_in_words(found, spec)}, {len(blend.table):,} treated rows"
    formats = {weight: ".4f", "used here": ".4f", "OOF, treated rows": LOSS}
    quiet = [i for i, row in enumerate(rows[:-1]) if row[2] is None]
    return Table.of(frame, formats, ["OOF, treated rows"], quiet=quiet, caption=caption)
