"""Find out what kind of values each file holds, and refuse files whose values are of different kinds."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from moa.errors import UserError
from moa.importing.design import FILE, Design
from moa.importing.mapping import File, Level, Mapping
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.profiles import Profiles
from moa.words import listed

#: The median absolute deviation of a normal distribution is its standard deviation divided by this.
MAD_SCALE = 1.4826
#: Z-scores of L1000 files lie in this range; the competition's are clipped to it.
Z_RANGE = 10.0
_SAMPLE = 200_000
#: So many whole numbers are no accident.
_ENOUGH = 50
#: Profiles are normalised if this share of the features looks so; a spread over six controls is only a rough estimate.
_NORMAL_SHARE = 0.4
#: Z-scores of which more than this share lies beyond ±10 are none, or were multiplied.
_MOST_BEYOND = 0.2
_WORDS: dict[Level, str] = {
    "3": "log2 expression (level 3)",
    "4": "z-scores (level 4 or 5)",
    "5": "z-scores (level 5)",
    "raw": "raw profiles",
    "normalised": "normalised profiles",
}


@dataclass(frozen=True)
class _Found:
    """The level of a file, and why."""

    level: Level
    reason: str  # a note for the user
    remarks: tuple[tuple[str, tuple[str, ...] | None], ...] = ()  # further notes, with their items


def decide_levels(
    mapping: Mapping, profiles: Profiles, design: Design, options: ImportOptions, notes: Notes
) -> tuple[Mapping, Level]:
    """The mapping with the level of each file, and the level of all; see ``ImportOptions.level``.

    Raises:
        UserError: values are of no known kind, or of another kind than those of another file.
    """
    if options.level != "auto":
        stated = {"level": options.level, "reason": "named by --level"}
        return mapping.with_(files=tuple(file.model_copy(update=stated) for file in mapping.files)), options.level
    found: dict[str, _Found] = {}
    files: list[File] = []
    names = profiles.wells[FILE].to_numpy()
    for file in mapping.files:
        rows = names == file.name
        if not rows.any():
            files.append(file)
            continue
        several = len(mapping.files) > 1
        found[file.name] = guess = _guess(profiles, design, rows, f"{file.name}: " if several else "")
        if file.level not in (None, guess.level):
            raise UserError(
                f"{file.name} looks like {_WORDS[guess.level]}, and the mapping has {_WORDS[file.level]}; state the "
                "level with --level if the mapping is right"
            )
        files.append(file.model_copy(update={"level": guess.level, "reason": guess.reason}))
    levels = {file.level: file for file in reversed(files) if file.level is not None}
    if len(levels) > 1:
        pairs = [f"{file.name} holds {_WORDS[level]}" for level, file in levels.items()]
        raise UserError(
            f"{listed(pairs, joint=' and ')}; import each level on its own, or state that of all with --level"
        )
    for text in dict.fromkeys(guess.reason for guess in found.values()):
        notes.guessed(text)
    for guess in found.values():
        for text, items in guess.remarks:
            notes.noted(text, items)
    return mapping.with_(files=tuple(files)), next(iter(levels))


def levels_of(mapping: Mapping, names: list[str]) -> tuple[File, ...]:
    """The files of ``names`` with the level of the mapping's files, if these have one in common."""
    levels = {file.level for file in mapping.files}
    level = levels.pop() if len(levels) == 1 else None
    return tuple(File(name=name, level=level) for name in names)


def median_and_mad(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median and median absolute deviation of each feature, without missing values; NaN of a feature without values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        centre = np.nanmedian(values, axis=0)
        return centre, np.nanmedian(np.abs(values - centre), axis=0)


def _guess(profiles: Profiles, design: Design, rows: np.ndarray, where: str) -> _Found:
    try:
        if profiles.kind == "expression":
            return _guess_expression(_of_rows(profiles, rows))
        return _guess_profiles(profiles, design, rows)
    except UserError as error:
        layers = f"; or choose a layer with --layer: {listed(profiles.layers)}" if profiles.layers else ""
        raise UserError(f"{where}{error}{layers}") from None


def _of_rows(profiles: Profiles, rows: np.ndarray) -> np.ndarray:
    """The values of some wells; of all wells without a copy."""
    values = profiles.values.to_numpy()
    return values if rows.all() else values[rows]


def _guess_profiles(profiles: Profiles, design: Design, rows: np.ndarray) -> _Found:
    """Whether profiles are normalised: centred where there is no effect, in controls or over a plate of treatments."""
    normal = {}
    for group, places in design.groups():
        places = places[rows[places]]
        if len(places):
            values = profiles.values.iloc[places].to_numpy(np.float64)
            normal[group] = _is_normalised(values, design.controls[places])
    if sum(normal.values()) >= 0.5 * len(normal):
        odd = tuple(group for group, is_normal in normal.items() if not is_normal)
        remark = ("plates that do not look normalised; --level raw standardises all", odd)
        reason = "profiles are normalised already (controls near 0 with a spread near 1), so left as they are"
        return _Found("normalised", reason, (remark,))
    if _are_counts(_of_rows(profiles, rows)):
        raise UserError(
            "the values look like counts (whole numbers, most of them 0); give normalised values, or say what they are "
            "with --level raw or --level normalised"
        )
    reason = "profiles are raw (controls are not near 0 with a spread near 1); --level normalised leaves them"
    return _Found("raw", reason)


def _is_normalised(values: np.ndarray, controls: np.ndarray) -> bool:
    """Whether many features have a centre within 1 and a spread between 0.2 and 5, over controls or the whole plate.

    Of raw CellProfiler features, which are areas, intensities and shares, one in a hundred has.
    """
    for reference in (values[controls] if controls.sum() >= 3 else values, values):
        centre, mad = median_and_mad(reference)
        spread = MAD_SCALE * mad
        if np.mean((np.abs(centre) < 1) & (spread > 0.2) & (spread < 5)) >= _NORMAL_SHARE:
            return True
    return False


def _are_counts(values: np.ndarray) -> bool:
    some = _sample(values)
    return bool(len(some)) and bool((some >= 0).all() and (some % 1 == 0).all() and (some == 0).mean() > 0.5)


def _sample(values: np.ndarray) -> np.ndarray:
    step = max(1, values.size // _SAMPLE)
    some = values.flat[::step].astype(np.float64)
    return some[np.isfinite(some)]


def _guess_expression(values: np.ndarray) -> _Found:
    """The level of an L1000 file from its values: log2 expression is positive, z-scores lie around 0."""
    some = _sample(values)
    if not len(some):
        raise UserError("all values are missing; expected expression or z-scores")
    negative, median, highest = float((some < 0).mean()), float(np.median(some)), float(some.max())
    found = f"{negative:.0%} negative, median {median:.2f}, up to {highest:.1f}"
    beyond = float((np.abs(some) > Z_RANGE).mean())
    if negative > 0.05 and beyond > _MOST_BEYOND:
        why = "z-scores times a number" if (some % 1 == 0).all() else "z-scores"
        raise UserError(
            f"the values look like {why}, but {beyond:.0%} of them lie beyond ±{Z_RANGE:g} ({found}); divide them "
            "(whole numbers may be z-scores times 100), or state --level 4 if they are right"
        )
    if negative > 0.05 and abs(median) < 3:
        remarks = []
        if abs(median) > 0.3:
            remarks.append((f"z-scores have a median near 0; here it is {median:.2f}", None))
        if beyond:
            remarks.append((f"{beyond:.2%} of the z-scores lie beyond ±{Z_RANGE:g}; they are kept", None))
        reason = f"the values are z-scores, level 4 or 5 ({found}), so taken as they are; --level 3 says otherwise"
        return _Found("4", reason, tuple(remarks))
    if negative <= 0.05 and median > 1 and highest <= 30:
        if len(some) >= _ENOUGH and (some % 1 == 0).all():
            raise UserError(
                f"the values look like counts (whole numbers, {found}); give level 3 (log2 expression, normalised) or "
                "level 4 (z-scores), or state --level 3 if they are right"
            )
        reason = f"the values are log2 expression, level 3 ({found}), so made into z-scores; --level 4 says otherwise"
        return _Found("3", reason)
    if negative == 0 and highest > 100:
        raise UserError(
            f"the values look like raw intensities or counts ({found}); give level 3 (log2 expression, normalised) or "
            "level 4 (z-scores)"
        )
    raise UserError(f"the level of the values cannot be recognised ({found}); state it with --level 3, 4 or 5")
