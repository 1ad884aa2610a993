"""Doses and times as people write them: "10.0 um", "500 nM", "24 h", "2 days", or numbers with a unit beside."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pandas as pd

from moa.errors import UserError
from moa.importing.headings import heading, plain_unit
from moa.importing.notes import Notes
from moa.importing.profiles import MISSING_NUMBER
from moa.importing.units import DOSES, TIMES
from moa.importing.written_numbers import commas_of, with_points, without_thousands
from moa.words import listed, shown

#: A number, after a sign for "about" or "equal", and what follows it: the unit.
_NUMBER = re.compile(r"^[~≈=]?\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([^\d\s,.].*)?$")
_COMMA = re.compile(r"^[+-]?\d+,\d+\s*\D*$")
#: What stands between several quantities of one well, such as "6 h & 4 h".
_AND = re.compile(r"\s*(?:[&+;/]|,\s|\band\b|\bthen\b)\s*", re.IGNORECASE)
#: Headings of logarithms, such as "log10_dose", "logDose" and "-log(M)".
_LOGARITHM = re.compile(
    r"(?<![a-zA-Z])[pn]?log(?:2|10)?(?![a-z])|(?<![a-zA-Z])log(?:conc|dose|m)(?![a-z])", re.IGNORECASE
)
#: No dose and no time is larger.
_MOST = 1e18
#: Doses nearer than this, relatively, are one dose: files hold 0.12 and 0.123457, 20 and 19.999.
SAME = 0.05


def parse(
    values: pd.Series,
    column: str,
    what: str,
    notes: Notes,
    units: pd.Series | None = None,
    heading_unit: str = "",
) -> tuple[pd.Series, str] | None:
    """Doses or times as numbers of one unit.

    Args:
        values: text, NaN where missing.
        column: its name; a unit may end it, as in "dose_nM".
        what: "dose" (in µM, µg/mL, U/mL or %) or "time" (in hours).
        notes: units that were assumed, and cells that hold several quantities, are noted.
        units: unit of each value, where a column of its own holds it.
        heading_unit: unit of values that have none of their own, as ``headings.plain_unit`` writes it; empty: that of
            the column's name.

    Returns:
        numbers, NaN where missing or where a cell holds several quantities, and their unit ("" if no unit is known);
        None if no value is a number: the column holds words, such as "high" and "low".

    Raises:
        UserError: some values are numbers and some are not, units do not go together, or the values are logarithms.
    """
    table = DOSES if what == "dose" else TIMES
    cells = values.dropna().astype(str)
    text = without_thousands(cells)
    grouped = cells[text != cells]
    notes.guessed(f"commas in column '{column}' separate thousands, as in", sorted(set(grouped)))
    if commas_of(text) == "decimal" and not text.str.contains(r"\d\.\d", regex=True).any():
        decimal, text = text, with_points(text)
        notes.guessed(f"commas in column '{column}' are decimal commas, as in", sorted(set(decimal[text != decimal])))
    several = text[are_several(text, what)]
    if len(several):
        named = listed(map(repr, sorted(set(several))))
        notes.aside(f"values of '{column}' that are several {what}s ({named}): these wells have none", several.index)
        text = text.drop(several.index)
    if not len(text):
        return pd.Series(np.nan, index=values.index), ""
    parsed = {value: _NUMBER.match(value) for value in text.unique()}
    bad = [value for value, match in parsed.items() if match is None]
    commas = [value for value in bad if _COMMA.match(value)]
    if commas:
        raise UserError(
            f"column '{column}' holds '{commas[0]}': a decimal comma or thousands? write {what}s with a decimal point"
        )
    if bad and len(bad) == len(parsed):
        return None
    if bad:
        raise UserError(
            f"column '{column}': {listed(repr(value) for value in bad)} among numbers; expected {what}s such as "
            + ("'10 uM'" if what == "dose" else "'24 h'")
        )
    if what == "dose" and is_logarithm(column):
        raise UserError(f"column '{column}' holds logarithms by its name; give the doses themselves")
    numbers = text.map({value: float(match[1]) for value, match in parsed.items() if match})
    beyond = numbers.abs() > _MOST
    if beyond.any():
        raise UserError(f"column '{column}' holds '{shown(text[beyond].iloc[0])}': no {what} is so large; correct it")
    numbers = numbers[numbers != MISSING_NUMBER]
    text = text[numbers.index]
    if not len(text):
        return pd.Series(np.nan, index=values.index), ""
    beside = pd.Series("", index=text.index) if units is None else units.reindex(text.index).fillna("")
    written = text.map({value: match[2] or "" for value, match in parsed.items() if match})
    written = written.where(written != "", beside.astype(str))
    written = written.map({unit: plain_unit(unit) for unit in written.unique()})
    unknown = [unit for unit in written.unique() if unit and unit not in table]
    if unknown:
        known = "uM, nM, mM, ug/mL" if what == "dose" else "h, days, min"
        raise UserError(f"column '{column}': unknown unit '{unknown[0]}' of a {what}; expected one of {known}")
    implied = heading_unit or heading(column).unit
    implied = implied if implied in table else ""
    implied = _unit_of_the_others(column, what, written[(written != "") | (numbers != 0)], implied, table, notes)
    written = written.where(written != "", implied)
    kinds = written[written != ""].map(lambda unit: table[unit][1]).unique()
    factors = written.map(lambda unit: table[unit][0] if unit else 1.0)
    return (numbers * factors).astype(float).reindex(values.index), str(kinds[0]) if len(kinds) else ""


def is_logarithm(column: str) -> bool:
    """Whether a heading says that a column holds logarithms."""
    return bool(_LOGARITHM.search(column))


def are_several(values: pd.Series, what: str) -> np.ndarray:
    """Which cells hold several doses or times, such as "6 h & 4 h", shape (cells,)."""
    table = DOSES if what == "dose" else TIMES
    found = {value for value in values.dropna().unique() if _is_several(str(value), table)}
    return values.isin(found).to_numpy()


def _is_several(value: str, table: dict[str, tuple[float, str]]) -> bool:
    """Whether a cell holds several quantities, such as "6 h & 4 h"."""
    parts = [_NUMBER.match(part) for part in _AND.split(value)]
    return len(parts) > 1 and all(part and (not part[2] or plain_unit(part[2]) in table) for part in parts)


def _unit_of_the_others(
    column: str, what: str, written: pd.Series, implied: str, table: dict[str, tuple[float, str]], notes: Notes
) -> str:
    """The unit of values without one: that of the heading, or else that of the other values; "" if none is known.

    ``written`` has the units of the values, "" where there is none; zeros without a unit are not among them.
    """
    units = list(dict.fromkeys(unit for unit in written if unit))
    kinds = list(dict.fromkeys(table[unit][1] for unit in units))
    bare = bool((written == "").any())
    if len(kinds) > 1 or (kinds and bare and implied and table[implied][1] != kinds[0]):
        if len(kinds) == 1:
            kinds.append(table[implied][1])
        raise UserError(f"column '{column}': {what}s in {listed(kinds)} cannot be compared; write them in one unit")
    if not units:
        if not implied and what == "time":
            notes.guessed(f"values of '{column}' are hours")
            return "h"
        return implied
    if implied or not bare:
        return implied or units[0]
    if len({table[unit] for unit in units}) > 1:
        raise UserError(f"column '{column}': {what}s without a unit among those in {listed(units)}; give each its unit")
    notes.guessed(f"values of '{column}' without a unit are in {units[0]}, as the others")
    return units[0]


def one_of_near(values: pd.Series, notes: Notes) -> pd.Series:
    """Doses (NaN where missing) in which those that differ by rounding alone are replaced by the commonest of them."""
    written = values.nunique()
    # Four digits are more than any dilution has; float noise lies beyond them.
    values = values.map(lambda value: float(f"{value:.4g}"), na_action="ignore").astype(float)
    counts = Counter(values.dropna())
    clusters: list[list[float]] = []
    for value in sorted(counts):
        if not clusters or value > clusters[-1][0] * (1 + SAME):
            clusters.append([])
        clusters[-1].append(value)
    merged: dict[float, float] = {}
    for cluster in clusters:
        # Of equally common values the one with the fewest digits, such as 20 of 19.999 and 20.
        best = min(cluster, key=lambda value: (-counts[value], len(f"{value:.4g}"), value))
        merged |= dict.fromkeys(cluster, best)
    result = values.map(merged).astype(float)
    if result.nunique() < written:
        changed = [f"{value:g} as {best:g}" for value, best in merged.items() if value != best]
        text = f"{written} different numbers are {result.nunique()} doses: within {SAME:.0%} they are one"
        notes.noted(text, changed or None)
    return result


def nearest(value: float, choices: np.ndarray) -> float | None:
    """The choice within ``SAME`` of a value; None if there is none."""
    if not len(choices) or not np.isfinite(value):
        return None
    distances = np.abs(choices - value)
    place = int(distances.argmin())
    return float(choices[place]) if distances[place] <= SAME * max(abs(value), abs(choices[place])) else None
