"""Read cells of mechanisms: which words mean that none is known, and what stands between several of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from moa.data.compounds import name_key
from moa.importing.fields import split_words
from moa.importing.notes import Notes
from moa.importing.options import setting
from moa.importing.profiles import is_missing
from moa.words import listed

#: Cells that say that no mechanism is known, as ``name_key`` writes them.
_UNKNOWN = frozenset(
    split_words("""
    unknown notannotated unannotated notavailable unavailable notapplicable na none no notknown noannotation
    noannotations undefined undetermined notdetermined unclassified notclassified unspecified notspecified unassigned
    notassigned tbd tobedetermined notyetdetermined todo missing nomoa unknownmoa moaunknown unknownmechanism
    mechanismunknown nomechanism noknownmechanism unknownmechanismofaction mechanismofactionunknown unknowntarget
    unclear uncharacterized uncharacterised notreported nodata null nan nd nil empty unlabeled unlabelled notlabeled
    noinformation noinfo other others misc miscellaneous nonereported nonknown noneknown underinvestigation
    unbekannt keine inconnu desconocido ? ?? ??? - -- — . *
    """)
)
#: What always stands between mechanisms, and what may also be a part of a name.
CERTAIN, POSSIBLE = ("|", ";", "\n"), (",", "/", "+", "&", " and ")
#: The end of a mechanism's name; a word stands before it.
_NAME = re.compile(
    r"\w.*[\s-](?:inhibitor|agonist|antagonist|blocker|activator|modulator|inducer|stimulant|stabili[sz]er|disruptor|"
    r"disrupter|opener|degrader|suppressant|agent|analog|analogue|donor|scavenger|ligand|substrate|potentiator|"
    r"antibiotic|enhancer|sensiti[sz]er|chelator|mimetic|poison)s?",
    re.IGNORECASE,
)


def is_unknown(text: object) -> bool:
    """Whether a cell names no mechanism: it is empty, or a word such as "unknown" or "not annotated"."""
    return is_missing(text) or name_key(text) in _UNKNOWN


def separators_of(cells: Iterable[object], notes: Notes) -> tuple[str, ...]:
    """What stands between several mechanisms in cells, where nobody stated it; noted where it is not "|" alone.

    ";" always separates. A comma, "/", "+", "&" or "and" separates in cells of which every part is a mechanism: it
    stands alone in another cell, or ends in a word such as "inhibitor".
    """
    texts = sorted({str(cell) for cell in cells if not is_unknown(cell)})
    alone = _alone(texts)
    split: dict[str, str] = {}
    whole = []
    for text in texts:
        for separator in (*CERTAIN, *POSSIBLE):
            if separator in text and (separator in CERTAIN or _all_names(text, separator, alone)):
                split.setdefault(separator, text)
        if ", " in text and not _all_names(text, ",", alone):
            whole.append(text)
    more = [separator for separator in split if separator != "|"]
    if more:
        written = listed([repr(separator.strip() or separator) for separator in more], 5)
        otherwise = setting("moa_separator", "'|'")
        notes.guessed(
            f"{written} between mechanisms as well as '|'; {otherwise} says otherwise",
            [repr(split[separator]) for separator in more],
        )
    splits = setting("moa_separator", "','")
    notes.noted(f"mechanisms with a comma in them are one mechanism each; {splits} splits them", whole)
    return ("|", *more)


def split_cells(cells: Sequence[object], separators: Sequence[str], stated: bool) -> list[tuple[str, ...]]:
    """The mechanisms of each cell, none where none is known.

    With ``stated``, the separators were named by the user and always separate; see ``separators_of``.
    """
    distinct = {str(cell) for cell in cells if not is_unknown(cell)}
    alone = _alone(distinct)
    found = {text: _split(text, separators, alone, stated) for text in distinct}
    return [() if is_unknown(cell) else found[str(cell)] for cell in cells]


def spellings(found: Iterable[tuple[str, ...]]) -> dict[str, str]:
    """The commonest spelling of each mechanism, by its key: "MEK inhibitor" and "mek-inhibitor" are one target."""
    counts: dict[str, Counter[str]] = {}
    for names in found:
        for name in names:
            counts.setdefault(name_key(name), Counter())[name] += 1
    return {key: max(sorted(names), key=names.__getitem__) for key, names in counts.items()}


def _split(text: str, separators: Sequence[str], alone: set[str], stated: bool) -> tuple[str, ...]:
    parts = [text]
    for separator in separators:
        parts = [
            piece
            for part in parts
            for piece in (
                part.split(separator)
                if stated or separator in CERTAIN or _all_names(part, separator, alone)
                else [part]
            )
        ]
    return tuple(part.strip() for part in parts if part.strip() and not is_unknown(part))


def _alone(texts: Iterable[str]) -> set[str]:
    """The keys of cells, and of parts between certain separators, that hold no other separator."""
    parts = {part for text in texts for part in re.split(r"[|;\n]", text)}
    return {name_key(part) for part in parts if not any(separator in part for separator in POSSIBLE)}


def _all_names(text: str, separator: str, alone: set[str]) -> bool:
    """Whether each of several parts is the name of a mechanism."""
    parts = [part.strip() for part in text.split(separator)]
    return len(parts) > 1 and all(name_key(part) in alone or _NAME.fullmatch(part) for part in parts)
