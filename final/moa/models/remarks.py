"""What a published score contains that keeps it from comparing with ours: marks beside figures, and footnotes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Protocol


class Remark(Enum):
    """What to know of a published figure; the value is its mark."""

    CORRECTED = "†"
    LEAKY = "‡"
    CLIPPED = "§"

    @property
    def label(self) -> str:
        """Our predictions that compare with such a figure, in a few words and with the mark; empty: the usual ones."""
        return {Remark.LEAKY: "after phase 3 ‡", Remark.CLIPPED: "clipped §"}.get(self, "")


#: The footnotes; {} takes what ``Remarked.remarks`` says of each figure.
_FOOTNOTES = {
    Remark.CORRECTED: "The winners printed {}: their mean ran over 207 columns, one of them (sig_id) always right. We "
    "multiply by 207/206; our own figures count 206 targets.",
    Remark.LEAKY: "After phase 3, which was fitted on the validation fold, and so too low: {}. Of our predictions only "
    "those after phase 3 compare with that; scores and blends use those from before it.",
    Remark.CLIPPED: "The winners clipped out-of-fold predictions {}; ours are clipped only beside this mark.",
}


class Remarked(Protocol):
    """A model or a blend with a published score."""

    @property
    def remarks(self) -> Mapping[Remark, str]:
        """What to know of the score, and how the footnote names it."""
        ...


def marked(figure: str, remarks: Iterable[Remark]) -> str:
    """A figure with its marks."""
    return " ".join([figure, *(remark.value for remark in remarks)])


def footnotes(shown: Iterable[Remarked]) -> list[str]:
    """The footnotes of the published scores of some models and blends, one for each mark that they have."""
    known = [each.remarks for each in shown]
    named = {remark: [found[remark] for found in known if remark in found] for remark in Remark}
    return [f"{remark.value} {_FOOTNOTES[remark].format(' and '.join(each))}" for remark, each in named.items() if each]
