"""Label wells with mechanisms: from a table such as the Drug Repurposing Hub's, or from the files' own column."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from moa.errors import UserError
from moa.importing import quantities
from moa.importing.design import Design
from moa.importing.fields import KNOWN, find_column, find_field, plain_name, split_words
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.profiles import is_missing
from moa.importing.text_tables import read_text_table
from moa.words import counted, listed

_GREEK = dict(
    zip(
        "αβγδεζηθικλμνξοπρστυφχψω",
        split_words(
            "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu "
            "nu xi omicron pi rho sigma tau upsilon phi chi psi omega"
        ),
        strict=True,
    )
)
_BROAD = re.compile(r"^(BRD[A-Z]\d{8})\d*$")


@dataclass(frozen=True)
class Labels:
    """Mechanisms of wells."""

    table: pd.DataFrame  # 0/1, uint8, shape (wells, targets), indexed as the wells; controls are 0
    known: np.ndarray  # True for controls and for wells whose mechanism is known, shape (wells,)


def name_key(text: object) -> str:
    """A name without case, punctuation and accents, Greek letters in words: "Akt inhibitor-1,2" is "aktinhibitor12"."""
    folded = "".join(_GREEK.get(letter, letter) for letter in str(text).casefold().replace("ς", "σ").replace("µ", "μ"))
    plain = unicodedata.normalize("NFKD", folded)
    return re.sub(r"[\W_]+", "", "".join(letter for letter in plain if not unicodedata.combining(letter)))


def label_wells(wells: pd.DataFrame, design: Design, options: ImportOptions, notes: Notes) -> Labels:
    """Find the mechanisms of every treated well and keep the targets that enough compounds have.

    Raises:
        UserError: the table of mechanisms cannot be read or matches no compound.
    """
    treated = ~design.controls
    own = design.fields.get("mechanism")
    if options.moa is not None:
        if own:
            notes.noted(f"mechanisms are those of {Path(options.moa).name}; column '{own}' of the files is not used")
        found = _from_table(Path(options.moa), wells, design, options, notes)
    elif own:
        found = [
            _split(value, options.moa_separator) if is_treated else ()
            for value, is_treated in zip(wells[own], treated, strict=True)
        ]
    else:
        found = [()] * len(wells)
    spelling = _spellings(found)
    mechanisms = [tuple(dict.fromkeys(spelling[name_key(name)] for name in names)) for names in found]
    known = np.array([bool(names) for names in mechanisms]) & treated
    if own or options.moa:
        _note_unknown(design, known, treated, notes)
    else:
        notes.noted("no mechanisms: --moa TABLE joins them; the folder is for prediction only")
    targets = _learnable(mechanisms, design, known, options, notes)
    places = {target: place for place, target in enumerate(targets)}
    labels = np.zeros((len(wells), len(targets)), np.uint8)
    for row, names in enumerate(mechanisms):
        if known[row]:
            labels[row, [places[name] for name in names if name in places]] = 1
    return Labels(pd.DataFrame(labels, index=wells.index, columns=targets), known | ~treated)


def _split(value: object, separator: str) -> tuple[str, ...]:
    if is_missing(value):
        return ()
    return tuple(part.strip() for part in str(value).split(separator) if part.strip() and not is_missing(part))


def _spellings(found: list[tuple[str, ...]]) -> dict[str, str]:
    """The commonest spelling of each mechanism, by its key: "MEK inhibitor" and "mek-inhibitor" are one target."""
    counts: dict[str, Counter[str]] = {}
    for names in found:
        for name in names:
            counts.setdefault(name_key(name), Counter())[name] += 1
    return {key: max(sorted(names), key=names.__getitem__) for key, names in counts.items()}


def _note_unknown(design: Design, known: np.ndarray, treated: np.ndarray, notes: Notes) -> None:
    unknown, compounds = treated & ~known, design.table["compound"]
    wells = counted(int(unknown.sum()), "well")
    named, labelled = set(compounds[unknown].dropna()), set(compounds[known])
    notes.aside(f"without a known mechanism ({wells})", sorted(named - labelled), "compound")
    notes.aside("whose mechanism is known in some wells only", sorted(named & labelled), "compound")


def _learnable(
    mechanisms: list[tuple[str, ...]], design: Design, known: np.ndarray, options: ImportOptions, notes: Notes
) -> list[str]:
    """Targets with enough compounds, in alphabetical order."""
    # A well without a compound counts as one of its own.
    names = design.table["compound"].where(design.table["compound"].notna(), design.table.index.to_series())
    compounds: dict[str, set[str]] = {}
    for row in np.flatnonzero(known):
        for target in mechanisms[row]:
            compounds.setdefault(target, set()).add(str(names.iloc[row]))
    few = sorted(target for target, of in compounds.items() if len(of) < options.least_compounds)
    kept = sorted((target for target in compounds if target not in set(few)), key=str.lower)
    least = counted(options.least_compounds, "compound")
    notes.dropped(f"with fewer than {least} ({len(kept)} kept; --least-compounds changes that)", few, "target")
    if compounds and not kept:
        raise UserError(
            f"no mechanism has {options.least_compounds} compounds, the most is {max(map(len, compounds.values()))}; "
            "lower --least-compounds"
        )
    return kept


def _from_table(
    path: Path, wells: pd.DataFrame, design: Design, options: ImportOptions, notes: Notes
) -> list[tuple[str, ...]]:
    """Mechanisms of each well from a table, empty where none is known."""
    table = read_text_table(path)
    stated = options.columns.get("mechanism")
    column = find_column(table.columns, stated, "--mechanism") if stated else find_field(table, "mechanism")
    if column is None:
        raise UserError(
            f"{path.name}: no column of mechanisms (moa, mechanism_of_action); its columns are "
            f"{listed(table.columns, 6)}; name it with --mechanism"
        )
    treated = ~design.controls
    ours, theirs = _identifiers(wells, design, table, column, path.name, treated)
    mine, keys = ours.map(_identifier, na_action="ignore"), table[theirs].map(_identifier, na_action="ignore")
    dose = find_field(table.drop(columns=[column, theirs]), "dose")
    parsed = None
    if dose is not None and design.table["dose"].notna().any():
        parsed = quantities.parse(table[dose], dose, "dose", notes)
    elif dose is not None:
        notes.noted(f"{path.name}: its doses ('{dose}') are not used, since the wells' doses are unknown")
    by_dose = parsed is not None
    doses = pd.Series(np.nan, index=table.index) if parsed is None else parsed[0]
    rows: dict[str, list[tuple[float, tuple[str, ...]]]] = {}
    for key, at, text in zip(keys, doses, table[column], strict=True):
        if not is_missing(key):
            rows.setdefault(key, []).append((at, _split(text, options.moa_separator)))
    spelt = table[theirs].groupby(keys).nunique()
    merged = [key for key in spelt.index[spelt > 1] if key in set(mine[treated].dropna())]
    notes.noted(f"{path.name}: names that differ in case or punctuation alone are one compound", merged)
    how = f"compound and dose ('{theirs}', '{dose}')" if by_dose else f"compound ('{theirs}')"
    hits = int(mine[treated].dropna().drop_duplicates().isin(list(rows)).sum())
    notes.guessed(
        f"{path.name}: mechanisms in '{column}' by {how}: {hits} of "
        f"{counted(mine[treated].nunique(), 'compound')} found"
    )
    result: list[tuple[str, ...]] = []
    for key, at, is_treated in zip(mine, design.table["dose"], treated, strict=True):
        found = rows.get(key, []) if is_treated and not is_missing(key) else []
        if by_dose:
            found = _at_dose(found, at)
        # The same name may stand on several lines: all of its mechanisms hold.
        result.append(tuple(dict.fromkeys(name for _, names in found for name in names)))
    return result


def _at_dose(rows: list[tuple[float, tuple[str, ...]]], dose: float) -> list[tuple[float, tuple[str, ...]]]:
    """Rows of the nearest dose within rounding; rows without a dose hold at any."""
    stated = np.array([at for at, _ in rows if np.isfinite(at)])
    near = quantities.nearest(dose, stated)
    return [(at, names) for at, names in rows if not np.isfinite(at) or at == near]


def _identifier(value: object) -> str:
    """The key of a compound; of a Broad id without its batch."""
    key = name_key(value)
    match = _BROAD.match(key.upper())
    return match[1].lower() if match else key


def _identifiers(
    wells: pd.DataFrame, design: Design, table: pd.DataFrame, mechanism: str, name: str, treated: np.ndarray
) -> tuple[pd.Series, str]:
    """The wells' identifier of compounds and the table's column that agree on the most compounds."""
    compound = design.fields.get("compound")
    candidates = [] if compound is None else [design.table["compound"]]
    candidates += [
        wells[column] for column in wells if plain_name(column) in KNOWN["identifier"] and column != compound
    ]
    if not candidates:
        raise UserError(f"{name}: the wells' compounds are unknown; name their column with --compound")
    theirs = {column: set(table[column].dropna().map(_identifier)) for column in table if column != mechanism}
    most, best = 0, None
    for values in candidates:
        ours = set(values[treated].dropna().map(_identifier))
        for column, held in theirs.items():
            if len(ours & held) > most:
                most, best = len(ours & held), (values, column)
    if best is None:
        example = candidates[0][treated].dropna()
        shown = f", such as '{example.iloc[0]}'" if len(example) else ""
        raise UserError(
            f"{name}: none of its columns ({listed(table.columns, 6)}) holds a compound of the wells{shown}; "
            "name the wells' column with --compound"
        )
    return best
