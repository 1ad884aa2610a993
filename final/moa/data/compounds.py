"""Decide which rows are of one compound: by a structure or an id where there is one, and by the name, however spelt."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import lru_cache

import pandas as pd

_GREEK = {
    # fmt: off
    "α": "alpha",
    "β": "beta",
    "γ": "gamma",
    "δ": "delta",
    "ε": "epsilon",
    "ζ": "zeta",
    "η": "eta",
    "θ": "theta",
    "ι": "iota",
    "κ": "kappa",
    "λ": "lambda",
    "μ": "mu",
    "ν": "nu",
    "ξ": "xi",
    "ο": "omicron",
    "π": "pi",
    "ρ": "rho",
    "σ": "sigma",
    "τ": "tau",
    "υ": "upsilon",
    "φ": "phi",
    "χ": "chi",
    "ψ": "psi",
    "ω": "omega",
    # fmt: on
}
#: Dashes and minus signs, all of them "-" here.
_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−﹣－"), "-")
#: The sign of rotated light, which tells two compounds apart: (+)-JQ1 is active, (-)-JQ1 is its control.
_SIGN = r"\(\s*(?:\+\s*[/,]?\s*-|\+-|[+±-])\s*\)"
_TOKEN = re.compile(rf"{_SIGN}|[^\W\d_]+|\d+")
_NEGATIVE = re.compile(r"[-−]\d+")
_WHOLE = re.compile(r"\d+\.0+")
#: A Broad id; what follows is the batch.
_BROAD = re.compile(r"(brd[a-z]\d{8})(?:-\d+)*")
#: The form of a structure's key; there is none for "confidential" and the like.
INCHIKEY = re.compile(r"[A-Z]{14}-[A-Z]{10}-[A-Z]")
#: Words at the end of a name that say which salt or hydrate of a compound it is, and of an acid at its start.
_CATION = r"(?:di|tri|hemi)?(?:sodium|potassium|calcium|magnesium|lithium|zinc|ammonium|meglumine|tromethamine)"
_ANION = (
    r"hydrochlor(?:ide|id)|hcl|hydrobromide|hbr|chloride|bromide|iodide|me[sz]ylate|mesilate|methanesulfonate|tosylate|"
    r"tosilate|besylate|besilate|esylate|napsylate|sul[fp]h?ate|phosphate|nitrate|citrate|tartrate|maleate|malate|"
    r"fumarate|succinate|acetate|trifluoroacetate|tfa|lactate|gluconate|oxalate|pamoate|embonate|hydrate|salt|"
    r"free (?:base|acid)"
)
_SALT = re.compile(
    rf"[\s·•*.,;(\[_-]{{1,4}}(?:[2-4]|x )?(?:{_CATION}|"
    rf"(?:mono|di|tri|tetra|penta|hexa|hepta|bi|hemi|sesqui)?(?:{_ANION}))[\s)\]]{{0,4}}$",
    re.IGNORECASE,
)
_MOST_WORDS, _LONGEST = 4, 40
_SALT_OF = re.compile(rf"^{_CATION}\s+(?=\w)", re.IGNORECASE)
#: Another structure or id with more names than this is a placeholder, and a name with more ids is none of one compound.
_MOST_NAMES, _MOST_IDS = 3, 3


@lru_cache(maxsize=1 << 16)  # wells have the same few names
def name_key(text: object) -> str:
    """What is left of a name without case, accents, spaces and punctuation, with Greek letters as words.

    "AKT inhibitor-1,2" and "akt Inhibitor 1-2" are "aktinhibitor1-2": numbers that follow each other stay apart. The
    signs (+), (-) and (±) stay, since they tell compounds apart. A name of signs alone is its own key.
    """
    text = str(text)
    if text.isascii() and text.isalnum():  # most ids; all of the competition's
        return text.lower()
    plain = unicodedata.normalize("NFKD", re.sub("[™®©]", "", text)).translate(_DASHES).casefold()
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter)).replace("ς", "σ")
    plain = "".join(_GREEK.get(letter, letter) for letter in plain)
    key = ""
    for token in _TOKEN.findall(plain):
        if token.startswith("("):
            token = "(±)" if "±" in token or ("+" in token and "-" in token) else f"({token.strip('() ')})"
        elif token.isdigit() and key[-1:].isdigit():
            token = f"-{token}"
        key += token
    return key or " ".join(plain.split())


def compound_key(name: object) -> str:
    """The key of a compound's name or id, equal for all its spellings: ``name_key``, of a Broad id without the batch.

    A number that a spreadsheet wrote as "17647.0" is "17647".
    """
    text = _whole(name)
    if _NEGATIVE.fullmatch(text):  # an id such as -1, which is not 1
        return text.translate(_DASHES)
    key = name_key(text)
    broad = _BROAD.fullmatch(key)
    return broad[1] if broad else key


def without_salt(name: object) -> str:
    """The key of a name without the words for a salt or hydrate: that of "doxorubicin" for "Doxorubicin HCl".

    A salt of such words alone, such as sodium chloride, keeps them all.
    """
    text = _SALT_OF.sub("", unicodedata.normalize("NFKC", str(name)))
    for _ in range(_MOST_WORDS):
        if match := _SALT.search(text, max(0, len(text) - _LONGEST)):  # a cell may hold anything of any length
            text = text[: match.start()]
    return compound_key(name if re.fullmatch(rf"\W*(?:{_CATION}|{_ANION})?", text, re.IGNORECASE) else text)


def salts(names: Iterable[object]) -> list[tuple[str, ...]]:
    """Names of different compounds that are alike but for a salt or hydrate, each group in alphabetical order."""
    groups: dict[str, dict[str, str]] = {}
    for name in sorted(map(str, names)):
        groups.setdefault(without_salt(name), {}).setdefault(compound_key(name), name)
    return sorted(tuple(found.values()) for found in groups.values() if len(found) > 1)


def _whole(text: object) -> str:
    """A text; a number that a spreadsheet wrote as "17647.0" is "17647"."""
    text = str(text).strip()
    return text.partition(".")[0] if _WHOLE.fullmatch(text) else text


@dataclass(frozen=True)
class Compounds:
    """Names of compounds in one spelling.

    Attributes:
        names: the compound of each row, missing where it was; one spelling for all rows of a compound, the commonest.
        united: by this spelling the other names of the same compound, in alphabetical order.
        apart: names that stand for many compounds by their ids; their rows are named "NAME (ID)".
        placeholders: ids that many names share, which were not used.
    """

    names: pd.Series
    united: dict[str, tuple[str, ...]]
    apart: tuple[str, ...] = ()
    placeholders: tuple[str, ...] = ()

    @property
    def spellings(self) -> list[str]:
        """Spellings of a name that were united, in words: "MS-275 = ms 275"; with codes where they look alike."""
        return self._listed(by_id=False)

    @property
    def synonyms(self) -> list[str]:
        """Different names of one id that were united, in words: "paclitaxel = taxol"."""
        return self._listed(by_id=True)

    def _listed(self, by_id: bool) -> list[str]:
        groups = [(name, *others) for name, others in self.united.items()]
        chosen = [group for group in groups if (len(set(map(compound_key, group))) > 1) == by_id]
        return [" = ".join(_distinguishable(group)) for group in chosen]


def unite(names: pd.Series, ids: pd.Series | None = None) -> Compounds:
    """Give all rows of a compound one name.

    Rows are of one compound if their names have one key, or if they have the same id. So a row without an id belongs to
    the compound of its name, and two names of one structure are one compound.

    Args:
        names: of each row, missing where unknown.
        ids: structures or ids of the same rows, missing where unknown; compared as text.
    """
    known = names.dropna().astype(str)
    key_of = {name: compound_key(name) for name in known.unique()}
    if ids is None and len(set(key_of.values())) == len(key_of):
        return Compounds(names.astype(object), {})
    known_ids = None if ids is None else ids.reindex(known.index).map(_whole, na_action="ignore")
    pairs = pd.DataFrame({"name": known, "id": known_ids}, dtype=object)
    counts = pairs.fillna("").value_counts(sort=False)
    keys_of_id: dict[str, set[str]] = defaultdict(set)
    ids_of_key: dict[str, set[str]] = defaultdict(set)
    for name, each in counts.index:
        if each:
            keys_of_id[each].add(key_of[name])
    placeholders = {
        each for each, keys in keys_of_id.items() if len(keys) > _MOST_NAMES and not INCHIKEY.fullmatch(each)
    }
    for each, keys in keys_of_id.items():
        for key in keys if each not in placeholders else ():
            ids_of_key[key].add(each)
    apart = {key for key, found in ids_of_key.items() if len(found) > _MOST_IDS}

    groups = _Groups()
    node_of: dict[tuple[str, str], Hashable] = {}
    for name, each in counts.index:
        key, usable = key_of[name], each if each not in placeholders else ""
        node: Hashable = ("name", key) if key not in apart or not usable else ("id", usable)
        node_of[name, each] = node
        if usable:
            groups.join(node, ("id", usable))
    spellings: dict[Hashable, Counter[str]] = defaultdict(Counter)
    for (name, each), count in counts.items():
        shown = f"{name} ({each})" if key_of[name] in apart and each and each not in placeholders else name
        spellings[groups.root(node_of[name, each])][shown] += int(count)
    best = {root: max(sorted(found), key=found.__getitem__) for root, found in spellings.items()}
    new = {pair: best[groups.root(node)] for pair, node in node_of.items()}
    united = {
        best[root]: tuple(sorted(name for name in found if name != best[root]))
        for root, found in spellings.items()
        if len(found) > 1
    }
    filled = pairs.fillna("")
    renamed = pd.Series(
        [new[pair] for pair in zip(filled["name"], filled["id"], strict=True)], known.index, dtype=object
    )
    result = names.astype(object).where(names.isna(), renamed.reindex(names.index))
    first = {key_of[name]: name for name in reversed(list(key_of))}
    return Compounds(
        result, dict(sorted(united.items())), tuple(sorted(first[key] for key in apart)), tuple(sorted(placeholders))
    )


class _Groups:
    """Groups of things, which grow together when two of their members are joined."""

    def __init__(self) -> None:
        self._parent: dict[Hashable, Hashable] = {}

    def root(self, node: Hashable) -> Hashable:
        """The member that stands for the group of ``node``."""
        path = []
        while (parent := self._parent.get(node, node)) != node:
            path.append(node)
            node = parent
        self._parent.update(dict.fromkeys(path, node))
        return node

    def join(self, one: Hashable, other: Hashable) -> None:
        """Make one group of the groups of two members."""
        self._parent[self.root(other)] = self.root(one)


def _distinguishable(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names; where two look alike, such as "é" as one and as two characters, with codes for such characters."""
    looks = Counter(" ".join(unicodedata.normalize("NFKC", name).translate(_DASHES).split()) for name in names)
    return names if max(looks.values()) == 1 else tuple(ascii(name)[1:-1] for name in names)
