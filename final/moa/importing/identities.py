"""Find out which gene, cell line or compartment each feature is, and match features to those of a trained model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from moa.data.feature_names import (
    CELL_LINE,
    ENTREZ_ID,
    FORMER_SYMBOL,
    GROUP,
    PROBE_ID,
    SYMBOL,
    competition_features,
)
from moa.importing.fields import find_column, plain_name, split_words
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.profiles import Profiles, is_missing
from moa.words import counted

#: Names of row fields, as ``plain_name`` writes them, the best first.
_ENTREZ = split_words("pr_gene_id gene_id entrez_id entrez entrezid entrezgene entrez_gene_id geneid ncbi_id")
_SYMBOL = split_words("pr_gene_symbol gene_symbol symbol gene_name genesymbol gene hgnc_symbol description")
_LANDMARK = split_words("pr_is_lmark is_lm is_lmark feature_space lm_id")
#: A table with more columns than this that have names of the competition's genes is a table of genes.
_MANY = 200
_PROBE = re.compile(r"^(?:AFFX-)?[\w/-]+_at$")
_GENE_NAME = re.compile(r"^[A-Za-z][\w@.-]{1,24}$")
#: Compartments of CellProfiler: a feature's name starts with one.
COMPARTMENTS = ("Cells", "Cytoplasm", "Nuclei", "Image")


def identified(
    values: np.ndarray, wells: pd.DataFrame, fields: pd.DataFrame, options: ImportOptions, notes: Notes
) -> Profiles:
    """Profiles with the identities of their features, see ``identify``, without those that ``landmarks`` leaves out."""
    keep = landmarks(fields, options, notes)
    if keep is not None:
        fields, values = fields[keep], values[:, keep]
    features, kind = identify(fields, options)
    # Without a copy: no step of an import changes values in place.
    table = pd.DataFrame(values, index=wells.index, columns=features.index, copy=False)
    return Profiles(table, wells, features, kind)


def identify(fields: pd.DataFrame, options: ImportOptions) -> tuple[pd.DataFrame, str]:
    """Say which gene, cell line or compartment each feature is.

    ``fields`` is what the file says about each feature, text, indexed by the feature's id, and may have no columns.

    Returns:
        the fields with the columns entrez_id, symbol, probe_id, cell_line (text, empty where unknown) and group, and
        the kind of ``Profiles``.
    """
    ids = fields.index.astype(str)
    entrez = _column(fields, _ENTREZ, options.gene_id, "gene_id")
    symbol = _column(fields, _SYMBOL, options.gene_symbol, "gene_symbol")
    table = fields.copy()
    numbers = fields[entrez] if entrez else pd.Series("" if _are_places(ids) else ids, index=fields.index)
    table[ENTREZ_ID] = numbers.map(entrez_text)
    names = pd.Series("", index=fields.index) if symbol is None else fields[symbol].map(_text)
    table[SYMBOL] = names.where(names.map(lambda name: bool(_GENE_NAME.match(name))), "")
    table[PROBE_ID] = [name if _PROBE.match(name) else "" for name in ids]
    table[CELL_LINE] = ""
    starts = pd.Series([name.partition("_")[0] for name in ids], index=fields.index, dtype=object)
    groups = starts.where(starts.isin(COMPARTMENTS), None)
    genes = _known_columns(ids)
    if genes is not None:  # a table whose columns are the competition's, or genes by id
        for column in (ENTREZ_ID, SYMBOL, PROBE_ID, CELL_LINE):
            table[column] = genes[column].where(genes[column] != "", table[column])
        groups = groups.where(groups.notna(), genes[GROUP].replace("", None))
    if groups.notna().mean() > 0.5:
        table[GROUP] = groups.fillna("other")
        kind = "expression" if genes is not None and (table[GROUP] == "genes").any() else "profiles"
    else:
        genes_share = (table[[ENTREZ_ID, SYMBOL, PROBE_ID]] != "").any(axis=1).mean()
        kind = "expression" if genes_share > 0.5 else "profiles"
        table[GROUP] = options.group or ("genes" if kind == "expression" else "features")
    return table, kind


def _are_places(ids: pd.Index) -> bool:
    """Whether ids are the features' numbers from 0 or 1, and so no Entrez ids."""
    return any(set(ids) == {str(number) for number in range(first, first + len(ids))} for first in (0, 1))


def entrez_text(value: object) -> str:
    """An Entrez id as text: "5720" for 5720, 5720.0 and "5720"; empty for anything else."""
    text = _text(value).removesuffix(".0")
    return text if text.isdigit() and text != "0" else ""


def landmarks(fields: pd.DataFrame, options: ImportOptions, notes: Notes) -> np.ndarray | None:
    """Which rows of an L1000 file are measured genes, not inferred ones; None to keep all rows."""
    column = _column(fields, _LANDMARK)
    if column is None or options.genes == "all":
        return None
    marks = fields[column].map(_text).str.lower().isin(("1", "1.0", "true", "landmark", "y", "yes"))
    if marks.all() or not marks.any():
        return None
    inferred = counted(int((~marks).sum()), "inferred gene")
    notes.dropped(
        f"{inferred} (column '{column}'): they are computed from the landmark genes; genes: all in "
        "mapping.yaml keeps them"
    )
    return marks.to_numpy()


@dataclass(frozen=True)
class Matched:
    """How wanted features were found in a file."""

    columns: dict[str, str]  # the file's feature of each wanted feature that was found, in the wanted order
    by: dict[str, int]  # the number of features found by each kind of id, in the order in which they were tried
    missing: list[str]  # wanted features that were not found
    left_over: list[str]  # features of the file that are not wanted


def match_features(wanted: pd.DataFrame, found: pd.DataFrame) -> Matched:
    """Find a model's features in a file, in any order: by name, Entrez id, symbol, former symbol, probe or cell line.

    Of several rows with one id the first is taken, landmarks before others. ``wanted`` has columns as
    ``moa.data.feature_names.read_identities`` returns them, any may be absent; ``found`` is ``Profiles.features``.
    """
    columns: dict[str, str] = {}
    by: dict[str, int] = {}
    taken: set[str] = set()
    landmark = _column(found, _LANDMARK)
    first = found if landmark is None else found.sort_values(landmark, ascending=False, kind="stable")
    names = pd.Series(first.index, index=first.index)
    for kind, wanted_ids, found_ids in (
        ("name", pd.Series(wanted.index, index=wanted.index), names),
        ("Entrez id", _ids(wanted, ENTREZ_ID), _ids(first, ENTREZ_ID)),
        ("symbol", _ids(wanted, SYMBOL), _ids(first, SYMBOL)),
        ("former symbol", _ids(wanted, FORMER_SYMBOL), _ids(first, SYMBOL)),
        ("probe", _ids(wanted, PROBE_ID), _ids(first, PROBE_ID)),
        ("cell line", _ids(wanted, CELL_LINE), _ids(first, CELL_LINE)),
        ("cell line", _ids(wanted, CELL_LINE), names.str.upper()),
        ("cell line", _ids(wanted, CELL_LINE).str.partition("_")[0], names.str.upper()),
        ("symbol", _ids(wanted, SYMBOL), names.str.upper()),
        ("former symbol", _ids(wanted, FORMER_SYMBOL), names.str.upper()),
    ):
        places: dict[str, str] = {}
        for feature, value in found_ids.items():
            if value and feature not in taken:
                places.setdefault(value, feature)
        for feature, value in wanted_ids.items():
            if feature not in columns and value and (place := places.get(value)) is not None and place not in taken:
                columns[feature] = place
                taken.add(place)
                by[kind] = by.get(kind, 0) + 1
    return Matched(
        {feature: columns[feature] for feature in wanted.index if feature in columns},
        by,
        [feature for feature in wanted.index if feature not in columns],
        [feature for feature in found.index if feature not in taken],
    )


def align(profiles: Profiles, wanted: pd.DataFrame) -> tuple[Profiles, Matched]:
    """The profiles with the wanted features that were found, under their wanted names and in that order."""
    matched = match_features(wanted, profiles.features)
    part = profiles.only(list(matched.columns.values()))
    names = list(matched.columns)
    return Profiles(part.values.set_axis(names, axis=1), part.wells, part.features.set_axis(names), part.kind), matched


def _known_columns(ids: Iterable[str]) -> pd.DataFrame | None:
    """What features are, where many have the competition's names, or Entrez ids, symbols or probes of its genes."""
    known, ids = competition_features(), list(ids)
    empty = pd.DataFrame("", index=ids, columns=known.columns)
    # A quarter of the columns; of a whole transcriptome, which has other genes too, some hundreds.
    best, by, most = None, None, max(1, min(len(ids) // 4, _MANY))
    for column in (None, ENTREZ_ID, SYMBOL, FORMER_SYMBOL, PROBE_ID, CELL_LINE):
        keys = known.index if column is None else known[column]
        table = known[keys != ""].set_axis(keys[keys != ""], axis=0)
        hits = [name for name in ids if name in table.index]
        if len(hits) > most:
            best, by, most = table, column, len(hits)
    if best is None:
        return None
    hits = [name for name in ids if name in best.index]
    empty.loc[hits] = best.loc[hits].to_numpy()
    others = [name for name in ids if name not in best.index]
    empty.loc[others, GROUP] = empty.loc[hits, GROUP].mode().iloc[0]
    if by in (SYMBOL, FORMER_SYMBOL):
        empty.loc[others, SYMBOL] = others
    return empty


def _ids(table: pd.DataFrame, column: str) -> pd.Series:
    if column not in table:
        return pd.Series("", index=table.index, dtype=object)
    return table[column].map(_text).str.upper()


def _text(value: object) -> str:
    return "" if is_missing(value) else str(value).strip()


def _column(fields: pd.DataFrame, known: Sequence[str], stated: str | None = None, option: str = "") -> str | None:
    if stated:
        return find_column(fields.columns, stated, option)
    names = {plain_name(column): column for column in reversed(list(fields.columns))}
    return next((names[name] for name in known if name in names), None)
