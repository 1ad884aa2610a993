"""Make values comparable between plates: z-scores of expression, standardised profiles, or the file's own values."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from moa.errors import UserError
from moa.importing.design import Design
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.profiles import Profiles
from moa.progress import progress
from moa.words import counted

#: The median absolute deviation of a normal distribution is its standard deviation divided by this.
MAD_SCALE = 1.4826
#: Smallest median absolute deviation of a gene, in log2 units: that of genes that are not expressed is noise.
LEAST_MAD = 0.1
#: A plate with fewer vehicle wells is compared with all its wells.
LEAST_CONTROLS = 6
#: Features with values beyond this many standard deviations are noted.
_EXTREME = 1000
#: Z-scores of L1000 files lie in this range; the competition's are clipped to it.
Z_RANGE = 10.0
_SAMPLE = 200_000
#: Profiles are normalised if this share of the features looks so; a spread over six controls is only a rough estimate.
_NORMAL_SHARE = 0.4


def normalise(profiles: Profiles, design: Design, options: ImportOptions, notes: Notes) -> tuple[Profiles, bool]:
    """Make the values of all plates comparable, unless they are already; values may be missing (NaN).

    ``level``, ``against`` and ``clip`` of the options are used. What the values are taken for, and what is done, is
    noted.

    Returns:
        the profiles, and whether their values are z-scores of expression.

    Raises:
        UserError: the values are of no known kind, or a plate has too few wells.
    """
    level = options.level if options.level != "auto" else _guess(profiles, design, notes)
    if level in ("4", "5", "normalised"):
        return profiles, profiles.kind == "expression"
    values = np.empty(profiles.values.shape, profiles.values.to_numpy().dtype)
    against: dict[str, list[str]] = {}
    names = list(profiles.values.columns)
    plates = list(_plates(design))
    with progress("normalise plates", len(plates), quiet=len(plates) < 10) as bar:
        for done, (plate, rows) in enumerate(plates, 1):
            reference, what = _reference(plate, design.controls[rows], options)
            against.setdefault(what, []).append(plate)
            part = profiles.values.iloc[rows].to_numpy(np.float64)
            values[rows] = robust_z(part, reference) if level == "3" else standardised(part, reference, names)
            bar.update(done, plate)
    how = "robust z-scores" if level == "3" else "standardised (mean, standard deviation)"
    for what, of in against.items():
        notes.noted(f"{how} of {counted(len(of), 'plate')} against {what}", of if len(against) > 1 else None)
    if level == "3" and options.clip is not None:
        beyond = np.abs(values) > options.clip
        if beyond.any():
            notes.noted(f"{counted(int(beyond.sum()), 'value')} ({beyond.mean():.2%}) clipped to ±{options.clip:g}")
        values = np.clip(values, -options.clip, options.clip)
    extreme = profiles.values.columns[(np.abs(values) > _EXTREME).any(axis=0)]
    notes.noted(f"beyond {_EXTREME:,} standard deviations in some well, since controls hardly vary", extreme, "feature")
    table = pd.DataFrame(values, index=profiles.values.index, columns=profiles.values.columns)
    return replace(profiles, values=table), level == "3"


def robust_z(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Robust z-scores of one plate: (x - median) / (1.4826 · max(MAD, 0.1)), feature by feature.

    ``values`` have the shape (wells, features), NaN where missing; median and MAD, the median absolute deviation, are
    those of the wells ``reference``.
    """
    centre, spread = _median_and_mad(values[reference])
    return (values - centre) / (MAD_SCALE * np.maximum(spread, LEAST_MAD))


def _median_and_mad(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a feature without a value stays NaN
        centre = np.nanmedian(values, axis=0)
        return centre, np.nanmedian(np.abs(values - centre), axis=0)


def standardised(values: np.ndarray, reference: np.ndarray, names: list[str]) -> np.ndarray:
    """Values of one plate minus the reference's mean, divided by its standard deviation, by pycytominer.

    ``values`` and ``reference`` are as for `robust_z`, ``names`` those of the features.
    """
    pycytominer = load_pycytominer("raw profiles are standardised")
    table = pd.DataFrame(values, columns=names)
    table["Metadata_reference"] = reference
    done = pycytominer.normalize(
        table, features=names, meta_features=["Metadata_reference"], samples="Metadata_reference", method="standardize"
    )
    return done[names].to_numpy(np.float64)


def load_pycytominer(why: str) -> Any:
    """The library pycytominer.

    Raises:
        UserError: it is not installed.
    """
    try:
        import pycytominer
    except ImportError:
        raise UserError(
            f"{why} with pycytominer, which is missing; run: pip install pycytominer (or give normalised profiles)"
        ) from None
    return pycytominer


def select_features(profiles: Profiles, notes: Notes) -> Profiles:
    """Only the features that pycytominer's usual selection keeps; it looks at values alone, never at mechanisms.

    Raises:
        UserError: pycytominer is not installed, or no feature is left.
    """
    pycytominer = load_pycytominer("features are selected")
    names = list(profiles.values.columns)
    operations = ["variance_threshold", "correlation_threshold", "drop_na_columns", "blocklist", "drop_outliers"]
    found = pycytominer.feature_select(profiles.values.reset_index(drop=True), features=names, operation=operations)
    kept = [name for name in names if name in set(found.columns)]
    if not kept:
        raise UserError("--select-features: no feature is left; import all features")
    out = [name for name in names if name not in set(kept)]
    notes.dropped(f"by pycytominer's feature selection ({', '.join(operations)})", out, "feature")
    return profiles.only(kept)


def _plates(design: Design) -> Iterator[tuple[str, np.ndarray]]:
    for plate, places in design.table.reset_index(drop=True).groupby("plate", sort=False).groups.items():
        yield str(plate), places.to_numpy()


def _reference(plate: str, controls: np.ndarray, options: ImportOptions) -> tuple[np.ndarray, str]:
    """Which wells of the plate its values are compared with, as a mask, and what they are in words."""
    vehicles = int(controls.sum())
    enough = LEAST_CONTROLS if options.against == "auto" else 2
    if options.against != "plate" and vehicles >= enough:
        return controls, "the plate's vehicle wells"
    if options.against == "vehicle":
        raise UserError(f"--against vehicle: plate {plate} has {counted(vehicles, 'vehicle well')}; use plate")
    if len(controls) < 3:
        wells = counted(len(controls), "well")
        raise UserError(f"plate {plate} has {wells}: too few to compare with; give whole plates")
    reason = "" if options.against == "plate" else f" (fewer than {enough} vehicle wells)"
    return np.ones(len(controls), bool), f"all wells of the plate{reason}"


def _guess(profiles: Profiles, design: Design, notes: Notes) -> str:
    if profiles.kind == "expression":
        return _guess_expression(profiles.values.to_numpy(), notes)
    # Normalised profiles are centred where there is no effect: in controls, or over a whole plate of treatments.
    normal = {
        plate: _is_normalised(profiles.values.iloc[rows].to_numpy(np.float64), design.controls[rows])
        for plate, rows in _plates(design)
    }
    if sum(normal.values()) >= 0.5 * len(normal):
        notes.guessed("profiles are normalised already (controls near 0 with a spread near 1), so left as they are")
        odd = [plate for plate, is_normal in normal.items() if not is_normal]
        notes.noted("plates that do not look normalised; --level raw standardises all", odd)
        return "normalised"
    notes.guessed("profiles are raw (controls are not near 0 with a spread near 1); --level normalised leaves them")
    return "raw"


def _is_normalised(values: np.ndarray, controls: np.ndarray) -> bool:
    """Whether many features have a centre within 1 and a spread between 0.2 and 5, over controls or the whole plate.

    Of raw CellProfiler features, which are areas, intensities and shares, one in a hundred has.
    """
    for reference in (values[controls] if controls.sum() >= 3 else values, values):
        centre, mad = _median_and_mad(reference)
        spread = MAD_SCALE * mad
        if np.mean((np.abs(centre) < 1) & (spread > 0.2) & (spread < 5)) >= _NORMAL_SHARE:
            return True
    return False


def _guess_expression(values: np.ndarray, notes: Notes) -> str:
    """The level of an L1000 file from its values: log2 expression is positive, z-scores lie around 0."""
    step = max(1, values.size // _SAMPLE)
    some = values.ravel()[::step].astype(np.float64)
    some = some[np.isfinite(some)]
    if not len(some):
        raise UserError("all values are missing; expected expression or z-scores")
    negative, median, highest = float((some < 0).mean()), float(np.median(some)), float(some.max())
    found = f"{negative:.0%} negative, median {median:.2f}, up to {highest:.1f}"
    if negative > 0.05 and abs(median) < 3:
        notes.guessed(
            f"the values are z-scores, level 4 or 5 ({found}), so taken as they are; --level 3 says otherwise"
        )
        if abs(median) > 0.3:
            notes.noted(f"z-scores have a median near 0; here it is {median:.2f}")
        beyond = float((np.abs(some) > Z_RANGE).mean())
        if beyond:
            notes.noted(f"{beyond:.2%} of the z-scores lie beyond ±{Z_RANGE:g}; they are kept")
        return "4"
    if negative <= 0.05 and median > 1 and highest <= 30:
        notes.guessed(
            f"the values are log2 expression, level 3 ({found}), so made into z-scores; --level 4 says otherwise"
        )
        return "3"
    if negative == 0 and highest > 100:
        raise UserError(
            f"the values look like raw intensities or counts ({found}); give level 3 (log2 expression, normalised) or "
            "level 4 (z-scores)"
        )
    raise UserError(f"the level of the values cannot be recognised ({found}); state it with --level 3, 4 or 5")
