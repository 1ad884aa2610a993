"""Decide what makes wells wells of one compound, and name each compound in one way."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from moa.data.compounds import INCHIKEY, compound_key, unite
from moa.errors import UserError
from moa.importing.headings import plain_unit
from moa.importing.mapping import Compounds, Mapping
from moa.importing.notes import Notes
from moa.importing.units import DOSES
from moa.importing.vehicles import TREATED_WORDS, kind_of_compound, word
from moa.words import listed

#: Broad ids with a batch; the compound is the group.
_BATCH = r"^(BRD-[A-Z]\d{8})-\d{3}-\d{2}-\d$"
#: Structures and ids by the form of their values, the best first. An InChIKey without its second part is left out: it
#: is the same for compounds that are mirror images.
_BY_VALUE = {
    "InChIKey": INCHIKEY,
    "InChI": re.compile(r"InChI=1S?/\S+"),
    "ChEMBL id": re.compile(r"CHEMBL\d+"),
    "CAS number": re.compile(r"\d{2,7}-\d\d-\d"),
}
#: Those that only the name of a column tells, and the form that their values must have.
_BY_NAME = {
    "SMILES": (re.compile(r"smiles", re.IGNORECASE), re.compile(r"[A-Za-z0-9@+\-\[\]()=#$/\\%.:*]+")),
    "PubChem id": (re.compile(r"pubchem.*(?:cid|id)|(?:cid|id).*pubchem", re.IGNORECASE), re.compile(r"\d+(?:\.0)?")),
}
_ORDER = ("InChIKey", "InChI", "SMILES", "ChEMBL id", "PubChem id", "CAS number")
#: A name, and the dose that ends it.
_DOSE = re.compile(r"(.*\w)[^\w.]*?[\s_@(,;:/-]+(\d+(?:\.\d+)?)\s*([A-Za-zµμ/]+)\)?")
#: A name, and the number that ends it; so many compounds with the same numbers have them for doses.
_NUMBER = re.compile(r"(.*[^\d.\s_@-])[\s_@-]+(\d+(?:\.\d+)?)")
_LEAST_SERIES = 3
#: The share of a column's values that must have the form, and of the wells with a compound that must have a value.
_FORM, _FILLED = 0.9, 0.5
#: Values of which one must have the form before all are looked at.
_LOOK = 20


def decide_compounds(mapping: Mapping, wells: pd.DataFrame, notes: Notes) -> Compounds:
    """The column of compounds, and the column of structures or ids beside it, if there is one.

    Raises:
        UserError: names of compounds hold doses.
    """
    column = mapping.column("compound")
    if column is None:
        notes.noted(
            "no column of compounds was found, so nothing keeps the wells of a compound in one fold; "
            "--compound names the column"
        )
        return Compounds(reason="no column of compounds was found")
    _refuse_states(wells[column], column, mapping)
    _refuse_doses(wells[column], column)
    found = _ids(wells, column)
    if found is None:
        return Compounds(column=column, rule="names without case, spaces and punctuation", reason="no ids were found")
    kind, ids = found
    notes.guessed(f"compounds are one if their {kind} ('{ids}') or their name ('{column}') is the same")
    return Compounds(column=column, ids=ids, rule=f"{kind} or name", reason=f"'{ids}' holds values of the form {kind}")


def compounds_of(rule: Compounds, wells: pd.DataFrame, notes: Notes) -> pd.Series:
    """The compound of each well in one spelling, NaN where unknown; all batches of a Broad id are one compound.

    Names that were united are noted.

    Raises:
        UserError: a column of the rule is missing.
    """
    if rule.column is None:
        return pd.Series(np.nan, index=wells.index, dtype=object)
    for column in (rule.column, rule.ids):
        if column is not None and column not in wells:
            raise UserError(f"mapping: column '{column}' of compounds is not in the files; name it with --compound")
    names = _as_stated(_without_batch(wells[rule.column], notes), rule.same)
    found = unite(names, None if rule.ids is None else wells[rule.ids])
    notes.noted("names that differ in spelling alone are one compound", found.spellings)
    notes.noted(f"names with the same '{rule.ids}' are one compound; if not, correct it there", found.synonyms)
    notes.noted(f"names that many values of '{rule.ids}' have are several compounds", found.apart)
    notes.noted(f"values of '{rule.ids}' that many names have are not used", found.placeholders)
    return found.names


def _as_stated(names: pd.Series, same: Sequence[Sequence[str]]) -> pd.Series:
    """The names, of each group of ``same`` the first; the case and punctuation of names do not matter."""
    if not same:
        return names
    first = {compound_key(name): group[0] for group in same for name in group}
    return names.map(lambda name: first.get(compound_key(name), name), na_action="ignore").astype(object)


def note_names(rule: Compounds | None, wells: pd.DataFrame, notes: Notes) -> None:
    """Note salts that may be one compound, and names under ``same`` that no well has, such as misspelt ones.

    Of imports alone: the mapping of plates to predict is that of the weights, which nobody edits.
    """
    if rule is None or rule.column is None:
        return
    notes.noted(
        "names that differ in a salt or hydrate alone are several compounds here, which different folds may hold (to "
        "unite some, move them from `perhaps_same` to `same` in DIR/mapping.yaml, where --out DIR was given, and run "
        "the same command with --mapping DIR/mapping.yaml)",
        map(" / ".join, rule.perhaps_same),
    )
    there = set(wells[rule.column].dropna().map(compound_key))
    absent = [name for group in rule.same for name in group if compound_key(name) not in there]
    notes.noted("names that `same` unites, but no well has", absent)


def key_of(rule: Compounds | None) -> Callable[[object], str]:
    """What gives the key of a compound's name: of names that ``same`` has in one group, that of the first."""
    first = {compound_key(name): compound_key(group[0]) for group in (rule.same if rule else ()) for name in group}
    return lambda name: first.get(compound_key(name), compound_key(name))


def _refuse_states(names: pd.Series, column: str, mapping: Mapping) -> None:
    """Refuse a column that says whether wells are treated, and not by what: all would be one compound."""
    treated = {str(name) for name in names.dropna().unique() if kind_of_compound(name) == "treated"}
    if treated and {word(name) for name in treated} <= TREATED_WORDS:
        others = mapping.columns_of("identifier")
        fix = f"name that of compounds with --compound{f', such as {listed(map(repr, others))}' if others else ''}"
        raise UserError(
            f"column '{column}' says which wells are treated ({listed(sorted(treated))}), not by what; {fix}"
        )


def _refuse_doses(names: pd.Series, column: str) -> None:
    """Refuse names that end with doses, such as "taxol 1 uM" and "taxol 10 uM": each would be a compound of its own."""
    doses: dict[str, dict[str, str]] = {}
    for name in map(str, names.dropna().unique()):
        ending = _DOSE.fullmatch(name)
        if ending and plain_unit(ending[3]) in DOSES and kind_of_compound(name) == "treated":
            doses.setdefault(compound_key(ending[1]), {})[ending[2] + plain_unit(ending[3])] = name
    several = next((list(found.values()) for found in doses.values() if len(found) > 1), None) or _numbered(names)
    if several:
        raise UserError(
            f"column '{column}' holds doses with the names ({listed(map(repr, several[:2]))}); give compounds and "
            "doses in a column each"
        )


def _numbered(names: pd.Series) -> list[str] | None:
    """Names of one compound with different numbers at their ends, where most names have the same few: doses.

    "taxol_0.1", "taxol_1" and "TSA_0.1", "TSA_1" are doses; "Torin 1" and "Torin 2" are compounds.
    """
    found: dict[str, dict[str, str]] = {}
    distinct = [str(name) for name in names.dropna().unique()]
    for name in distinct:
        if ending := _NUMBER.fullmatch(name):
            found.setdefault(compound_key(ending[1]), {})[ending[2]] = name
    sets = Counter(frozenset(each) for each in found.values())
    doses, count = max(sets.items(), key=lambda item: item[1], default=(frozenset(), 0))
    if count < _LEAST_SERIES or len(doses) < 2 or not any("." in dose for dose in doses):
        return None
    if count * len(doses) < len(distinct) / 2:
        return None
    return next(list(each.values()) for each in found.values() if each.keys() == doses)


def _ids(wells: pd.DataFrame, compound: str) -> tuple[str, str] | None:
    """The best kind of id that a column holds, and this column."""
    named = wells[compound].notna()
    found: dict[str, str] = {}
    for column in wells:
        values = wells[column][named].dropna()
        if column == compound or len(values) < _FILLED * named.sum():
            continue
        distinct = [str(value) for value in values.unique()]
        forms = _BY_VALUE | {kind: form for kind, (name, form) in _BY_NAME.items() if name.search(str(column))}
        for kind, form in forms.items():
            # Most columns are of no form, which the first values say.
            if (
                any(map(form.fullmatch, distinct[:_LOOK]))
                and np.mean([*map(bool, map(form.fullmatch, distinct))]) >= _FORM
            ):
                found.setdefault(kind, column)
    return next(((kind, found[kind]) for kind in _ORDER if kind in found), None)


def _without_batch(names: pd.Series, notes: Notes) -> pd.Series:
    plain = names.astype(str).str.extract(_BATCH)[0]
    batched = plain.notna()
    if not batched.any():
        return names
    notes.noted(
        f"compounds are named by their Broad id without the batch, '{names[batched].iloc[0]}' as "
        f"'{plain[batched].iloc[0]}'"
    )
    return names.where(~batched, plain).astype(object)
