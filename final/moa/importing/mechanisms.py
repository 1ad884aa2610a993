"""Label wells with mechanisms: from a table such as the Drug Repurposing Hub's, or from the files' own column."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from moa.data.compounds import name_key
from moa.errors import UserError
from moa.importing.design import Design
from moa.importing.mapping import Mapping, Mechanisms
from moa.importing.mechanism_names import is_unknown, separators_of, spellings, split_cells
from moa.importing.mechanism_table import column_of, from_table, identifying
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions, setting
from moa.importing.profiles import is_missing
from moa.words import counted


@dataclass(frozen=True)
class Labels:
    """Mechanisms of wells."""

    table: pd.DataFrame  # 0/1, uint8, shape (wells, targets), indexed as the wells; controls are 0
    known: np.ndarray  # True for controls and for wells whose mechanism is known, shape (wells,)


def decide_mechanisms(
    mapping: Mapping,
    wells: pd.DataFrame,
    design: Design,
    table: pd.DataFrame | None,
    options: ImportOptions,
    notes: Notes,
) -> Mapping:
    """The mapping with the columns that mechanisms are read from, and what separates several, where it has none yet.

    ``table`` is that of ``--moa``, indexed by the line of each row; None without one.

    Raises:
        UserError: the table has no column of mechanisms, or holds no compound of the wells.
    """
    stated = None if options.moa_separator is None else (options.moa_separator,)
    if mapping.mechanisms is not None:
        changed = {} if stated is None else {"separators": stated, "stated": True}
        return mapping.with_(mechanisms=mapping.mechanisms.model_copy(update=changed))
    own = mapping.column("mechanism")
    if table is None:
        if own is None or own not in wells:
            return mapping.with_(mechanisms=Mechanisms(reason="no column and no table of mechanisms"))
        cells = wells[own][~design.controls]
        found = Mechanisms(
            column=own,
            separators=stated or separators_of(cells, notes),
            stated=bool(stated),
            reason="a column of the files",
        )
        return mapping.with_(mechanisms=found)
    name = Path(options.moa).name if options.moa else "mechanisms"
    if own:
        notes.noted(f"mechanisms are those of {name}; column '{own}' of the files is not used")
    column = column_of(mapping, table, "mechanism")
    if column is None:
        raise UserError(f"{name}: the mapping names no column of its mechanisms; name it with --mechanism")
    ours, theirs = identifying(mapping, wells, design, table, column, name)
    dose = column_of(mapping, table.drop(columns=[column, theirs]), "dose")
    found = Mechanisms(
        table=name,
        column=column,
        separators=stated or separators_of(table[column], notes),
        stated=bool(stated),
        by=(theirs,) if dose is None else (theirs, dose),
        wells=str(ours.name),
        reason="holds the most compounds of the wells",
    )
    return mapping.with_(mechanisms=found)


def label_wells(
    wells: pd.DataFrame,
    design: Design,
    mapping: Mapping,
    table: pd.DataFrame | None,
    options: ImportOptions,
    notes: Notes,
) -> Labels:
    """Find the mechanisms of every treated well and keep the targets that enough compounds have.

    Raises:
        UserError: the table of mechanisms does not fit the wells or contradicts itself.
    """
    treated, rule = ~design.controls, mapping.mechanisms or Mechanisms()
    _check(rule, wells, table, design)
    if rule.column is None:
        found: list[tuple[str, ...]] = [()] * len(wells)
    elif table is not None:
        ours = design.table["compound"] if rule.wells == "compound" else wells[rule.wells]
        found = from_table(rule, ours, mapping, design, table, rule.table or "mechanisms", notes)
        _note_unknown_words(table[rule.column], notes)
    else:
        cells = wells[rule.column].where(treated)
        found = split_cells(list(cells), rule.separators, rule.stated)
        _note_unknown_words(cells, notes)
    spelling = spellings(found)
    mechanisms = [tuple(dict.fromkeys(spelling[name_key(name)] for name in names)) for names in found]
    known = np.array([bool(names) for names in mechanisms], bool) & treated
    if rule.column is not None:
        _note_unknown(design, known, treated, notes)
        _note_differences(design, mechanisms, known, notes)
    else:
        notes.noted("no mechanisms: --moa TABLE joins them; the folder is for prediction only")
    targets = _learnable(mechanisms, design, known, options, notes)
    places = {target: place for place, target in enumerate(targets)}
    labels = np.zeros((len(wells), len(targets)), np.uint8)
    for row, names in enumerate(mechanisms):
        if known[row]:
            labels[row, [places[name] for name in names if name in places]] = 1
    return Labels(pd.DataFrame(labels, index=wells.index, columns=targets), known | ~treated)


def _check(rule: Mechanisms, wells: pd.DataFrame, table: pd.DataFrame | None, design: Design) -> None:
    """Check that the columns of a rule are there; those of another import need not be."""
    needed: list[tuple[str | None, pd.DataFrame, str]] = []
    if table is not None:
        needed = [(column, table, rule.table or "the table of mechanisms") for column in (rule.column, *rule.by)]
        needed.append((rule.wells, design.table if rule.wells == "compound" else wells, "the files"))
    elif rule.table is not None:
        raise UserError(f"mapping: mechanisms are those of a table such as {rule.table}; give one with --moa")
    else:
        needed = [(rule.column, wells, "the files")]
    for column, held, where in needed:
        if column is not None and column not in held:
            raise UserError(f"mapping: column '{column}' of mechanisms is not in {where}; name it as it was")


def _note_unknown_words(cells: pd.Series, notes: Notes) -> None:
    words = sorted({str(cell) for cell in cells if is_unknown(cell) and not is_missing(cell)})
    notes.guessed("cells that say that no mechanism is known are no target", words)


def _note_unknown(design: Design, known: np.ndarray, treated: np.ndarray, notes: Notes) -> None:
    unknown, compounds = treated & ~known, design.table["compound"]
    wells = counted(int(unknown.sum()), "well")
    named, labelled = set(compounds[unknown].dropna()), set(compounds[known])
    notes.aside(f"without a known mechanism ({wells})", sorted(named - labelled), "compound")
    notes.aside("whose mechanism is known in some wells only", sorted(named & labelled), "compound")


def _note_differences(design: Design, mechanisms: list[tuple[str, ...]], known: np.ndarray, notes: Notes) -> None:
    """Note compounds whose wells have different mechanisms: by dose, or from plate to plate."""
    table = design.table[["plate", "compound", "dose", "dose_level"]][known]
    table = table.assign(names=["|".join(sorted(mechanisms[row])) for row in np.flatnonzero(known)])
    table = table[table["compound"].notna()]
    counts = table.groupby("compound")["names"].nunique()
    differing = table[table["compound"].isin(counts.index[counts > 1])]
    if not len(differing):
        return
    counts = differing.groupby(["compound", "dose", "dose_level"], dropna=False)["names"].nunique()
    by_dose = counts.groupby("compound").max() == 1
    notes.noted("whose mechanisms differ by dose", sorted(by_dose.index[by_dose]), "compound")
    shown = []
    for compound in sorted(by_dose.index[~by_dose]):
        rows = differing[differing["compound"] == compound].drop_duplicates("names")
        shown.append(f"{compound} ({'; '.join(f'{row.names} on plate {row.plate}' for row in rows.itertuples())})")
    notes.noted(
        "whose wells at one dose have different mechanisms; correct them if that is a mistake", shown, "compound"
    )


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
    rare = set(few)
    kept = sorted((target for target in compounds if target not in rare), key=str.lower)
    least = counted(options.least_compounds, "compound")
    notes.dropped(
        f"with fewer than {least} ({len(kept)} kept; {setting('least_compounds', '1')} keeps all)", few, "target"
    )
    if compounds and not kept:
        treated, labelled = (names[rows & ~design.controls].nunique() for rows in (np.ones_like(known), known))
        raise UserError(
            f"no mechanism has {options.least_compounds} compounds, the most is {max(map(len, compounds.values()))}, "
            f"since {labelled} of {treated} compounds have a known one; give a mechanism in each line, or import with "
            f"{setting('least_compounds', '1')}"
        )
    return kept
