"""Doses and times as people write them: "10.0 um", "500 nM", "24 h", "2 days", or numbers with a unit beside."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pandas as pd

from moa.errors import UserError
from moa.importing.fields import plain_name
from moa.importing.notes import Notes
from moa.words import listed

#: A number, after a sign for "about" or "equal", and what follows it: the unit.
_NUMBER = re.compile(r"^[~≈=]?\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([^\d\s,.].*)?$")
_COMMA = re.compile(r"^[+-]?\d+,\d+\s*\D*$")
_MICROMOLAR, _MASS, _PERCENT, _HOURS = "µM", "µg/mL", "%", "h"
#: Factor and unit that a written unit becomes; keys in lower case without spaces, "μ" and "µ" as "u".
_DOSES = {
    **dict.fromkeys(("m", "mol/l", "molar"), (1e6, _MICROMOLAR)),
    **dict.fromkeys(("mm", "mmol/l", "millimolar"), (1e3, _MICROMOLAR)),
    **dict.fromkeys(("um", "umol/l", "micromolar"), (1.0, _MICROMOLAR)),
    **dict.fromkeys(("nm", "nmol/l", "nanomolar"), (1e-3, _MICROMOLAR)),
    **dict.fromkeys(("pm", "pmol/l", "picomolar"), (1e-6, _MICROMOLAR)),
    **dict.fromkeys(("mg/ml", "g/l"), (1e3, _MASS)),
    **dict.fromkeys(("ug/ml", "mg/l"), (1.0, _MASS)),
    **dict.fromkeys(("ng/ml", "ug/l"), (1e-3, _MASS)),
    **dict.fromkeys(("%", "percent"), (1.0, _PERCENT)),
}
_TIMES = {
    **dict.fromkeys(("d", "day", "days"), (24.0, _HOURS)),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), (1.0, _HOURS)),
    **dict.fromkeys(("min", "mins", "minute", "minutes", "m"), (1 / 60, _HOURS)),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), (1 / 3600, _HOURS)),
}
#: Doses nearer than this, relatively, are one dose: files hold 0.12 and 0.123457, 20 and 19.999.
SAME = 0.05


def parse(
    values: pd.Series, column: str, what: str, notes: Notes, units: pd.Series | None = None
) -> tuple[pd.Series, str] | None:
    """Doses or times as numbers of one unit.

    Args:
        values: text, NaN where missing.
        column: its name; a unit may end it, as in "dose_nM".
        what: "dose" (in µM, µg/mL or %) or "time" (in hours).
        notes: units that were assumed are noted.
        units: unit of each value, where a column of its own holds it.

    Returns:
        numbers, NaN where missing, and their unit ("" if no unit is known); None if no value is a number: the column
        holds words, such as "high" and "low".

    Raises:
        UserError: some values are numbers and some are not, or units do not go together.
    """
    table = _DOSES if what == "dose" else _TIMES
    text = values.dropna().astype(str)
    if not len(text):
        return pd.Series(np.nan, index=values.index), ""
    parsed = {value: _NUMBER.match(value) for value in text.unique()}
    bad = [value for value, match in parsed.items() if match is None]
    commas = [value for value in bad if _COMMA.match(value)]
    if commas:
        raise UserError(f"column '{column}' holds '{commas[0]}': a decimal comma; write {what}s with a decimal point")
    if bad and len(bad) == len(parsed):
        return None
    if bad:
        raise UserError(
            f"column '{column}': {listed(repr(value) for value in bad)} among numbers; expected {what}s such as "
            + ("'10 uM'" if what == "dose" else "'24 h'")
        )
    beside = pd.Series("", index=text.index) if units is None else units.reindex(text.index).fillna("")
    written = text.map({value: match[2] or "" for value, match in parsed.items() if match})
    written = written.where(written != "", beside.astype(str)).map(_plain)
    unknown = [unit for unit in written.unique() if unit and unit not in table]
    if unknown:
        known = "uM, nM, mM, ug/mL" if what == "dose" else "h, days, min"
        raise UserError(f"column '{column}': unknown unit '{unknown[0]}' of a {what}; expected one of {known}")
    implied = _unit_of_name(column, table)
    named = written[written != ""].map(lambda unit: table[unit][1]).unique()
    if len(named) > 1:
        raise UserError(f"column '{column}': {what}s in {listed(named)} cannot be compared; write them in one unit")
    if (written == "").any() and len(named):
        notes.guessed(f"values of '{column}' without a unit are in {named[0]}, as the others")
        implied = implied or next(unit for unit in written if unit)
    elif not len(named) and not implied and what == "time":
        notes.guessed(f"values of '{column}' are hours")
        implied = "h"
    written = written.where(written != "", implied)
    factors = written.map(lambda unit: table[unit][0] if unit else 1.0)
    numbers = text.map({value: float(match[1]) for value, match in parsed.items() if match})
    unit = named[0] if len(named) else table[implied][1] if implied else ""
    return (numbers * factors).astype(float).reindex(values.index), str(unit)


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


def _plain(unit: str) -> str:
    unit = re.sub(r"\s+", "", unit.lower()).replace("µ", "u").replace("μ", "u").rstrip(".")
    return unit.replace("litre", "l").replace("liter", "l")


def _unit_of_name(column: str, table: dict[str, tuple[float, str]]) -> str:
    """The unit that ends a column's name, such as "dose_nM" or "concentration (µM)"; "m" alone is no unit."""
    name = plain_name(str(column).replace("µ", "u").replace("μ", "u"))
    last = name.rpartition("_")[2] if "_" in name else name
    return last if last in table and len(last) > 1 or last == "h" else ""
