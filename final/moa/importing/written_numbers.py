"""Read numbers that people and spreadsheet programs write as text: with separators of thousands, or decimal commas."""

from __future__ import annotations

import re
from typing import Literal

import pandas as pd

#: Marks between thousands that mean nothing else in a number: spaces of any width, and apostrophes.
_MARKS = " '\u2019\u00a0\u202f\u2009"
_GROUPED = re.compile(rf"[+-]?\d{{1,3}}(?:[{_MARKS}]\d{{3}})+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_COMMAS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_DECIMAL = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?")
_PLAIN = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")

Commas = Literal["none", "thousands", "decimal", "unclear"]


def commas_of(texts: pd.Series, points: bool = False) -> Commas:
    """What commas in the numbers of a column mean, decided by the whole column.

    Args:
        texts: its values without missing ones; what follows a number, such as a unit, does not matter.
        points: whether decimals have points elsewhere in the table, which decides where the column leaves it open.
    """
    numbers = [re.sub(r"[^\d,.]+$", "", re.sub(r"\s+.*$", "", text.strip())) for text in texts.unique()]
    with_comma = [number for number in numbers if "," in number]
    if not with_comma:
        return "none"
    thousands = sum(
        bool(_COMMAS.fullmatch(number)) and ("." in number or number.count(",") > 1) for number in with_comma
    )
    decimal = sum(
        bool(_DECIMAL.fullmatch(number)) and (not _COMMAS.fullmatch(number) or number.lstrip("+-").startswith("0"))
        for number in with_comma
    )
    if bool(thousands) != bool(decimal):
        return "thousands" if thousands else "decimal"
    without = [number for number in numbers if "," not in number and _PLAIN.fullmatch(number)]
    if thousands:
        return "unclear"
    # Beside "1,039" a column of thousands has no number above 999 without a comma.
    small = all(abs(float(number)) < 1000 for number in without)
    return "thousands" if small and (without or points) else "unclear"


def with_points(texts: pd.Series) -> pd.Series:
    """The texts with points for the decimal commas of their numbers; of a column whose commas are known to be these."""
    return texts.str.replace(r"(?<=\d),(?=\d)", ".", regex=True)


def without_thousands(texts: pd.Series, points: bool = False) -> pd.Series:
    """The texts without the separators of thousands in their numbers; unchanged where commas mean something else.

    ``points`` is as for `commas_of`.
    """
    spaced = texts.str.strip().str.fullmatch(_GROUPED.pattern).fillna(False).astype(bool)
    if spaced.any():
        texts = texts.mask(spaced, texts.str.strip().str.replace(rf"[{_MARKS}]", "", regex=True))
    present = texts.dropna()
    if not present.str.contains(r"\d,\d", regex=True).any() or commas_of(present, points) != "thousands":
        return texts
    return texts.str.replace(r"(?<=\d),(?=\d{3}(?:\D|$))", "", regex=True)
