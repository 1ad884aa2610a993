"""The page about new plates: one self-contained HTML file beside the tables of `moa predict --features`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from moa.blending.blend import effective_weights
from moa.blending.explained import Explained, PlateResult
from moa.blending.reliability import CAUTION
from moa.models.registry import known_recipes
from moa.reporting.page import Block, Card, Section, Table, Text, View, versions, write_page
from moa.reporting.plate_answers import warnings
from moa.reporting.plate_data import PlateInputs, plate_data
from moa.weights.trained import Trained, open_trained
from moa.words import counted

PAGE = "plate.html"
FOOTER = (
    "A mechanism that no training compound has cannot be predicted. Controls have none and are predicted 0. "
    "Features furthest from the training mean are given in standard deviations of the training wells."
)
#: What a page says where the weights lack something, and how to add it.
LACKING = (
    "These weights hold no labels and compounds of their training data, so nearest training compounds and the "
    "out-of-fold reliability are missing. Run `moa train` again with the same data and weights: it trains nothing "
    "again, and adds them."
)
NO_COMPOUNDS = "The training data of these weights name no compounds, so there are no nearest ones."
NO_PLATES = "The file names no plates and wells (columns Metadata_plate and Metadata_well), so there is no plate map."
#: What the sections show.
SAMPLES = (
    "The most likely mechanism of each sample. Choose a sample for its ranked mechanisms, their spread between the "
    "members, how often such a prediction was right out of fold, and the training compounds that are most alike."
)
COMPOUNDS = (
    "One answer for each compound: the mean of its wells' evidence. Choose a compound for its ranked mechanisms and "
    "its doses."
)
MECHANISMS = (
    "Mechanisms that are the most likely ones of a sample, and how reliable the blend was on the training data. Choose "
    "a mechanism for its likeliest compounds, with the share of right ones to be expected down to each."
)


def write_plate_page(run: PlateResult, explained: Explained, weights: Path) -> Path:
    """Write ``plate.html`` beside the tables of a run; it needs no other files and no network. Returns its path.

    The page is about the samples ``explained``; ``weights`` is the folder that they were predicted from.
    """
    members = list(explained.members)
    models = [open_trained(name, weights, whole=False) for name in members]
    evidence = next((found for model in models if (found := model.evidence()) is not None), None)
    prevalence = next((found for model in models if (found := model.prevalence()) is not None), None)
    titles = {name: known.title for name, known in known_recipes().items()}
    inputs = PlateInputs(explained, models[0].schema, titles, prevalence, evidence, run.reliability, run.answers)
    data = plate_data(inputs)
    banner = _banner(run, len(explained.samples), warnings(run, inputs.schema, data))
    return write_page(
        run.folder / PAGE, f"New plates: {run.source}", banner, _facts(run, data),
        _cards(run, data), _sections(run, inputs, data, models), FOOTER,
    )  # fmt: skip


def _facts(run: PlateResult, data: dict) -> list[str]:
    controls = sum("control" in well for well in data["wells"])
    counts = {"sample": run.rows, "plate": len(data["plates"]), "control": controls, "mechanism": len(data["targets"])}
    return [*(counted(number, noun) for noun, number in counts.items() if number), run.spec.title]


def _banner(run: PlateResult, shown: int, warned: Sequence[str]) -> Text:
    words = list(warned)
    if shown < run.rows:
        words.append(f"This page covers the first {shown:,} of {run.rows:,} samples; the tables hold all.")
    if run.absent:
        words.append(f"Not trained, so left out of the blend: {', '.join(run.absent)}.")
    if run.far:
        are = "is" if run.far == 1 else "are"
        words.append(f"{counted(run.far, 'sample')} {are} unlike the training data: distrust the predictions.")
    plain = "Each prediction stands beside its evidence: the members' spread, their reliability, and what is alike."
    return Text(" ".join(words), "warn") if words else Text(plain)


def _cards(run: PlateResult, data: dict) -> list[Card]:
    first = [well for well in data["wells"] if "p" in well]
    cards = [Card("Samples", f"{run.rows:,}", run.source)]
    if first:
        best = max(first, key=lambda well: well["p"][0])
        cards.append(Card("Highest probability", f"{best['p'][0]:.2f}", data["targets"][best["moa"][0]]))
        common = pd.Series([well["moa"][0] for well in first]).value_counts()
        words = f"{data['targets'][common.index[0]]}, most often the most likely"
        cards.append(Card("Mechanisms in first place", f"{len(common):,}", words))
    compared = [each for each in data["treatments"] if each["chance"] is not None]
    if compared:
        share = np.mean([each["correlation"] > each["chance"] for each in compared])
        cards.append(Card("Percent replicating", f"{share:.0%}", f"of {len(compared):,} treatments with replicates"))
    if run.far is not None:
        cards.append(Card("Unlike training", f"{run.far:,}", "samples far away, or with an unusual combination"))
    return cards


def _sections(run: PlateResult, inputs: PlateInputs, data: dict, models: Sequence[Trained]) -> list[Section]:
    placed = any("row" in well for well in data["wells"])
    notes: list[Block] = []
    if inputs.evidence is None:
        notes.append(Text(LACKING, "warn"))
    elif data["compounds"] is None:
        notes.append(Text(NO_COMPOUNDS))
    if not placed:
        notes.append(Text(NO_PLATES))
    plate_map = Section(
        "map", "Plate map", "Choose what the wells show. Choose a well for all that is known of it.",
        [View("map", data)], "Map",
    )  # fmt: skip
    # Below each table that marks mechanisms.
    meaning = [Text(CAUTION)] if data["cautions"] else []
    return [
        *([plate_map] if placed else []),
        Section("wells", "Samples", SAMPLES, [*notes, View("wells", None if placed else data), *meaning]),
        *([Section("compounds", "Compounds", COMPOUNDS, [View("compounds"), *meaning])] if data["answers"] else []),
        Section("predicted", "Mechanisms", MECHANISMS, [View("predicted"), *meaning]),
        _replicates(data),
        _about(run, models),
    ]


def _replicates(data: dict) -> Section:
    lead = (
        "Wells of the same compound at the same dose. Correlation is the median Pearson correlation of their features "
        "over all pairs; chance is what 95 % of as many wells of different treatments stay below."
    )
    if data["treatments"]:
        return Section("replicates", "Replicates", lead, [View("replicates")])
    none = "No two samples are known to have the same compound and dose (columns Metadata_compound and Metadata_dose)."
    return Section("replicates", "Replicates", "", [Text(none)])


def _about(run: PlateResult, models: Sequence[Trained]) -> Section:
    used = effective_weights(run.spec, [model.model.name for model in models], "renormalise")
    rows = pd.DataFrame(
        {
            "member": model.model.title,
            "weight": used.get(model.model.name, 0.0),
            "models": len(model.units(model.last)),
            "profile": model.store.manifest().profile,
        }
        for model in models
    )
    table = Table.of(rows, {"weight": ".4f", "models": "d"})
    words = (
        "The spread of a prediction is the lowest and the highest probability among the members. Out of fold means: "
        "predicted by models that were trained without that row. Nearest compounds are those whose median training "
        "profile has the highest cosine with the sample's features. A sample is far outside the training data where "
        "99.9 % of the training samples are nearer to it, and its combination of values is unusual where the patterns "
        "that training samples share explain less of it than of 99 % of them. Both are measured without the sample's "
        "compound. A mechanism is marked with its caution wherever it is named. Expected precision is the mean "
        "probability of the compounds down to a rank."
    )
    beside = Text(f"Tables beside this page: {', '.join(run.files)}.")
    blocks: list[Block] = [table, beside, *versions(models[0].store.manifest().versions)]
    return Section("about", "How this was made", words, blocks)
