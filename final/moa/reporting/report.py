"""The report: one self-contained HTML page on the models and their blends, compared with the published scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from moa.errors import UserError
from moa.files import ensure_writable
from moa.reporting.blends import members_in_words
from moa.reporting.inputs import Inputs, collect
from moa.reporting.page import Card, Section, Text, write_page
from moa.reporting.scores import ReportScores
from moa.reporting.sections import SECTIONS, MakeSection

SYNTHETIC = Text(
    "Synthetic data. These scores were made on a generated data set with the competition's schema: they say nothing "
    "about the competition. The published scores are only shown for orientation.", "warn",
)  # fmt: skip
REAL = Text(
    "Competition data, since nothing marks the folder as synthetic. Published scores are those of the winners' "
    "write-up; compare only rows without remarks."
)


def write_report(
    data: Path,
    weights: Path,
    predictions: Path,
    out: Path,
    sections: Sequence[MakeSection] = SECTIONS,
    blends: Sequence[Path] = (),
) -> Path:
    """Write ``OUT/report.html``, which needs no other files and no network; returns its path.

    The folders and ``blends`` are described at `moa.reporting.inputs.collect`; the page has the sections in order.

    Raises:
        UserError: there is nothing to report on, or the predictions belong to other data.
    """
    ensure_writable(Path(out))
    inputs = collect(Path(data), Path(weights), Path(predictions), [Path(path) for path in blends])
    found = ReportScores(inputs)
    if not found.models:
        raise UserError(f"{predictions}: the OOF predictions cover no treated row; train and predict again")
    made = []
    for make in sections:
        part = make(found)
        made += [part] if isinstance(part, Section) else part or []
    n_test, n_train = len(inputs.data.test), len(inputs.data.scored)
    facts = [
        f"{n_train:,} training rows, {len(found.y):,} treated",
        f"{n_test:,} test rows",
        f"{len(found.y.columns)} targets",
    ]
    title, cards = "Mechanisms of Action: report", _cards(found)
    return write_page(Path(out) / "report.html", title, _about(inputs), facts, cards, made, opened=1)


def _about(inputs: Inputs) -> Text:
    """What data the page is on."""
    if not inputs.data.schema.of_competition:
        name = inputs.data.schema.name
        return Text(f"Data of the assay {name}. The winners' published scores are of other data, and are left out.")
    return SYNTHETIC if inputs.synthetic else REAL


def _cards(found: ReportScores) -> list[Card]:
    best = min(found.models.values(), key=lambda p: p.loss / p.baseline)
    cards = [Card("Best single model, OOF", f"{best.loss:.5f}", best.title)]
    for name, blend in found.blends.items():
        spec = found.inputs.blends[name]
        members = members_in_words(found, spec)
        if found.coverage(blend) < 1:
            members += f", {found.coverage(blend):.0%} of the rows"
        cards.append(Card(f"{blend.title} blend, OOF", f"{blend.loss:.5f}", members))
    cards.append(Card("Prevalence baseline", f"{best.baseline:.5f}", "each target's mean, same rows"))
    cards.append(Card("Models", str(len(found.inputs.models)), "with predictions"))
    return cards
