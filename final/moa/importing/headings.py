"""Read the heading of a column as people write it: "Final conc. (µM)", "dose_nM", "Time [h]", "PlateNo"."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from moa.importing.units import DOSES, TIMES


def split_words(text: str) -> tuple[str, ...]:
    """The words of a text, to write long lists of names."""
    return tuple(text.split())


#: The mark of metadata in CellProfiler and pycytominer: "Image_Metadata_Plate" and "Metadata_Plate" both mean "plate".
MARK = re.compile(r"^(?:(?:image|nuclei|cells|cytoplasm)_)?metadata_", re.IGNORECASE)
#: Headings of ISA-Tab, such as "Characteristics [Cell Line]".
_ISA = re.compile(
    r"^(?:characteristics|factor value|parameter value|parameter|experimental condition|comment)\s*\[(.+)\]$",
    re.IGNORECASE,
)
_BRACKETS = re.compile(r"[(\[{]([^()\[\]{}]*)[)\]}]")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z]{2,}(?![a-z]))")
DOSE_UNITS, TIME_UNITS = frozenset(DOSES), frozenset(TIMES) - {"m"}
_UNITS = DOSE_UNITS | TIME_UNITS
#: Headings that are a unit and name what they measure; of shorter ones, such as "h" and "m", nobody can say.
_ALONE = frozenset(split_words("um nm micromolar nanomolar millimolar picomolar hours hrs"))
#: Words without which a unit at the end of a heading, not in brackets, is no unit: "col_s" is no time.
_MEASURED = frozenset(
    split_words("""
    dose doses dosage conc concn concentration concentrations molarity time timepoint duration incubation exposure
    treatment point konzentration konz dosis zeit dauer zeitpunkt inkubationszeit temps durée concentración tiempo
    """)
)
#: Words that have a dose, in a unit of more than one letter: "[Drug] µM".
_COMPOUNDS = frozenset(split_words("drug compound cpd cmpd"))
#: pycytominer's name of a column whose values are in µM, whatever it says.
_NO_UNIT = frozenset({"mmoles_per_liter", "mg_per_ml"})


@dataclass(frozen=True)
class Heading:
    """What a heading says."""

    words: tuple[str, ...]  # in lower case, without the mark of metadata and the unit
    unit: str  # as ``plain_unit`` writes it; empty if none is stated

    @property
    def name(self) -> str:
        """The words, joined by "_"."""
        return "_".join(self.words)


def plain_unit(text: str) -> str:
    """A unit in one spelling: "um" for "µM", "μM", "uM" and "µM" of a file whose encoding was taken for another."""
    unit = re.sub(r"\s+", "", text).replace("Âµ", "u").replace("Î¼", "u")
    unit = re.sub("[µμ\ufffd]", "u", unit).lower().strip(".")
    unit = re.sub(r"(?:\^?-1)$", "", re.sub(r"(?<=[a-z])(ml|l)\^?-1$", r"/\1", unit))
    unit = re.sub(r"^micro(?=m$|mol/|g/)", "u", unit)
    unit = unit.replace("litre", "l").replace("liter", "l").replace("moles", "mol").replace("_per_", "/")
    return re.sub(r"(?<=[a-z])per(?=(?:ml|l)$)", "/", unit)


def plain_name(column: object) -> str:
    """A column's name without the mark of metadata, in lower case, words joined by "_"."""
    return re.sub(r"[^a-z0-9]+", "_", MARK.sub("", str(column)).lower()).strip("_")


@lru_cache(maxsize=100_000)
def heading(column: str) -> Heading:
    """The words and the unit of a heading."""
    text = unicodedata.normalize("NFC", MARK.sub("", str(column))).strip().lstrip("#").strip()
    if plain_name(text) in _NO_UNIT:
        return Heading(tuple(plain_name(text).split("_")), "")
    inner = _ISA.match(text)
    text = inner[1] if inner else text
    unit = ""
    for match in _BRACKETS.finditer(text):
        found = plain_unit(re.sub(r"^in\s+", "", match[1].strip(), flags=re.IGNORECASE))
        if found in _UNITS:
            unit, text = found, text.replace(match[0], " ")
    text = text.strip(" _.,:;/-")
    if not unit:
        text, unit = _unit_at_the_end(text)
    return Heading(_words(text), unit)


def _unit_at_the_end(text: str) -> tuple[str, str]:
    """The heading without the unit that ends it, and the unit; a heading that is a unit keeps its word."""
    if (alone := plain_unit(text)) in _ALONE:
        return text, alone
    if not (_MEASURED | _COMPOUNDS).intersection(_words(text)):  # most columns are features
        return text, ""
    ends = [match.start() for match in re.finditer(r"[\s_,:;/.-]+", text)] + [
        match.start() for match in _CAMEL.finditer(text)
    ]
    for place in sorted(ends):
        rest, last = text[:place], re.sub(r"^[\s_,:;/.-]+", "", text[place:])
        found = plain_unit(re.sub(r"^in[\s_]+", "", re.sub(r"[\s_]per[\s_]", "/", last), flags=re.IGNORECASE))
        words = _words(rest)
        measured = _MEASURED.intersection(words) and words[-1] not in ("of", "per")
        if (found in _UNITS and measured) or (
            found in DOSE_UNITS and len(found) > 1 and _COMPOUNDS.intersection(words)
        ):
            return rest, found
    for word in re.findall(r"[^\W_]+", text):  # in the middle, as in "dose uM final"
        rest = re.sub(rf"(?<![^\W_]){word}(?![^\W_])", " ", text)
        if len(word) > 1 and plain_unit(word) in DOSE_UNITS and _MEASURED.intersection(_words(rest)):
            return rest, plain_unit(word)
    return text, ""


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[^\W_]+", _CAMEL.sub(" ", text).lower()))
