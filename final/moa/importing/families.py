"""Find families of features: columns that share a naming pattern, genes and cell lines with known names.

A family is written as a pattern in which ``#`` stands for a number and ``*`` for anything, such as "emb_#" or
"Cells_*", or as the kind of names that it has, such as "<gene symbols>".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from moa.data.feature_names import CELL_LINE, ENTREZ_ID, FORMER_SYMBOL, PROBE_ID, SYMBOL, competition_features
from moa.importing.identities import COMPARTMENTS

#: The family of values that a file holds as a matrix, apart from what is known of the wells.
MATRIX = "matrix"
#: A pattern is a family if at least so many columns have it,
_LEAST = 3
#: and at least this share of the columns of its largest.
_LEAST_SHARE = 0.1
#: Patterns of one kind are taken if they fit this share of the numbers, or else that kind which fits the most of them.
_MOST = 2 / 3
#: What CellProfiler notes of objects and images and is no property of cells.
_BOOKKEEPING = re.compile(
    r"(?i:(?:^|_)(?:Location|Parent|Children|BoundingBox\w*|Center_[XYZ]|Object_?Number|Number_Object\w*"
    r"|Group_(?:Index|Number|Length)|(?:Image|Table)_?Number)(?:_|$)|ClosestObjectNumber"
    r"|AreaShape_(?:Center|Orientation))"
    r"|^(?:Image_)?(?:FileName|PathName|URL|MD5Digest|Height|Width|Scaling|Series|Frame|ProcessingStatus|Channel|Count"
    r"|ExecutionTime|ModuleError)_"
)
#: Names that only a table of genes, probes or cell lines has many of, and those that its other columns may have.
_KINDS: dict[str, tuple[str, re.Pattern[str]]] = {
    "<Entrez ids>": (ENTREZ_ID, re.compile(r"\d{1,9}")),
    "<gene symbols>": (SYMBOL, re.compile(r"[A-Z][A-Z0-9]*(?:orf\d+)?(?:[-.@][A-Z0-9]+)*")),
    "<former gene symbols>": (FORMER_SYMBOL, re.compile(r"[A-Z][A-Z0-9]*(?:orf\d+)?(?:[-.@][A-Z0-9]+)*")),
    "<probes>": (PROBE_ID, re.compile(r"(?:AFFX-)?[\w/-]+_at")),
    "<cell lines>": (CELL_LINE, re.compile(r"[A-Z0-9][A-Z0-9.-]*(?:_[A-Z_]+)?")),
}
#: So many known names make a table one of genes, whatever else it holds; of a smaller table, a quarter of its columns.
_MANY = 200


def is_bookkeeping(column: str) -> bool:
    """Whether a column holds where an object lies, its number or how it was measured, as CellProfiler notes them."""
    return bool(_BOOKKEEPING.search(re.sub(r"[\s.]+", "_", column)))


def compartment(column: str) -> str:
    """The pattern of a CellProfiler feature, such as "Cells_*"; empty for any other column."""
    first = column.partition("_")
    return f"{first[0]}_*" if first[0] in COMPARTMENTS and first[2] else ""


@lru_cache(maxsize=1)
def _known() -> dict[str, frozenset[str]]:
    table = competition_features()
    known = {kind: frozenset(table[column]) - {""} for kind, (column, _) in _KINDS.items()}
    known["<cell lines>"] |= {name.partition("_")[0] for name in known["<cell lines>"]}
    return known


def kind_of_names(names: Sequence[str], most: int | None = None) -> str:
    """The kind of ids that many of the names are, such as "<gene symbols>"; empty if they are of none."""
    best, least = "", max(1, min(len(names) // 4, _MANY)) if most is None else most
    for kind, known in _known().items():
        hits = len(known.intersection(names))
        if hits > least and not (kind == "<Entrez ids>" and _are_places(names)):
            best, least = kind, hits
    return best


def _are_places(names: Sequence[str]) -> bool:
    return any(set(names) == {str(number) for number in range(first, first + len(names))} for first in (0, 1))


def fits(column: str, pattern: str) -> bool:
    """Whether a column belongs to a family by its name."""
    if pattern in _KINDS:
        return column in _known()[pattern] or bool(_KINDS[pattern][1].fullmatch(column))
    return column == pattern or bool(_expression(pattern).fullmatch(column))


def fitting(columns: Iterable[str], patterns: Iterable[str]) -> list[str]:
    """The columns that belong to any of some families, in their order."""
    patterns = list(patterns)
    names = set(patterns)
    wide = [pattern for pattern in patterns if pattern in _KINDS or "*" in pattern or "#" in pattern]
    return [column for column in columns if column in names or any(fits(column, pattern) for pattern in wide)]


@lru_cache(maxsize=4096)
def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\#", r"\d+").replace("#", r"\d+"), re.DOTALL)


def _numbered(column: str) -> str:
    return re.sub(r"\d+", "#", column) if re.search(r"\d", column) else ""


def _with_colon(column: str) -> str:
    return "*:*" if re.search(r"\S:\S", column) else ""


def _first_word(column: str) -> str:
    found = re.match(r"([^\W_]+)(\s*[_:.|/-]\s*|\s+-\s+|\s+)\S", column)
    return f"{found[1]}{found[2]}*" if found else ""


def _last_word(column: str) -> str:
    found = re.search(r"\S(\s*[_:.|/-]\s*|\s+)([^\W_]+)$", column)
    return f"*{found[1]}{found[2]}" if found else ""


#: The kinds of patterns, the best first.
_RULES: tuple[Callable[[str], str], ...] = (_numbered, _with_colon, _first_word, _last_word)


def shared_patterns(columns: Sequence[str], is_metadata: Callable[[str], bool]) -> list[str]:
    """The patterns that most of the columns share, as many of one kind as there are; none if most share none.

    A pattern whose words name metadata (``is_metadata``), such as "dose_#", is no family.
    """
    best: list[str] = []
    most = len(columns) / 2
    for rule in _RULES:
        found = _groups(columns, rule, is_metadata)
        fitting = sum(found.values())
        if fitting >= _MOST * len(columns) and found:
            return list(found)
        if fitting > most:
            best, most = list(found), fitting
    return best


def _groups(columns: Iterable[str], rule: Callable[[str], str], is_metadata: Callable[[str], bool]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for column in columns:
        if pattern := rule(column):
            sizes[pattern] = sizes.get(pattern, 0) + 1
    sizes = {
        pattern: size
        for pattern, size in sizes.items()
        if size >= _LEAST and not is_metadata(re.sub(r"[*#]", " ", pattern).strip())
    }
    largest = max(sizes.values(), default=0)
    return {pattern: size for pattern, size in sizes.items() if size >= _LEAST_SHARE * largest}


def may_be_features(columns: Sequence[str], is_metadata: Callable[[str], bool], stated: Sequence[str]) -> set[str]:
    """Columns that can be features by their names, ``stated`` patterns included; what they hold is not known yet."""
    found = set(fitting(columns, stated)) | {column for column in columns if compartment(column)}
    rest = [column for column in columns if not is_metadata(column)]
    if kind := kind_of_names(columns):
        found |= {column for column in columns if of_kind(column, kind, is_metadata)}
    for rule in _RULES:
        sizes = _groups(rest, rule, is_metadata)
        found |= {column for column in rest if rule(column) in sizes}
    return found


def of_kind(column: str, kind: str, is_metadata: Callable[[str], bool]) -> bool:
    """Whether a column of a table of genes or cell lines is one of them: by a known name, or by its form."""
    return column in _known()[kind] or (fits(column, kind) and not is_metadata(column))
